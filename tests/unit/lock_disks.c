/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lock_disks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "domain_helpers.h"
#include "locking/path_hash.h"

static void will_lock(struct disks *disks, const char *dir, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
	strcpy(disks->files[disks->n_files], path);
	disks->recorded = disks->files[disks->n_files++];
}

static struct disks *disks_with(void **state, const char *first)
{
	static struct disks disks;

	disks = (struct disks){ .params = fixture_params("a"), .start = { .pid = 1 } };
	strcpy(disks.first, first);
	strcpy(disks.second, fixture_image("2"));
	strcpy(disks.devices, fixture_path("devices"));
	disks.params.device_locks = disks.devices;
	disks.images[0] = fixture_resource(disks.first, RESOURCE_EXCLUSIVE);
	disks.images[1] = fixture_resource(disks.second, RESOURCE_READER);
	disks.set = (struct resource_set){ .items = disks.images, .n = 2 };
	will_lock(&disks, "", disks.second);
	*state = &disks;
	return &disks;
}

int disks_make(void **state)
{
	struct disks *disks;

	if (lock_fixture_setup(state) != 0)
		return -1;
	disks = disks_with(state, fixture_image("1"));
	will_lock(disks, "", disks->first);
	return 0;
}

/* The same in a lockspace: each image has a lock file too. */
int disks_make_in_a_lockspace(void **state)
{
	char hash[PATH_HASH_SIZE];
	struct disks *disks;

	if (disks_make(state) != 0)
		return -1;
	disks = *state;
	strcpy(disks->space, fixture_path("space"));
	disks->params.lockspace = disks->space;
	will_lock(disks, disks->space, path_hash(disks->second, hash));
	will_lock(disks, disks->space, path_hash(disks->first, hash));
	return mkdir(disks->space, 0700);
}

int disks_make_with_a_lease(void **state)
{
	struct disks *disks;
	char text[256];

	if (lock_fixture_setup(state) != 0)
		return -1;
	snprintf(text, sizeof(text), "leases:key:%s", fixture_path(""));
	disks = disks_with(state, text);
	disks->images[0].kind = RESOURCE_LEASE;
	will_lock(disks, fixture_path("leases"), "key");
	return mkdir(fixture_path("leases"), 0700);
}

/* The device, its lock file, and the file that it is made of. */
int disks_make_with_a_device(void **state)
{
	const char *image, *device;
	struct disks *disks;
	struct stat info;
	char name[32];

	if (lock_fixture_setup(state) != 0)
		return -1;
	image = fixture_image("beneath");
	device = fixture_loop_device(image);
	if (!device) { /* no right to it: the test skips */
		*state = NULL;
		return getenv("CI") ? -1 : 0;
	}
	disks = disks_with(state, device);
	if (stat(device, &info) < 0)
		return -1;
	snprintf(name, sizeof(name), "dev-%u:%u", major(info.st_rdev), minor(info.st_rdev));
	will_lock(disks, "", device);
	will_lock(disks, "", image);
	will_lock(disks, disks->devices, name);
	return 0;
}

struct disks *disks_of(void **state)
{
	struct disks *disks = *state;

	if (!disks)
		skip(); /* no loop device */
	return disks;
}

bool is_unlocked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 0 };
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
}

size_t count_unlocked(const struct disks *disks)
{
	size_t i, n = 0;

	for (i = 0; i < disks->n_files; i++)
		n += is_unlocked(disks->files[i]);
	return n;
}

bool all_are_free(const struct disks *disks)
{
	return count_unlocked(disks) == disks->n_files;
}

int live_through_it(const char *driver, struct disks *disks)
{
	_cleanup_(domain_lock_freep) struct domain_lock *domain = NULL;
	_cleanup_(freep) struct lock_descriptor *fds = NULL;
	_cleanup_(freep) char *text = NULL;
	size_t n;
	int ret = domain_lock_new(driver, &disks->params, NULL, &domain, NULL);

	if (ret == 0)
		ret = domain_lock_image_attach(domain, &disks->images[0], &disks->conflict, NULL);
	if (ret == 0)
		ret = start_domain(domain);
	if (ret == 0)
		ret = domain_lock_image_attach(domain, &disks->images[1], &disks->conflict, NULL);
	if (ret == 0)
		ret = domain_lock_descriptors(domain, &fds, &n, NULL);
	if (ret == 0)
		ret = domain_lock_process_inquire(domain, &text, NULL);
	if (ret == 0)
		ret = domain_lock_process_pause(domain, text, NULL);
	if (ret == 0)
		ret = resume_domain(domain, NULL);
	if (ret == 0)
		ret = domain_lock_verify(domain, NULL);
	if (ret == 0)
		ret = domain_lock_image_detach(domain, &disks->images[1], NULL);
	return ret;
}
