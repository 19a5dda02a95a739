/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <unistd.h>

/*
 * Where QEMU prints. If that is systemd's journal it has a connection of its own there,
 * whose lines are text and nothing else. In ours "<0>" in front makes a line an emergency's,
 * and a guest whose serial line is QEMU's stdout says what it likes.
 */
struct qemu_output {
	int stream; /* -1: it prints where we do */
	bool is_journal[STDERR_FILENO + 1];
};

/*
 * While we are who was started: the journal believes nobody but root which unit he is of.
 * One that cannot be had is none.
 */
void qemu_output_open(struct qemu_output *output);

/* At the exec: until then what we say ourselves has its level. */
void qemu_output_place(const struct qemu_output *output);
