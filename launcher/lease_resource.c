/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/lease_resource.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "locking/lease.h"

/* The caller's; NULL: no memory. */
static char *lease_name(const struct lease *lease, const char *lockspace)
{
	const char *given = lease->path[0] ? lease->path : lockspace;
	_cleanup_(freep) char *real = given ? realpath(given, NULL) : NULL;
	_cleanup_(str_finish) struct str name = { 0 };

	str_printf(&name, "%s:%s", lease->space, lease->key);
	if (given)
		str_printf(&name, ":%s", real ? real : given);
	if (lease->offset)
		str_printf(&name, ":%" PRIu64, lease->offset);
	return str_take(&name);
}

int lease_resource_add(const char *text, const char *origin, const struct options *options,
	struct resource_set *set, struct error *err)
{
	struct resource resource = { .kind = RESOURCE_LEASE, .mode = RESOURCE_EXCLUSIVE };
	_cleanup_(freep) char *name = NULL;
	struct lease lease;
	int ret = lease_from_text(text, &lease, err);

	if (ret < 0)
		return error_status(err, ret, EX_USAGE);
	if (!lease.path[0] && !options->lockspace && str_equal(options->lock, "file")) {
		error_set(err, -EINVAL,
			"lease %s: say where it is, as in %s:/DIRECTORY, or give --lockspace", text,
			text);
		return error_status(err, -EINVAL, EX_USAGE);
	}
	name = lease_name(&lease, options->lockspace);
	resource.path = name;
	resource.origin = (char *)origin;
	ret = name ? resource_set_add(set, &resource, NULL) : -ENOMEM;
	return ret < 0 ? error_set(err, ret, "out of memory") : 0;
}
