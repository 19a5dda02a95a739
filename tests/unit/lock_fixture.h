/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "locking/domain_lock.h"

/* A directory of its own for each test, removed with all that is in it. */
struct lock_fixture {
	char dir[64];
	int loop; /* -1: none */
};
int lock_fixture_setup(void **state);
int lock_fixture_teardown(void **state);

/* DIR/NAME in a buffer of the fixture's (the last four calls' stay). */
const char *fixture_path(const char *name);

/* Make DIR/NAME, 64 KiB of zeroes. Returns the path, as above. */
const char *fixture_image(const char *name);

/* A loop device on this file until the teardown. Its path (static), or NULL where there is none. */
const char *fixture_loop_device(const char *path);

/* A resource that borrows @path. */
struct resource fixture_resource(const char *path, enum resource_mode mode);

/* Who we are, as VM @vm with a fixed instance id of its own. */
struct lock_params fixture_params(const char *vm);

/* The first descriptor of a resource that QEMU inherits, or -1. */
int first_fd_of(struct lock *lock, const struct resource *resource);
int domain_first_fd_of(struct domain_lock *domain, const struct resource *resource);

/* The open descriptors of this process. */
size_t fixture_count_fds(void);

/* Write one byte of the image without any lock, and make sure that mtime moves. */
void fixture_write(const char *path);

/*
 * A VM in another process: holds @path in @mode under @driver's locks as soon as
 * peer_start() returns. It dies with the test.
 */
struct peer {
	pid_t pid;
	int socket;
	int result; /* of the start: 0, LOCK_BUSY, ... */
};
struct peer peer_start(
	const char *driver, const char *vm, const char *path, enum resource_mode mode);

/* 'p'ause, 'r'esume, 'f'orced resume. Returns what the call returned. */
int peer_ask(struct peer *peer, char what);

void peer_stop(struct peer *peer); /* it lets go and ends */
void peer_kill(struct peer *peer); /* SIGKILL */

/* Run @body in a child; its return value, or -1 if it did not exit. */
int in_child(int (*body)(const char *path), const char *path);
