/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The system call filters, as the kernel takes them. They are made at build time
 * from the lists beside this file: libseccomp makes the program, vmlatch is not
 * linked with it (it would cost each supervisor 100 kB and each start its time).
 */

/*
 * The secret by which the strict filter knows our exec, which makes QEMU of us, from
 * every other: where path, argv and environ stand in memory, three addresses that
 * we take at random. QEMU never sees them: its address space is another, and a filter
 * that is loaded can be read with CAP_SYS_ADMIN only.
 */
#define SANDBOX_N_SECRETS 3
#define SANDBOX_SECRET(argument, half) \
	(0x5ec0ff00U + 2 * (argument) + (half)) /* half 0: the upper one */

struct sandbox_program {
	const struct sock_filter *code; /* what is to kill returns SECCOMP_RET_KILL_PROCESS */
	size_t n;
};

extern const struct sandbox_program sandbox_qemu_default, sandbox_qemu_strict, sandbox_supervisor;

/* The calls that kill QEMU, by number; a NULL name ends them. */
struct sandbox_call {
	int number;
	const char *name;
};
extern const struct sandbox_call sandbox_qemu_calls[];

extern const uint32_t sandbox_native_arch; /* AUDIT_ARCH_... */
