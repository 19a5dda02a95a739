/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/record.h"
#include "locking/saved_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What can be read can be written, and says the same when it is read again. */
static void try_record(const char *text, size_t len)
{
	_cleanup_(str_finish) struct str out = { 0 };
	struct record first, second;

	if (record_from_text(text, len, &first) < 0)
		return;
	record_to_text(&first, &out);
	if (out.len >= RECORD_TEXT_MAX || record_from_text(out.text, out.len, &second) < 0)
		abort();
	if (first.generation != second.generation || first.since != second.since ||
		strcmp(first.owner.vm, second.owner.vm) != 0 ||
		strcmp(first.owner.host, second.owner.host) != 0 ||
		strcmp(first.owner.instance, second.owner.instance) != 0)
		abort();
}

static char *state_text(const struct saved_state *state)
{
	struct str out = { 0 };
	size_t i;

	saved_state_begin(&out, state->driver);
	for (i = 0; i < state->n; i++)
		saved_state_append(&out, &state->entries[i]);
	return str_take(&out);
}

static void try_state(const char *text)
{
	_cleanup_(saved_state_finish) struct saved_state first = { 0 }, second = { 0 };
	_cleanup_(freep) char *written = NULL, *again = NULL;

	if (saved_state_from_text(text, NULL, &first, NULL) < 0)
		return;
	written = state_text(&first);
	if (!written)
		return;
	if (saved_state_from_text(written, first.driver, &second, NULL) < 0) {
		/* escapes make a text longer; only that may keep it from being read */
		if (strlen(written) <= SAVED_STATE_TEXT_MAX)
			abort();
		return;
	}
	again = state_text(&second);
	if (again && strcmp(written, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_record(text, size);
	try_state(text);
	free(text);
	return 0;
}
