/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stand-in for QEMU that makes the system call whose number is in TRY_CALL, with
 * arguments that no call takes, and ends with its errno. With TRY_CHILD a process that
 * it has started does so; it ends with 100 if a signal has killed that. With TRY_CHILDREN
 * there are that many of them, one after the other. With TRY_SHELL it starts a shell
 * instead.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	const char *number = getenv("TRY_CALL");
	const char *children = getenv("TRY_CHILDREN");
	int n = children ? atoi(children) : getenv("TRY_CHILD") != NULL;
	int i, status = 0;

	if (getenv("TRY_SHELL"))
		return WEXITSTATUS(system("exit 42"));
	for (i = 0; i < n && fork() != 0; i++)
		wait(&status);
	if (n > 0 && i == n)
		return WIFSIGNALED(status) ? 100 : WEXITSTATUS(status);
	return syscall(number ? atol(number) : SYS_getpid, -1, -1, -1, -1, -1) < 0 ? errno : 0;
}
