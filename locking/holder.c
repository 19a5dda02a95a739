/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/holder.h"

#include <errno.h>

#include "locking/file_record.h"
#include "locking/holder_process.h"

void holder_from_record(const struct record *record, struct lock_holder *ret)
{
	*ret = (struct lock_holder){
		.source = LOCK_HOLDER_RECORD,
		.pid = record->owner.pid,
		.since = record->since,
	};
	str_printable(record->owner.vm, ret->vm, sizeof(ret->vm));
	str_printable(record->owner.host, ret->host, sizeof(ret->host));
}

static int record_judge(
	const struct record *record, const struct lock_owner *self, struct lock_holder *ret)
{
	const struct lock_owner *owner = &record->owner;

	if (!record->held)
		return HOLDER_TAKING;
	if (str_equal(owner->boot_id, self->boot_id)) {
		if (!process_is_alive(owner->pid, owner->start_time))
			return HOLDER_DEAD;
	} else if (str_equal(owner->host, self->host)) {
		return HOLDER_TAKING; /* what it speaks of ended when this host went down */
	}
	holder_from_record(record, ret);
	return HOLDER_KNOWN;
}

int holder_find(
	const struct holder_query *query, const struct lock_owner *self, struct lock_holder *ret)
{
	struct record record;
	struct flock lock;
	int met = file_lock_conflict(query->fd, query->use, &lock);

	if (met <= 0)
		return met < 0 ? met : HOLDER_NOBODY;
	if (lock.l_pid > 0) {
		holder_from_pid(lock.l_pid, ret);
		return HOLDER_KNOWN;
	}
	if (lock.l_type != F_WRLCK)
		return HOLDER_UNKNOWN; /* only exclusive users write records */
	met = file_record_read(query->home, &query->id, self->boot_id, &record);
	if (met < 0 || met == FILE_RECORD_NOWHERE)
		return HOLDER_UNKNOWN;
	return met == FILE_RECORD_NONE ? HOLDER_TAKING : record_judge(&record, self, ret);
}
