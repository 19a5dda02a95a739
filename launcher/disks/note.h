/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/*
 * What stands between a command line and a lock on everything it writes to. No
 * note is an error by itself: what becomes of it is the caller's policy
 * (--start direct, --require-locks).
 */
enum disks_note_kind {
	DISKS_NOTE_NETWORK,        /* an image somewhere else: no file lock is possible */
	DISKS_NOTE_UNLOCKABLE,     /* on this host, but no image file: vvfat, nvme:// */
	DISKS_NOTE_UNKNOWN_DRIVER, /* a block driver that we have never heard of */
	DISKS_NOTE_NOT_UNDERSTOOD, /* may name files that we did not find */
	DISKS_NOTE_MISSING,        /* a file is not there, or may not be opened */
};

struct disks_note {
	enum disks_note_kind kind;
	char *text; /* one sentence */
};

/* All zeroes is empty. */
struct disks_notes {
	struct disks_note *items;
	size_t n;
	size_t size;
};

void disks_notes_finish(struct disks_notes *notes);

/* 0 or -ENOMEM */
int disks_notes_add(struct disks_notes *notes, enum disks_note_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *disks_note_kind_name(enum disks_note_kind kind); /* "network", "not-understood", ... */
