/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * least_wrapper DISK COMMAND...: what no wrapper that locks can start without: a process
 * to watch from, a lock on the disk that the command inherits, and a word from the one to
 * the other before the exec. It protects nothing, and drops no rights.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int become(int supervisor, const sigset_t *signals, char **argv)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
	int fd = open(argv[1], O_RDWR);
	char word = 0;

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		return EXIT_FAILURE;
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	if (write(supervisor, &word, 1) == 1 && read(supervisor, &word, 1) == 1)
		execv(argv[2], argv + 2);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int pair[2], number;
	sigset_t signals;
	pid_t child;
	char word;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (argc < 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return EXIT_FAILURE;
	child = fork();
	if (child == 0)
		return become(pair[1], &signals, argv);
	if (child < 0 || read(pair[0], &word, 1) != 1 || write(pair[0], &word, 1) != 1)
		return EXIT_FAILURE;
	sigwait(&signals, &number);
	if (number == SIGTERM)
		kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	return EXIT_SUCCESS;
}
