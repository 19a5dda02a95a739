/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_module.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"

#define SYMBOL "vmlatch_lock_driver"
#define SUFFIX ".so"

#define FILE_SIZE (LOCK_DRIVER_NAME_SIZE + sizeof(SUFFIX))

/*
 * A file is loaded by a descriptor of it, so that it is the one that was looked
 * at. libc knows it by that path ("/proc/self/fd/7") from then on, so the
 * descriptor stays open: the path must not come to mean another file.
 */
struct loaded {
	dev_t dev;
	ino_t ino;
	void *handle;
	struct loaded *next;
};
static struct loaded *all_loaded;

/* Not where who calls us has less rights than we. */
static const char *directory(void)
{
	const char *dir = secure_getenv("VMLATCH_MODULE_DIR");

	return dir && *dir ? dir : LOCK_DRIVER_DIR;
}

static bool name_is_valid(const char *name, size_t len)
{
	return len && len < LOCK_DRIVER_NAME_SIZE && strspn(name, LOCK_DRIVER_LETTERS) >= len;
}

/* Who may write here decides what we run. */
static int check_owner(const struct stat *info, struct error *err)
{
	if (info->st_uid != 0 && info->st_uid != geteuid())
		return error_set(err, -EPERM,
			"belongs to user %u, neither to root nor to us: no lock driver is loaded "
			"from there",
			info->st_uid);
	if (info->st_mode & 022)
		return error_set(err, -EPERM,
			"can be written by others: no lock driver is loaded from there (chmod "
			"go-w it)");
	return 0;
}

