/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/domain_lock_data.h"
#include "locking/lock_manager.h"
#include "locking/saved_state.h"

/* A resume that comes to nothing: what nobody has used is as stale as before, and no more. */

/* "held file/1 ...": the driver's part. 0 or -errno. */
static int text_pass_over(char **text, const char *before)
{
	_cleanup_(str_finish) struct str out = { 0 };
	_cleanup_(freep) char *merged = NULL;
	const char *driver = strchr(*text, ' ') + 1;
	char *whole;
	int ret = saved_state_as_before(driver, before, &merged);

	if (ret < 0)
		return ret;
	str_append_bytes(&out, *text, driver - *text);
	str_append(&out, merged);
	whole = str_take(&out);
	if (!whole)
		return -ENOMEM;
	free(*text);
	*text = whole;
	return 0;
}

int domain_lock_process_inquire_unused(struct domain_lock *domain, char **ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	int code = domain_lock_process_inquire(domain, &text, err);

	if (code < 0)
		return code;
	if (domain->passed_over && domain->state == DOMAIN_LOCK_HELD) {
		code = text_pass_over(&text, domain->passed_over);
		if (code < 0)
			return error_set(err, code, "no memory for the lock state");
	}
	*ret = take_ptr(text);
	return 0;
}

/* With what is there now, of all that it speaks of. */
static void saved_renew(struct domain_lock *domain)
{
	_cleanup_(freep) char *now = NULL;
	char *renewed;

	if (!domain->saved || lock_manager_inquire(domain->lock, &now, NULL) < 0)
		return;
	if (saved_state_as_before(domain->saved, now, &renewed) < 0)
		return;
	free(domain->saved);
	domain->saved = renewed;
}

int domain_lock_arm_again(struct domain_lock *domain, bool as_saved, struct error *err)
{
	int ret = lock_manager_arm(domain->lock, err);

	if (ret < 0 && as_saved)
		saved_renew(domain);
	return ret;
}
