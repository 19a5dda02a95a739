/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file_helpers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/drivers.h"

struct lock *new_lock(const char *vm)
{
	struct lock_params params = fixture_params(vm);
	struct lock *lock = NULL;

	assert_int_equal(lock_manager_new(&lock_driver_file, &params, &lock, NULL), 0);
	return lock;
}

void add(struct lock *lock, const char *path, enum resource_mode mode)
{
	struct resource image = fixture_resource(path, mode);

	assert_int_equal(lock_manager_add_resource(lock, &image, NULL), 0);
}

/* A lock object that holds one armed image. */
struct lock *held_lock(const char *vm, const char *path, enum resource_mode mode)
{
	struct lock *lock = new_lock(vm);

	add(lock, path, mode);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	return lock;
}

int try_acquire(const char *path, enum resource_mode mode, struct error *err)
{
	struct lock *lock = new_lock("try");
	int ret;

	add(lock, path, mode);
	ret = lock_manager_acquire(lock, 0, NULL, err);
	lock_manager_free(lock);
	return ret;
}

struct lock_status status_of(struct lock *lock, const char *path)
{
	struct resource image = fixture_resource(path, RESOURCE_READER);
	struct lock_status status = { 0 };

	assert_int_equal(lock_manager_status(lock, &image, &status), 0);
	return status;
}

char *saved_of(struct lock *lock)
{
	char *text = NULL;

	assert_int_equal(lock_manager_inquire(lock, &text, NULL), 0);
	return text;
}

/* What a stranger's F_OFD_GETLK for writing says of one byte: F_WRLCK, F_RDLCK or F_UNLCK. */
int lock_seen(const char *path, off_t byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_start = byte, .l_len = 1 };
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	return lock.l_type;
}

const char *record_of(const char *path)
{
	static char text[4096];
	ssize_t len = getxattr(path, ATTRIBUTE, text, sizeof(text) - 1);

	text[len < 0 ? 0 : len] = '\0';
	return text;
}

bool record_says(const char *path, const char *words)
{
	return strstr(record_of(path), words) != NULL;
}
