/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "launcher/disks/chain_walk.h"

/* What is said of a file that is no good. */

static int status_from_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
	case ENXIO:
	case ENOMEDIUM:
		return EX_NOINPUT;
	case EACCES:
	case EPERM:
		return EX_NOPERM;
	case ELOOP:
	case ENAMETOOLONG:
		return EX_DATAERR;
	default:
		return EX_OSERR;
	}
}

/* Does the argument name the path as it stands, so that it need not be said again? */
static bool origin_names(const char *origin, const char *path)
{
	/* what stands before the name, and behind it if anything does */
	static const char places[][2] = { " ", { '=', ',' }, { '"', '"' } };
	const char *at = strstr(origin, path);
	char before = at && at > origin ? at[-1] : ' ';
	char after = at ? at[strlen(path)] : '\0';
	size_t i;

	for (i = 0; at && i < sizeof(places) / sizeof(*places); i++) {
		if (before == places[i][0] && (!after || after == places[i][1]))
			return true;
	}
	return false;
}

/* The sentence: who names the file, which one it is, and what is wrong. Returns @code. */
static int file_say(struct chain *chain, const struct chain_place *place, const char *path,
	int code, const char *why)
{
	if (origin_names(place->origin, path))
		return error_set(chain->err, code, "%s: %s", place->origin, why);
	return error_set(chain->err, code, "%s: %s: %s", place->origin, path, why);
}

int chain_file_fail(struct chain *chain, const struct chain_place *place, const char *path,
	int number, const char *why)
{
	int code;

	if (chain->note_missing && (number == ENOENT || number == ENOTDIR || number == EACCES)) {
		code = disks_notes_add(
			&chain->notes, DISKS_NOTE_MISSING, "%s: %s: %s", place->origin, path, why);
		return code < 0 ? code : CHAIN_FILE_MISSING;
	}
	error_status(chain->err, 0, status_from_errno(number));
	return file_say(chain, place, path, -number, why);
}

int chain_file_refuse(
	struct chain *chain, const struct chain_place *place, const char *path, const char *why)
{
	error_status(chain->err, 0, EX_DATAERR);
	return file_say(chain, place, path, -EINVAL, why);
}
