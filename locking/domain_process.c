/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/str.h"
#include "locking/domain_lock_data.h"
#include "locking/lock_manager.h"

/* The life of a VM's process under its locks: start, take over, inquire, pause, resume. */

#define POLL_FIRST_MS 20
#define POLL_LAST_MS  250

/* The state text is one of these words, a space, and the driver's text. */
static const char *const state_words[] = {
	[DOMAIN_LOCK_REGISTERED] = "registered",
	[DOMAIN_LOCK_HELD] = "held",
	[DOMAIN_LOCK_RELEASED] = "released",
};

static int acquire_patiently(struct domain_lock *domain, int64_t wait_ms,
	struct lock_conflict *conflict, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + wait_ms, pause_ms = POLL_FIRST_MS, left_ms;
	struct lock_conflict unread;
	int ret;

	for (; wait_ms > 0; pause_ms = pause_ms * 2 < POLL_LAST_MS ? pause_ms * 2 : POLL_LAST_MS) {
		ret = lock_manager_acquire(domain->lock, 0, NULL, err);
		left_ms = deadline - clock_monotonic_ms();
		if (ret != LOCK_BUSY)
			return ret;
		if (left_ms <= 0)
			break;
		clock_sleep_ms(pause_ms < left_ms ? pause_ms : left_ms);
	}
	return lock_manager_acquire(domain->lock, 0, conflict ? conflict : &unread, err);
}

/* Back to where nothing is held, after @code; the sentence stays. Returns @code. */
static int give_back(struct domain_lock *domain, int code)
{
	lock_manager_release(domain->lock, NULL, NULL);
	return code;
}

int domain_lock_process_start(struct domain_lock *domain, const struct domain_lock_start *start,
	struct lock_conflict *conflict, struct error *err)
{
	int ret;

	lock_manager_set_owner_pid(domain->lock, start->pid, start->start_time);
	ret = lock_manager_acquire(domain->lock, LOCK_REGISTER_ONLY, NULL, err);
	if (ret == 0 && !start->register_only) {
		ret = acquire_patiently(domain, start->wait_ms, conflict, err);
		if (ret == 0)
			ret = lock_manager_arm(domain->lock, err);
	}
	if (ret == 0)
		ret = lock_manager_acquire(
			domain->lock, LOCK_REGISTER_ONLY | LOCK_RESTRICT, NULL, err);
	if (ret != 0)
		return give_back(domain, ret);
	if (!start->register_only) {
		domain->state = DOMAIN_LOCK_HELD;
		domain_lock_refresh(domain);
	}
	return 0;
}

int domain_lock_descriptors(
	struct domain_lock *domain, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	return lock_manager_descriptors(domain->lock, ret, n, err);
}

/* The driver's part of a state text. NULL: the text is not in @state. */
static const char *driver_text(const char *text, enum domain_lock_state state)
{
	size_t len = strlen(state_words[state]);

	if (!str_starts(text, state_words[state]) || text[len] != ' ')
		return NULL;
	return text + len + 1;
}

int domain_lock_adopt(struct domain_lock *domain, const struct domain_lock_start *start,
	const int *fds, size_t n, const char *state, struct error *err)
{
	enum domain_lock_state now = DOMAIN_LOCK_HELD;
	const char *text = driver_text(state, now);
	int ret;

	if (!text) {
		now = DOMAIN_LOCK_REGISTERED;
		text = driver_text(state, now);
	}
	if (!text)
		return error_set(
			err, -EINVAL, "this lock state cannot be taken over: '%.80s'", state);
	lock_manager_set_owner_pid(domain->lock, start->pid, start->start_time);
	ret = lock_manager_adopt(domain->lock, fds, n, text, err);
	if (ret < 0)
		return ret;
	domain->state = now;
	domain_lock_refresh(domain);
	return 0;
}

int domain_lock_process_inquire(struct domain_lock *domain, char **ret, struct error *err)
{
	_cleanup_(str_finish) struct str out = { 0 };
	_cleanup_(freep) char *inquired = NULL;
	char *text;
	int code;

	if (domain->state != DOMAIN_LOCK_RELEASED) {
		code = lock_manager_inquire(domain->lock, &inquired, err);
		if (code < 0)
			return code;
	}
	str_append(&out, state_words[domain->state]);
	str_append(&out, " ");
	str_append(&out, inquired ? inquired : domain->saved);
	text = str_take(&out);
	if (!text)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	*ret = text;
	return 0;
}

int domain_lock_process_pause(struct domain_lock *domain, const char *saved, struct error *err)
{
	const char *text = driver_text(saved, DOMAIN_LOCK_HELD);
	char *copy;
	int ret;

	if (domain->state != DOMAIN_LOCK_HELD)
		return 0;
	if (!text)
		return error_set(err, -EINVAL, "not the state of held locks: '%.80s'", saved);
	ret = domain_lock_check_saved(domain, text, err);
	if (ret != 0)
		return ret;
	copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	ret = lock_manager_release(domain->lock, NULL, err);
	if (ret < 0) {
		free(copy);
		return ret;
	}
	domain->saved = copy;
	domain->state = DOMAIN_LOCK_RELEASED;
	return 0;
}

int domain_lock_process_resume(struct domain_lock *domain, bool force_stale,
	struct lock_conflict *conflict, struct error *err)
{
	int ret;

	if (domain->state == DOMAIN_LOCK_HELD)
		return 0;
	ret = acquire_patiently(domain, 0, conflict, err);
	if (ret != 0)
		return ret;
	if (domain->saved && !force_stale)
		ret = lock_manager_verify(domain->lock, domain->saved, err);
	if (ret == 0)
		ret = domain_lock_arm_again(domain, !force_stale, err);
	if (ret != 0)
		return give_back(domain, ret);
	free(domain->passed_over);
	domain->passed_over = force_stale ? take_ptr(domain->saved) : NULL;
	free(take_ptr(domain->saved));
	domain->state = DOMAIN_LOCK_HELD;
	domain_lock_refresh(domain);
	return 0;
}