static int open_directory(const char *dir, struct error *err)
{
	_cleanup_(closep) int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat info;
	int ret;

	if (fd < 0 || fstat(fd, &info) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	ret = check_owner(&info, err);
	return ret < 0 ? ret : take_fd(&fd);
}

/* A link could lead anywhere, and a FIFO would block. */
static int open_file(int at, const char *name, struct stat *info, struct error *err)
{
	_cleanup_(closep) int fd =
		openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int ret;

	if (fd < 0 && errno != ELOOP)
		return error_set(err, -errno, "%s", strerror(errno));
	if (fd >= 0 && fstat(fd, info) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (fd < 0 || !S_ISREG(info->st_mode))
		return error_set(err, -EINVAL, "is no regular file");
	ret = check_owner(info, err);
	return ret < 0 ? ret : take_fd(&fd);
}

static void *find_handle(const struct stat *info)
{
	const struct loaded *loaded = all_loaded;

	while (loaded && (loaded->dev != info->st_dev || loaded->ino != info->st_ino))
		loaded = loaded->next;
	return loaded ? loaded->handle : NULL;
}

static int load(int *fd, const struct stat *info, void **ret, struct error *err)
{
	_cleanup_(freep) struct loaded *loaded = calloc(1, sizeof(*loaded));
	char path[32];
	const char *why;
	size_t len;

	if (!loaded)
		return error_set(err, -ENOMEM, "no memory for a lock driver");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	len = strlen(path);
	loaded->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!loaded->handle) {
		why = dlerror(); /* "PATH: what is wrong", of a path that tells nobody anything */
		if (strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0)
			why += len + 2;
		return error_set(err, -ENOEXEC, "cannot be loaded: %s", why);
	}
	loaded->dev = info->st_dev;
	loaded->ino = info->st_ino;
	loaded->next = all_loaded;
	take_fd(fd);
	*ret = loaded->handle;
	all_loaded = take_ptr(loaded);
	return 0;
}

#define SLOT(name)                                        \
	{                                                 \
#name, offsetof(struct lock_driver, name) \
	}

static const struct slot {
	const char *name;
	size_t offset;
} slots[] = { SLOT(create), SLOT(destroy), SLOT(set_owner_pid), SLOT(add_resource), SLOT(acquire),
	SLOT(verify), SLOT(arm), SLOT(release), SLOT(inquire), SLOT(descriptors), SLOT(adopt),
	SLOT(lost_fd), SLOT(resource_fds), SLOT(status), SLOT(look) };

#define N_SLOTS (sizeof(slots) / sizeof(slots[0]))

_Static_assert(sizeof(struct lock_driver) - offsetof(struct lock_driver, create) ==
		       N_SLOTS * sizeof(void (*)(void)),
	"each slot has its row");

/* NULL: none */
static const char *missing_slot(const struct lock_driver *driver)
{
	void (*function)(void);
	size_t i;

	for (i = 0; i < N_SLOTS; i++) {
		memcpy(&function, (const char *)driver + slots[i].offset, sizeof(function));
		if (!function)
			return slots[i].name;
	}
	return NULL;
}

/* The number first: of another one nothing else is where we would look for it. */
static int check_driver(const struct lock_driver *driver, const char *name, struct error *err)
{
	const char *missing;
	char shown[64];

	if (!driver)
		return error_set(err, -EINVAL, "is no lock driver: it has no " SYMBOL);
	if (driver->abi != LOCK_DRIVER_ABI)
		return error_set(err, -EINVAL,
			"was built for version %u of vmlatch's lock drivers, and this is "
			"version %u: build it anew",
			driver->abi, LOCK_DRIVER_ABI);
	if (!str_equal(driver->name, name))
		return error_set(err, -EINVAL, "is the lock driver '%s': a file has its name",
			str_printable(driver->name ? driver->name : "", shown, sizeof(shown)));
	missing = missing_slot(driver);
	if (missing)
		return error_set(err, -EINVAL, "is no whole lock driver: it has no %s", missing);
	return 0;
}

/* Sentences without their subject, the file. */
static int load_file(int at, const char *file, const char *name, const struct lock_driver **ret,
	struct error *err)
{
	const struct lock_driver *driver;
	struct stat info = { 0 };
	void *handle;
	int code;

	_cleanup_(closep) int fd = open_file(at, file, &info, err);

	if (fd < 0)
		return fd;
	handle = find_handle(&info);
	code = handle ? 0 : load(&fd, &info, &handle, err);
	if (code < 0)
		return code;
	driver = dlsym(handle, SYMBOL);
	code = check_driver(driver, name, err);
	if (code == 0)
		*ret = driver;
	return code;
}

int lock_module_load(const char *name, const struct lock_driver **ret, struct error *err)
{
	const char *dir = directory();
	_cleanup_(closep) int at = -1;
	char file[FILE_SIZE], shown[128];
	int code;

	if (!name_is_valid(name, strlen(name))) {
		error_set(err, -EINVAL, "'%s' is no lock driver's name: 1 to %d of a-z 0-9 _ -",
			str_printable(name, shown, sizeof(shown)), LOCK_DRIVER_NAME_SIZE - 1);
		return error_status(err, -EINVAL, EX_UNAVAILABLE);
	}
	snprintf(file, sizeof(file), "%s" SUFFIX, name);
	at = open_directory(dir, err);
	if (at < 0 && at != -ENOENT)
		return error_status(err, error_prefix(err, at, "%s", dir), EX_UNAVAILABLE);
	code = at < 0 ? at : load_file(at, file, name, ret, err);
	if (code < 0 && code != -ENOENT) {
		error_prefix(err, code, "%s/%s", dir, file);
		error_status(err, code, EX_UNAVAILABLE);
	}
	return code;
}

static int is_module(const struct dirent *entry)
{
	const char *dot = strchr(entry->d_name, '.');

	return dot && str_equal(dot, SUFFIX) && name_is_valid(entry->d_name, dot - entry->d_name);
}

void lock_module_list(struct str *out)
{
	const char *dir = directory();
	struct dirent **entries;
	int i, n = scandir(dir, &entries, is_module, alphasort);

	if (n < 0)
		str_printf(out, "%s: %s", dir, strerror(errno));
	else
		str_printf(out, n ? "in %s:" : "none in %s", dir);
	for (i = 0; i < n; i++) {
		size_t len = strlen(entries[i]->d_name) - strlen(SUFFIX);

		str_append(out, i ? ", " : " ");
		str_append_bytes(out, entries[i]->d_name, len);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}
