/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/vm/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken can be written, and means the same when it is read again. */
static void check_round_trip(const struct vm_state *state)
{
	_cleanup_(vm_state_finish) struct vm_state again = { 0 };
	_cleanup_(freep) char *text = vm_state_to_text(state);
	_cleanup_(freep) char *text_again = NULL;
	struct error err = { 0 };

	if (!text || vm_state_from_text(text, strlen(text), &again, &err) < 0)
		abort();
	text_again = vm_state_to_text(&again);
	if (!text_again || strcmp(text, text_again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(vm_state_finish) struct vm_state state = { 0 };
	struct error err = { 0 };

	if (vm_state_from_text((const char *)data, size, &state, &err) == 0)
		check_round_trip(&state);
	return 0;
}
