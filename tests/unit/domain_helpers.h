/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lock_fixture.h"

/* Short forms for tests of domain_lock; what is not expected to fail is asserted. */
extern const char *const drivers[]; /* "file", "nop" */
#define FOR_EACH_DRIVER(i) for (i = 0; i < 2; i++)

struct domain_lock *new_domain(const char *driver, const char *vm);
int attach(
	struct domain_lock *domain, const char *path, enum resource_mode mode, struct error *err);
int detach(struct domain_lock *domain, const char *path);
int start_domain(struct domain_lock *domain);
int pause_domain(struct domain_lock *domain);
int resume_domain(struct domain_lock *domain, struct error *err);

/* A VM that runs with one exclusive image. */
struct domain_lock *running(const char *driver, const char *vm, const char *path);

/* What another process that wants it for itself is told: 0, LOCK_BUSY, ... */
int try_hold(const char *path);
bool is_free(const char *path);
