/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * Whose call of QEMU is it that 'check' explains? That of 'run'; but without any option of
 * run's, and with a QEMU whose name leads to vmlatch itself, that of a drop-in: so it would
 * be if QEMU were called with these words.
 *
 * @argv	[0] is the verb
 * @keep_open	as for prepare(), whose returns are these too
 */
int check_call_prepare(char **argv, size_t keep_open, struct preparation *ret, struct error *err);

/*
 * The program that the call would execute in the end; one that is not there is a warning
 * in a drop-in's call, and nothing in that of 'run' (*ret stays).
 *
 * @ret	a path, the caller's
 *
 * Returns 0 or -ENOMEM.
 */
int check_call_find_qemu(struct preparation *preparation, char **ret);

/* Lines of 'check' that a drop-in's call has more. */
void check_print_call(const struct preparation *preparation);
