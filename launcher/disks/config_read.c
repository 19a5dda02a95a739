/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "launcher/disks/argv.h"
#include "launcher/disks/inherited.h"

#define CONFIG_MAX (1 << 20)
#define READ_STEP  4096

/* All that a pipe will ever have. It may be somebody's for whom it must not block. */
static int pipe_read(int fd, struct str *ret)
{
	char step[READ_STEP];
	ssize_t n;

	do {
		n = read(fd, step, sizeof(step));
		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			str_append_bytes(ret, step, n);
		if (ret->len > CONFIG_MAX)
			return -EFBIG;
	} while (n != 0);
	return ret->failed ? -ENOMEM : 0;
}

/* Put a file with these bytes where the pipe was. */
static int pipe_replace(int fd, const struct str *text)
{
	_cleanup_(closep) int file = memfd_create("vmlatch-readconfig", MFD_CLOEXEC);
	int code;

	if (file < 0)
		return -errno;
	code = fd_write_all(file, text->text, text->len);
	if (code < 0)
		return code;
	return dup2(file, fd) < 0 ? -errno : 0;
}

static int pipe_take(int fd, struct str *ret, struct error *err)
{
	int code = pipe_read(fd, ret);

	if (code == 0)
		code = pipe_replace(fd, ret);
	if (code == -EFBIG)
		return error_status(
			err, error_set(err, code, "longer than a config file can be"), EX_DATAERR);
	return code < 0 ? error_set(err, code, "%s", strerror(-code)) : 0;
}

static bool is_pipe(int fd)
{
	struct stat info;

	return fd >= 0 && fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode);
}

int config_read(const char *name, struct str *ret, struct error *err)
{
	int fd = inherited_find(name);
	_cleanup_(freep) char *text = NULL;
	size_t len;
	int code;

	if (is_pipe(fd))
		return pipe_take(fd, ret, err);
	if (strcmp(name, "/dev/null") == 0)
		return 0;
	code = file_read_at(AT_FDCWD, name, 0, CONFIG_MAX, &text, &len);
	if (code == -ENOMEM)
		return code;
	if (code == -ENOENT && strcmp(name, QEMU_DEFAULT_CONFIG) == 0)
		return COMMAND_LINE_NO_CONFIG;
	if (code == -EINVAL)
		error_set(err, code,
			"no file, so it is left to QEMU: give it as '/dev/fd/N', and both can "
			"read it");
	else if (code < 0)
		error_set(err, code, "%s", strerror(-code));
	if (code < 0)
		return COMMAND_LINE_NO_CONFIG;
	str_append_bytes(ret, text, len);
	return ret->failed ? -ENOMEM : 0;
}
