/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_locks.h"
#include "locking/holder.h"

static int holder_find_at(
	const struct file_locks *locks, const struct file_place *place, struct lock_holder *ret)
{
	const struct holder_query query = {
		.fd = place->life,
		.use = place->use,
		.home = file_place_record_home(place),
		.id = place->id,
	};

	return holder_find(&query, &locks->owner, ret);
}

int file_locks_find_holder(
	const struct file_locks *locks, const struct file_image *busy, struct lock_holder *ret)
{
	int verdict = holder_find_at(locks, &busy->places[busy->busy_place], ret), other;
	size_t i;

	for (i = 0; verdict == HOLDER_UNKNOWN && i < busy->n_places; i++) {
		if (i == busy->busy_place || busy->places[i].life < 0)
			continue;
		other = holder_find_at(locks, &busy->places[i], ret);
		if (other > HOLDER_NOBODY)
			verdict = other;
	}
	return verdict;
}
