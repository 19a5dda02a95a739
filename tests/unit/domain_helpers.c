/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "domain_helpers.h"

#include <unistd.h>

#include "base/cleanup.h"

const char *const drivers[] = { "file", "nop" };

struct domain_lock *new_domain(const char *driver, const char *vm)
{
	struct lock_params params = fixture_params(vm);
	struct domain_lock *domain = NULL;

	assert_int_equal(domain_lock_new(driver, &params, NULL, &domain, NULL), 0);
	return domain;
}

int attach(struct domain_lock *domain, const char *path, enum resource_mode mode, struct error *err)
{
	struct resource image = fixture_resource(path, mode);
	struct lock_conflict conflict;

	return domain_lock_image_attach(domain, &image, &conflict, err);
}

int detach(struct domain_lock *domain, const char *path)
{
	struct resource image = fixture_resource(path, RESOURCE_READER);

	return domain_lock_image_detach(domain, &image, NULL);
}

int start_domain(struct domain_lock *domain)
{
	struct domain_lock_start start = { .pid = getpid() };
	struct lock_conflict conflict;

	return domain_lock_process_start(domain, &start, &conflict, NULL);
}

int pause_domain(struct domain_lock *domain)
{
	_cleanup_(freep) char *text = NULL;

	assert_int_equal(domain_lock_process_inquire(domain, &text, NULL), 0);
	return domain_lock_process_pause(domain, text, NULL);
}

int resume_domain(struct domain_lock *domain, struct error *err)
{
	struct lock_conflict conflict;

	return domain_lock_process_resume(domain, false, &conflict, err);
}

struct domain_lock *running(const char *driver, const char *vm, const char *path)
{
	struct domain_lock *domain = new_domain(driver, vm);

	assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(start_domain(domain), 0);
	return domain;
}

int try_hold(const char *path)
{
	struct peer peer = peer_start("file", "other", path, RESOURCE_EXCLUSIVE);

	peer_stop(&peer);
	return peer.result;
}

bool is_free(const char *path)
{
	return try_hold(path) == 0;
}
