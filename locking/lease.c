/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lease.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* A file's name: of one part, and not hidden. */
static bool name_is_fit(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/');
}

static int complain(const char *text, const char *why, struct error *err)
{
	return error_set(err, -EINVAL, "lease '%s': %s", text, why);
}

/* Cut up to the colon (or the end) off @rest. 0, or -EINVAL if it is too long. */
static int cut(const char **rest, char *ret, size_t size)
{
	size_t len = strcspn(*rest, ":");

	if (len >= size)
		return -EINVAL;
	snprintf(ret, size, "%.*s", (int)len, *rest);
	*rest += len;
	return 0;
}

/* "PATH[:OFFSET]"; a path may have colons in it, so only a number behind the last one counts. */
static int path_cut(const char *text, struct lease *ret)
{
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text);

	if (colon && str_to_u64(colon + 1, &ret->offset) == 0)
		len = colon - text;
	if (len >= sizeof(ret->path))
		return -EINVAL;
	snprintf(ret->path, sizeof(ret->path), "%.*s", (int)len, text);
	return 0;
}

int lease_from_text(const char *text, struct lease *ret, struct error *err)
{
	struct lease lease = { 0 };
	const char *rest = text;

	if (cut(&rest, lease.space, sizeof(lease.space)) < 0 || *rest != ':')
		return complain(text, "needs SPACE:KEY[:PATH[:OFFSET]]", err);
	rest++;
	if (cut(&rest, lease.key, sizeof(lease.key)) < 0)
		return complain(text, "its key is too long", err);
	if (!name_is_fit(lease.space) || !name_is_fit(lease.key))
		return complain(text,
			"SPACE and KEY are names of files: without '/', and with no '.' in front",
			err);
	if (*rest && path_cut(rest + 1, &lease) < 0)
		return complain(text, "its path is too long", err);
	if (*rest && lease.path[0] != '/')
		return complain(text, "its path must begin with '/'", err);
	*ret = lease;
	return 0;
}
