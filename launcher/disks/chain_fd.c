/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/inherited.h"

/*
 * "/dev/fdset/SET": QEMU opens nothing, but takes the descriptor of the set whose
 * access mode is the one that it wants. Usually all are of one file.
 */

static int fd_visit(
	struct chain *chain, int fd, const struct chain_place *place, struct chain_primary *ret)
{
	_cleanup_(freep) char *path = inherited_path(fd);
	struct chain_place own = *place;

	if (!path && errno == ENOMEM)
		return -ENOMEM;
	if (!path)
		return disks_notes_add(&chain->notes, DISKS_NOTE_UNLOCKABLE,
			"%s: the file of descriptor %d has no name any more, and cannot be locked",
			place->origin, fd);
	own.writable = place->writable && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
	own.opened = true;
	return chain_visit_path(chain, path, &own, ret);
}

/* As strtol() reads it. */
static int set_parse(const char *text, uint64_t *ret)
{
	text += strspn(text, " \t\n\v\f\r");
	return str_to_u64(text + (*text == '+'), ret);
}

int chain_visit_fdset(struct chain *chain, const char *name, const struct chain_place *place,
	struct chain_primary *ret)
{
	const struct command_line *line = chain->line;
	uint64_t set;
	size_t i, found = 0;
	int code = 0;

	if (set_parse(name + strlen(CHAIN_FDSET), &set) < 0)
		return 0; /* QEMU refuses it */
	for (i = 0; i < line->n_fds && code == 0; i++) {
		if (line->fds[i].set != set || !inherited_is(line->fds[i].fd))
			continue;
		found++;
		code = fd_visit(chain, line->fds[i].fd, place, ret);
	}
	if (code < 0)
		return code;
	if (!found)
		return disks_notes_add(&chain->notes, DISKS_NOTE_NOT_UNDERSTOOD,
			"%s: no -add-fd has put an open descriptor into %s", place->origin, name);
	chain->from_set = true;
	if (ret->image != CHAIN_NO_IMAGE) {
		ret->path = strdup(name); /* so QEMU finds what is named beside it, or not */
		code = ret->path ? 0 : -ENOMEM;
	}
	return code;
}
