/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lockspace_helpers.h"

char space[128], image[128];
struct lock_params params;

int make_space(void **state)
{
	if (lock_fixture_setup(state) < 0)
		return -1;
	strcpy(space, fixture_path("space"));
	strcpy(image, fixture_image("disk.img"));
	return mkdir(space, 0700);
}

/* The lock object of a VM on a host, with the lockspace. */
struct lock *vm_on(const char *vm, const char *host)
{
	struct lock *lock;

	params = fixture_params(vm);
	snprintf(params.owner.host, sizeof(params.owner.host), "%s", host);
	params.lockspace = space;
	assert_int_equal(lock_manager_new(lock_manager_find("file"), &params, &lock, NULL), 0);
	return lock;
}

struct lock *holder_of(const char *path, enum resource_mode mode)
{
	struct lock *lock = vm_on("a", "host-a");
	struct error err = { 0 };

	add(lock, path, mode);
	if (lock_manager_acquire(lock, 0, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	return lock;
}

/* The lock file of a path, as virtlockd calls it. */
const char *lock_file(const char *path)
{
	static char text[256];
	char hash[PATH_HASH_SIZE];

	snprintf(text, sizeof(text), "%s/%s", space, path_hash(path, hash));
	return text;
}

void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

char *get(const char *path)
{
	char *text;

	assert_int_equal(file_read_at(AT_FDCWD, path, 0, 8192, &text, NULL), 0);
	return text;
}

int acquire(struct lock *lock, struct error *err)
{
	struct lock_conflict conflict;

	*err = (struct error){ 0 };
	return lock_manager_acquire(lock, 0, &conflict, err);
}

int adopt_from(struct lock *child, struct lock *ours, struct error *err)
{
	_cleanup_(freep) char *saved = saved_of(child);
	_cleanup_(freep) struct lock_descriptor *all = NULL;
	int fds[8], ret;
	size_t n, i;

	*err = (struct error){ 0 };
	assert_int_equal(lock_manager_descriptors(child, &all, &n, NULL), 0);
	assert_true(n <= 8);
	for (i = 0; i < n; i++)
		fds[i] = fcntl(all[i].fd, F_DUPFD_CLOEXEC, 0);
	ret = lock_manager_adopt(ours, fds, n, saved, err);
	for (i = 0; ret != 0 && i < n; i++)
		close(fds[i]);
	return ret;
}
