/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define FUSE_USE_VERSION 31
#include <fuse_lowlevel.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/*
 * A directory shown again as a file system of a program's own, for tests:
 *
 *	fuse_dir LOCKS DIRECTORY MOUNTPOINT	(until it is unmounted or killed)
 *
 * LOCKS says who keeps the locks:
 *	kernel		this host's kernel, for this mount: the program is not asked
 *	program		the program (FUSE_POSIX_LOCKS), as clients of servers do: until
 *			they are unlocked, or the file handle is released
 *	ENOSYS, ENOLCK	the program is asked, and this is its answer
 *
 * On SIGUSR1 the program forgets its locks, as where a server throws a client out.
 *
 * Not libfuse's simple interface: that one forgets to forget the locks of open
 * file descriptions.
 */

static int refusal;

/* A path that was looked up, as what it was then; a number is one more than the place here. */
static struct node {
	char path[1024];
	ino_t ino;
} nodes[512];
static size_t n_nodes;

/* A description of its own for each owner that locked by a handle: the directory's file system
 * decides. */
static struct owner {
	uint64_t handle;
	uint64_t name;
	ino_t ino;
	int fd;
} owners[512];
static size_t n_owners;

static const char *path_of(fuse_ino_t ino)
{
	return nodes[ino - 1].path;
}

/* One call has one or two of them. */
static const char *below(fuse_ino_t parent, const char *name)
{
	static char texts[2][1400];
	static unsigned next;
	char *text = texts[next++ % 2];

	snprintf(text, sizeof(texts[0]), "%s/%s", path_of(parent), name);
	return text;
}

static fuse_ino_t node_find(const char *path, ino_t ino)
{
	size_t i;

	for (i = 0; i < n_nodes; i++) {
		if (nodes[i].ino == ino && strcmp(nodes[i].path, path) == 0)
			return i + 1;
	}
	if (n_nodes == sizeof(nodes) / sizeof(nodes[0]))
		abort();
	snprintf(nodes[n_nodes].path, sizeof(nodes[0].path), "%s", path);
	nodes[n_nodes].ino = ino;
	return ++n_nodes;
}

static void answer(fuse_req_t req, int ret)
{
	fuse_reply_err(req, ret < 0 ? errno : 0);
}

/* Nothing is remembered by the kernel: what is below may change. */
static int entry_make(const char *path, struct fuse_entry_param *entry)
{
	*entry = (struct fuse_entry_param){ 0 };
	if (lstat(path, &entry->attr) < 0)
		return -1;
	entry->ino = node_find(path, entry->attr.st_ino);
	return 0;
}

static void entry_answer(fuse_req_t req, const char *path)
{
	struct fuse_entry_param entry;

	if (entry_make(path, &entry) < 0)
		answer(req, -1);
	else
		fuse_reply_entry(req, &entry);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	entry_answer(req, below(parent, name));
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat info;

	if ((file ? fstat(file->fh, &info) : lstat(path_of(ino), &info)) < 0)
		answer(req, -1);
	else
		fuse_reply_attr(req, &info, 0);
}

static void on_setattr(
	fuse_req_t req, fuse_ino_t ino, struct stat *to, int what, struct fuse_file_info *file)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
	const char *path = path_of(ino);
	int ret = 0;

	if (what & FUSE_SET_ATTR_MODE)
		ret = chmod(path, to->st_mode);
	if (ret == 0 && (what & FUSE_SET_ATTR_SIZE))
		ret = truncate(path, to->st_size);
	if (what & FUSE_SET_ATTR_MTIME)
		times[1] = to->st_mtim;
	if (ret == 0 && (what & FUSE_SET_ATTR_MTIME))
		ret = utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
	if (ret < 0)
		answer(req, -1);
	else
		on_getattr(req, ino, file);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const char *path = below(parent, name);

	if (mkdir(path, mode) < 0)
		answer(req, -1);
	else
		entry_answer(req, path);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	answer(req, unlink(below(parent, name)));
}

static void on_rename(fuse_req_t req, fuse_ino_t from, const char *name, fuse_ino_t to,
	const char *new_name, unsigned flags)
{
	(void)flags;
	answer(req, rename(below(from, name), below(to, new_name)));
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	int fd = open(path_of(ino), (file->flags & ~O_NOFOLLOW) | O_CLOEXEC);

	file->fh = fd;
	if (fd < 0)
		answer(req, -1);
	else
		fuse_reply_open(req, file);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *file)
{
	const char *path = below(parent, name);
	int fd = open(path, file->flags | O_CREAT | O_CLOEXEC, mode);
	struct fuse_entry_param entry;

	file->fh = fd;
	if (fd < 0 || entry_make(path, &entry) < 0)
		answer(req, -1);
	else
		fuse_reply_create(req, &entry, file);
}

static void on_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *file)
{
	char *bytes = malloc(size);
	ssize_t n = pread(file->fh, bytes, size, at);

	(void)ino;
	if (n < 0)
		answer(req, -1);
	else
		fuse_reply_buf(req, bytes, n);
	free(bytes);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t at,
	struct fuse_file_info *file)
{
	ssize_t n = pwrite(file->fh, bytes, size, at);

