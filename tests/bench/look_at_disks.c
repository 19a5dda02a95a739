/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * look_at_disks PATH...: what 'check' is measured against: the system calls without
 * which nobody can say of an image what it is (its header), whether QEMU may write it,
 * and who has it (the lock and the record), and nothing else.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char header[1024], record[3072];
	struct stat st;

	for (int i = 1; i < argc; i++) {
		struct flock lock = { .l_type = F_WRLCK, .l_len = 7 };
		int fd = -1;

		/* a FIFO or a tape is not to be opened */
		if (stat(argv[i], &st) == 0)
			fd = open(argv[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0 || pread(fd, header, sizeof(header), 0) < 0 ||
			faccessat(AT_FDCWD, argv[i], W_OK, AT_EACCESS) < 0 ||
			fcntl(fd, F_OFD_GETLK, &lock) < 0) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
		(void)fgetxattr(
			fd, "user.vmlatch", record, sizeof(record)); /* a free one has none */
		close(fd);
	}
	return EXIT_SUCCESS;
}
