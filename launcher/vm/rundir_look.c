/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "launcher/vm/rundir.h"
#include "launcher/vm/rundir_lock.h"

void vm_entry_finish(struct vm_entry *entry)
{
	if (entry->readable)
		vm_state_finish(&entry->state);
	entry->readable = false;
}

/* Fill @entry->state, or say why not. 0 or -errno. */
static int load_state(struct vm_entry *entry, int at, const char *file, const char *if_missing)
{
	struct error err = { 0 };
	int ret = vm_state_load(at, file, &entry->state, &err);

	if (ret == 0 && strcmp(entry->state.name, entry->name) != 0) {
		vm_state_finish(&entry->state);
		ret = error_set(&err, -EINVAL, "%s is another VM's", file);
	}
	entry->readable = ret == 0;
	if (ret < 0)
		snprintf(entry->problem, sizeof(entry->problem), "%s",
			ret == -ENOENT ? if_missing : err.text);
	return ret;
}

static void look_whether_outdated(struct vm_entry *entry, int dir)
{
	struct stat info;

	if (fstatat(dir, STATE_FILE, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	entry->outdated = (info.st_mode & 07777) == RUNDIR_STATE_OUTDATED;
	if (entry->outdated)
		snprintf(entry->problem, sizeof(entry->problem),
			"its supervisor cannot write %s (is there no room?): what is said here was "
			"true once",
			STATE_FILE);
}

static void look_into(struct vm_entry *entry, int dir)
{
	bool supervised = rundir_lock_is_held(dir);
	int ret = load_state(entry, dir, STATE_FILE,
		supervised ? "it is just starting" : "its start came to nothing");
	bool understood = ret == 0 || ret == -ENOENT;

	if (supervised && ret == 0)
		look_whether_outdated(entry, dir);
	entry->presence = supervised ? VM_SUPERVISED : VM_GONE;
	if (supervised || (understood && !(ret == 0 && vm_state_is_alive(&entry->state))))
		return;
	/* it may have been claimed and started since the first look */
	if (rundir_lock_is_held(dir))
		entry->presence = VM_SUPERVISED;
	else
		entry->presence = understood ? VM_UNSUPERVISED : VM_UNKNOWN;
}

/* -ENOENT: no directory (that we would trust), and no end record. */
int rundir_look(const struct rundir *rundir, const char *name, struct vm_entry *ret)
{
	char last[VM_NAME_SIZE + sizeof(RUNDIR_LAST)];
	_cleanup_(closep) int dir = -1;
	struct vm_entry entry = { .presence = VM_GONE };

	if (!vm_name_is_valid(name))
		return -ENOENT;
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	dir = file_look_dir(rundir->root_fd, name, NULL);
	if (dir >= 0) {
		look_into(&entry, dir);
	} else {
		snprintf(last, sizeof(last), "%s%s", name, RUNDIR_LAST);
		if (faccessat(rundir->root_fd, last, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			return -ENOENT;
		load_state(&entry, rundir->root_fd, last, "its end record has gone");
	}
	*ret = entry;
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int may_be_vm(const struct dirent *entry)
{
	return vm_name_is_valid(entry->d_name) && entry->d_type != DT_REG;
}

/* In a directory that we would trust. */
static bool may_use(
	const struct rundir *rundir, const char *name, const struct resource_identity *id)
{
	_cleanup_(closep) int dir = file_look_dir(rundir->root_fd, name, NULL);

	return dir >= 0 && vm_state_may_name(dir, STATE_FILE, id);
}

/* All, or (users_of) those whose state file names this disk. */
static int list(const struct rundir *rundir, const struct resource_identity *users_of,
	struct vm_entry **ret, size_t *n)
{
	struct dirent **names = NULL;
	struct vm_entry *entries;
	size_t used = 0;
	int found, i;

	found = scandirat(rundir->root_fd, ".", &names, may_be_vm, by_name);
	if (found < 0)
		return -errno;
	entries = calloc(found + 1, sizeof(*entries));
	for (i = 0; i < found; i++) {
		const char *name = names[i]->d_name;

		if (entries && (!users_of || may_use(rundir, name, users_of)) &&
			rundir_look(rundir, name, &entries[used]) == 0)
			used++;
		free(names[i]);
	}
	free(names);
	if (!entries)
		return -ENOMEM;
	*ret = entries;
	*n = used;
	return 0;
}

int rundir_list(const struct rundir *rundir, struct vm_entry **ret, size_t *n, struct error *err)
{
	int code = list(rundir, NULL, ret, n);

	return code < 0 ? error_set(err, code, "read %s: %s", rundir->root, strerror(-code)) : 0;
}

int rundir_list_users(const struct rundir *rundir, const struct resource_identity *id,
	struct vm_entry **ret, size_t *n)
{
	return list(rundir, id, ret, n);
}
