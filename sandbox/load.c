/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/load.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * Else a kernel before 5.16 makes every thread that has a filter slow (SSBD), vCPUs
 * first: that is against reading the memory of one's own process, and nobody here has
 * secrets from himself.
 */
#define FLAGS SECCOMP_FILTER_FLAG_SPEC_ALLOW

static void replace(struct sock_filter *code, size_t n, uint32_t from, uint32_t to)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == from)
			code[i].k = to;
	}
}

static void insert_secret(struct sock_filter *code, size_t n, const struct exec_secret *secret)
{
	const uint64_t values[SANDBOX_N_SECRETS] = { (uintptr_t)secret->path,
		(uintptr_t)secret->argv, (uintptr_t)secret->envp };
	unsigned i;

	for (i = 0; i < SANDBOX_N_SECRETS; i++) {
		replace(code, n, SANDBOX_SECRET(i, 0), values[i] >> 32);
		replace(code, n, SANDBOX_SECRET(i, 1), (uint32_t)values[i]);
	}
}

static void ask_instead_of_killing(struct sock_filter *code, size_t n, bool ask)
{
	uint32_t from = ask ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_USER_NOTIF;
	size_t i;

	for (i = 0; i < n; i++) {
		if (BPF_CLASS(code[i].code) == BPF_RET && code[i].k == from)
			code[i].k = ask ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS;
	}
}

static int load(struct sock_filter *code, size_t n, unsigned flags)
{
	struct sock_fprog program = { .len = n, .filter = code };
	int ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | FLAGS, &program);

	return ret < 0 ? -errno : ret;
}

/* EBUSY: a filter above has a listener; EINVAL: the kernel (before 5.0) knows none. */
static int load_with_listener(struct sock_filter *code, size_t n, int *listener)
{
	int ret;

	ask_instead_of_killing(code, n, true);
	ret = load(code, n, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	if (ret >= 0) {
		*listener = ret;
		return 0;
	}
	*listener = -1;
	ask_instead_of_killing(code, n, false);
	return load(code, n, 0);
}

int sandbox_load(const struct sandbox_program *program, const struct exec_secret *secret,
	int *listener, struct error *err)
{
	size_t size = program->n * sizeof(*program->code);
	_cleanup_(freep) struct sock_filter *code = malloc(size);
	int ret;

	if (!code)
		return error_set(err, -ENOMEM, "out of memory");
	memcpy(code, program->code, size);
	if (secret)
		insert_secret(code, program->n, secret);
	ret = listener ? load_with_listener(code, program->n, listener)
		       : load(code, program->n, SECCOMP_FILTER_FLAG_LOG);
	if (ret < 0)
		return error_set(
			err, ret, "the kernel takes no filter of system calls: %s", strerror(-ret));
	return 0;
}
