/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nss.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A module for nsswitch.conf, "odd": users of the number ODD_UID and its group, each with
 * a name that says what becomes of the process that asks for them.
 */

#define EXPORT  __attribute__((visibility("default")))
#define ODD_UID 54400

static void die(struct passwd *entry)
{
	(void)entry;
	abort();
}

static void leave(struct passwd *entry)
{
	(void)entry;
	_exit(3);
}

static void hang(struct passwd *entry)
{
	(void)entry;
	for (;;)
		pause();
}

/* What setresuid() takes for "as before". */
static void be_nobody(struct passwd *entry)
{
	entry->pw_uid = -1;
}

/* Into each pipe that is open for writing. */
static void make_noise(struct passwd *entry)
{
	static const char noise[] = "0123456789abcdef0123456789abcdef";
	struct stat info;
	int fd;

	(void)entry;
	for (fd = 3; fd < 256; fd++) {
		if (fstat(fd, &info) == 0 && S_ISFIFO(info.st_mode) &&
			(fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
			(void)!write(fd, noise, strlen(noise));
	}
}

static const struct odd_user {
	const char *name;
	void (*behave)(struct passwd *entry);
	long groups; /* supplementary, but for the primary one */
} users[] = {
	{ "odd-good", NULL, 1 }, { "odd-most", NULL, NGROUPS_MAX - 1 },
	{ "odd-more", NULL, NGROUPS_MAX }, { "odd-abort", die, 0 }, { "odd-exit", leave, 0 },
	{ "odd-hang", hang, 0 }, { "odd-nobody", be_nobody, 0 }, { "odd-noise", make_noise, 0 },
	{ "65534:65534", die, 0 }, /* for who asks */
};

static const struct odd_user *user_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		if (strcmp(users[i].name, name) == 0)
			return &users[i];
	}
	return NULL;
}

EXPORT enum nss_status _nss_odd_getpwnam_r(
	const char *name, struct passwd *entry, char *buffer, size_t size, int *err);
EXPORT enum nss_status _nss_odd_initgroups_dyn(const char *name, gid_t primary, long *used,
	long *size, gid_t **groups, long limit, int *err);

enum nss_status _nss_odd_getpwnam_r(
	const char *name, struct passwd *entry, char *buffer, size_t size, int *err)
{
	static char nothing[] = "";
	const struct odd_user *user = user_find(name);

	if (!user) {
		*err = ENOENT;
		return NSS_STATUS_NOTFOUND;
	}
	if (strlen(name) >= size) {
		*err = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	*entry = (struct passwd){
		.pw_name = memcpy(buffer, name, strlen(name) + 1),
		.pw_passwd = nothing,
		.pw_gecos = nothing,
		.pw_dir = nothing,
		.pw_shell = nothing,
		.pw_uid = ODD_UID,
		.pw_gid = ODD_UID,
	};
	if (user->behave)
		user->behave(entry);
	return NSS_STATUS_SUCCESS;
}

/* The array is libc's, and grows by realloc(). */
enum nss_status _nss_odd_initgroups_dyn(const char *name, gid_t primary, long *used, long *size,
	gid_t **groups, long limit, int *err)
{
	const struct odd_user *user = user_find(name);
	long i, n = user ? user->groups : 0;

	(void)limit;
	if (*size < *used + n) {
		gid_t *more = reallocarray(*groups, *used + n, sizeof(gid_t));

		if (!more) {
			*err = ENOMEM;
			return NSS_STATUS_TRYAGAIN;
		}
		*groups = more;
		*size = *used + n;
	}
	for (i = 1; i <= n; i++)
		(*groups)[(*used)++] = primary + i;
	return NSS_STATUS_SUCCESS;
}
