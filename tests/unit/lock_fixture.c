/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lock_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "locking/lock_manager.h"

static struct lock_fixture fixture;

int lock_fixture_setup(void **state)
{
	fixture.loop = -1;
	strcpy(fixture.dir, "/tmp/vmlatch-lock-XXXXXX");
	*state = &fixture;
	return mkdtemp(fixture.dir) ? 0 : -1;
}

const char *fixture_loop_device(const char *path)
{
	struct loop_config config = { .fd = (unsigned)open(path, O_RDWR | O_CLOEXEC) };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), number;
	static char device[32];
	bool done = false;

	while (!done && (number = ioctl(control, LOOP_CTL_GET_FREE)) >= 0) {
		snprintf(device, sizeof(device), "/dev/loop%d", number);
		fixture.loop = open(device, O_RDWR | O_CLOEXEC);
		done = ioctl(fixture.loop, LOOP_CONFIGURE, &config) == 0;
		if (!done && errno != EBUSY) /* somebody else was faster */
			break;
		if (!done)
			close(fixture.loop);
	}
	close((int)config.fd);
	close(control);
	return done ? device : NULL;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *level)
{
	(void)info, (void)type, (void)level;
	return remove(path);
}

int lock_fixture_teardown(void **state)
{
	(void)state;
	if (fixture.loop >= 0) {
		ioctl(fixture.loop, LOOP_CLR_FD);
		close(fixture.loop);
	}
	return nftw(fixture.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_path(const char *name)
{
	static char paths[4][128];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", fixture.dir, name);
	return path;
}

const char *fixture_image(const char *name)
{
	const char *path = fixture_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, 65536) < 0)
		abort();
	close(fd);
	return path;
}

struct resource fixture_resource(const char *path, enum resource_mode mode)
{
	return (struct resource){ .kind = RESOURCE_DISK, .mode = mode, .path = (char *)path };
}

struct lock_params fixture_params(const char *vm)
{
	struct lock_params params = { .owner.pid = getpid() };

	snprintf(params.owner.vm, LOCK_NAME_SIZE, "%s", vm);
	snprintf(params.owner.host, LOCK_NAME_SIZE, "testhost");
	snprintf(params.owner.instance, UUID_SIZE, "%08x-0000-4000-8000-000000000000",
		(unsigned)vm[0] << 8 | (unsigned char)vm[strlen(vm) - 1]);
	process_boot_id(params.owner.boot_id);
	process_start_time(getpid(), &params.owner.start_time);
	return params;
}

int first_fd_of(struct lock *lock, const struct resource *resource)
{
	int fds[LOCK_FDS_MAX];

	return lock_manager_resource_fds(lock, resource, fds) ? fds[0] : -1;
}

int domain_first_fd_of(struct domain_lock *domain, const struct resource *resource)
{
	int fds[LOCK_FDS_MAX];

	return domain_lock_resource_fds(domain, resource, fds) ? fds[0] : -1;
}

size_t fixture_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void fixture_write(const char *path)
{
	struct stat before, now;
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	fstat(fd, &before);
	do { /* file times move with the clock tick */
		if (pwrite(fd, "x", 1, 4096) != 1)
			abort();
		fstat(fd, &now);
	} while (now.st_mtim.tv_sec == before.st_mtim.tv_sec &&
		 now.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
	close(fd);
}

static int peer_act(struct domain_lock *domain, char what)
{
	char *text = NULL;
	int ret;

	if (what != 'p')
		return domain_lock_process_resume(domain, what == 'f', NULL, NULL);
	ret = domain_lock_process_inquire(domain, &text, NULL);
	if (ret == 0)
		ret = domain_lock_process_pause(domain, text, NULL);
	free(text);
	return ret;
}

static int peer_live(int socket, const char *driver, const char *vm, const struct resource *image)
{
	struct resource_set set = { .items = (struct resource *)image, .n = 1 };
	struct lock_params params = fixture_params(vm);
	struct domain_lock_start start = {
		.pid = getpid(),
		.start_time = params.owner.start_time,
	};
	struct domain_lock *domain;
	char what;
	int ret = domain_lock_new(driver, &params, &set, &domain, NULL);

	if (ret < 0)
		return 1;
	ret = domain_lock_process_start(domain, &start, NULL, NULL);
	while (write(socket, &ret, sizeof(ret)) == sizeof(ret) && read(socket, &what, 1) == 1)
		ret = peer_act(domain, what);
	ret = domain_lock_state(domain) == DOMAIN_LOCK_HELD ? peer_act(domain, 'p') : 0;
	domain_lock_free(domain);
	return ret != 0;
}

struct peer peer_start(
	const char *driver, const char *vm, const char *path, enum resource_mode mode)
{
	struct resource image = fixture_resource(path, mode);
	struct peer peer = { .result = -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	peer.pid = fork();
	if (peer.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		_exit(peer_live(pair[1], driver, vm, &image));
	}
	close(pair[1]);
	peer.socket = pair[0];
	if (read(peer.socket, &peer.result, sizeof(peer.result)) < 0)
		peer.result = -1;
	return peer;
}

int peer_ask(struct peer *peer, char what)
{
	int ret = -1;

	if (write(peer->socket, &what, 1) != 1)
		return -1;
	return read(peer->socket, &ret, sizeof(ret)) == sizeof(ret) ? ret : -1;
}

void peer_stop(struct peer *peer)
{
	close(peer->socket);
	waitpid(peer->pid, NULL, 0);
}

void peer_kill(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	peer_stop(peer);
}

int in_child(int (*body)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(body(path));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
