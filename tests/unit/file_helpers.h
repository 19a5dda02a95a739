/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lock_fixture.h"
#include "locking/lock_manager.h"

/* Short forms for tests of the file driver; what is not expected to fail is asserted. */
#define ATTRIBUTE "user.vmlatch"

struct lock *new_lock(const char *vm);
void add(struct lock *lock, const char *path, enum resource_mode mode);

/* A lock object that holds one armed image. */
struct lock *held_lock(const char *vm, const char *path, enum resource_mode mode);

/* What another VM's acquire returns. */
int try_acquire(const char *path, enum resource_mode mode, struct error *err);

struct lock_status status_of(struct lock *lock, const char *path);
char *saved_of(struct lock *lock); /* the inquired state; the caller's */

/* What a stranger's F_OFD_GETLK for writing says of one byte: F_WRLCK, F_RDLCK or F_UNLCK. */
int lock_seen(const char *path, off_t byte);

/* The attribute's text, "" if there is none. */
const char *record_of(const char *path);
bool record_says(const char *path, const char *words);
