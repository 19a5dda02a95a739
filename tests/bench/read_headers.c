/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read_headers PATH...: what 'check' is measured against: open each image and read its header. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char header[512];

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDWR | O_CLOEXEC);

		if (fd < 0 || pread(fd, header, sizeof(header), 0) < 0) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
		close(fd);
	}
	return EXIT_SUCCESS;
}