	(void)ino;
	if (n < 0)
		answer(req, -1);
	else
		fuse_reply_write(req, n);
}

static void on_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *file)
{
	char bytes[4096];
	DIR *dir = opendir(path_of(ino));
	const struct dirent *entry;
	size_t used = 0, more;
	off_t i;

	(void)file;
	for (i = 0; dir && (entry = readdir(dir)); i++) {
		struct stat info = { .st_ino = entry->d_ino, .st_mode = entry->d_type << 12 };

		if (i < at)
			continue;
		more = fuse_add_direntry(
			req, bytes + used, sizeof(bytes) - used, entry->d_name, &info, i + 1);
		if (used + more > sizeof(bytes) || used + more > size)
			break;
		used += more;
	}
	if (dir)
		closedir(dir);
	fuse_reply_buf(req, bytes, used);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char value[65536];
	ssize_t n = lgetxattr(path_of(ino), name, value, size);

	if (n < 0)
		answer(req, -1);
	else if (!size)
		fuse_reply_xattr(req, n);
	else
		fuse_reply_buf(req, value, n);
}

static void on_setxattr(
	fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	answer(req, lsetxattr(path_of(ino), name, value, size, flags));
}

static void on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	answer(req, lremovexattr(path_of(ino), name));
}

static int owner_fd(fuse_ino_t ino, const struct fuse_file_info *file)
{
	const struct owner new = { file->fh, file->lock_owner, nodes[ino - 1].ino, -1 };
	size_t i;

	for (i = 0; i < n_owners; i++) {
		if (owners[i].handle == new.handle && owners[i].name == new.name)
			return owners[i].fd;
	}
	if (n_owners == sizeof(owners) / sizeof(owners[0]))
		abort();
	owners[n_owners] = new;
	owners[n_owners].fd = open(path_of(ino), O_RDWR | O_CLOEXEC);
	return owners[n_owners++].fd;
}

static void owner_remove(size_t i)
{
	close(owners[i].fd);
	owners[i] = owners[--n_owners];
}

static volatile sig_atomic_t forgetful;

static void on_signal(int number)
{
	(void)number;
	forgetful = 1;
}

/* Returns -1 with errno. */
static int lock_do(fuse_ino_t ino, struct fuse_file_info *file, int command, struct flock *lock)
{
	int fd;

	errno = refusal;
	if (refusal)
		return -1;
	while (forgetful && n_owners)
		owner_remove(0);
	forgetful = 0;
	fd = owner_fd(ino, file);
	lock->l_pid = 0;
	return fcntl(fd, command, lock);
}

static void on_getlk(
	fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file, struct flock *lock)
{
	if (lock_do(ino, file, F_OFD_GETLK, lock) < 0)
		answer(req, -1);
	else
		fuse_reply_lock(req, lock);
}

static void on_setlk(
	fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file, struct flock *lock, int sleep)
{
	(void)sleep;
	answer(req, lock_do(ino, file, F_OFD_SETLK, lock));
}

/* A process closes one of its descriptors: its POSIX locks on the file end. */
static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	size_t i;

	for (i = n_owners; i--;) {
		if (owners[i].name == file->lock_owner && owners[i].ino == nodes[ino - 1].ino)
			owner_remove(i);
	}
	answer(req, 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
	size_t i;

	(void)ino;
	for (i = n_owners; i--;) {
		if (owners[i].handle == file->fh)
			owner_remove(i);
	}
	close(file->fh);
	answer(req, 0);
}

static void on_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file)
{
	(void)ino, (void)datasync;
	answer(req, fsync(file->fh));
}

static struct fuse_lowlevel_ops operations = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.mkdir = on_mkdir,
	.unlink = on_unlink,
	.rename = on_rename,
	.open = on_open,
	.create = on_create,
	.read = on_read,
	.write = on_write,
	.flush = on_flush,
	.release = on_release,
	.fsync = on_fsync,
	.readdir = on_readdir,
	.getxattr = on_getxattr,
	.setxattr = on_setxattr,
	.removexattr = on_removexattr,
	.getlk = on_getlk,
	.setlk = on_setlk,
};

static int serve(const char *name, const char *mountpoint)
{
	char *words[] = { (char *)name, "-oallow_other,fsname=fuse_dir,subtype=dir", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, words);
	struct fuse_session *session =
		fuse_session_new(&args, &operations, sizeof(operations), NULL);
	int ret;

	if (!session || fuse_session_mount(session, mountpoint) != 0)
		return 1;
	ret = fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return ret != 0;
}

int main(int argc, char **argv)
{
	struct stat info;

	if (argc != 4 || stat(argv[2], &info) < 0)
		return 64;
	signal(SIGUSR1, on_signal);
	node_find(argv[2], info.st_ino); /* FUSE_ROOT_ID: 1 */
	if (strcmp(argv[1], "kernel") == 0)
		operations.getlk = NULL, operations.setlk = NULL;
	else if (strcmp(argv[1], "ENOSYS") == 0)
		refusal = ENOSYS;
	else if (strcmp(argv[1], "ENOLCK") == 0)
		refusal = ENOLCK;
	else if (strcmp(argv[1], "program") != 0)
		return 64;
	return serve(argv[0], argv[3]);
}
