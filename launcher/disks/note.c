/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/note.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void disks_notes_finish(struct disks_notes *notes)
{
	size_t i;

	for (i = 0; i < notes->n; i++)
		free(notes->items[i].text);
	free(notes->items);
	*notes = (struct disks_notes){ 0 };
}

int disks_notes_add(struct disks_notes *notes, enum disks_note_kind kind, const char *fmt, ...)
{
	struct disks_note *note;
	va_list args;
	int n;

	if (notes->n == notes->size) {
		size_t size = notes->size ? notes->size * 2 : 8;
		struct disks_note *grown = reallocarray(notes->items, size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		notes->items = grown;
		notes->size = size;
	}
	note = &notes->items[notes->n];
	va_start(args, fmt);
	n = vasprintf(&note->text, fmt, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	note->kind = kind;
	notes->n++;
	return 0;
}

const char *disks_note_kind_name(enum disks_note_kind kind)
{
	static const char *const names[] = {
		[DISKS_NOTE_NETWORK] = "network",
		[DISKS_NOTE_UNLOCKABLE] = "unlockable",
		[DISKS_NOTE_UNKNOWN_DRIVER] = "unknown-driver",
		[DISKS_NOTE_NOT_UNDERSTOOD] = "not-understood",
		[DISKS_NOTE_MISSING] = "missing",
	};

	return names[kind];
}
