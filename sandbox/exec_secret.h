/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one exec that a strict filter lets through. It is known by where its arguments
 * stand, each at an address taken at random (sandbox/program.h).
 */
struct exec_secret {
	const char *path;
	char *const *argv;
	char *const *envp;
};

/*
 * Copy them to where nobody can guess; the strings in @argv and @envp stay where they
 * are. The copies are never freed: exec does that.
 *
 * Returns 0 or -errno.
 */
int exec_secret_make(
	const char *path, char *const *argv, char *const *envp, struct exec_secret *ret);

/* As execve(); returns -errno. */
int exec_secret_execute(const struct exec_secret *secret);
