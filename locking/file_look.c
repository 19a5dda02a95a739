/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/file_lock.h"
#include "locking/file_locks.h"
#include "locking/file_open.h"
#include "locking/file_record.h"
#include "locking/holder.h"

/* What others hold on an image, seen from outside: nothing is locked or written. */

static int look_at(int fd, const char *path, struct lock_view *view, struct error *err)
{
	struct file_record_home home = { fd, FILE_RECORD_FORM_ATTRIBUTE };
	struct holder_query query = {
		.fd = fd, .use = FILE_USE_EXCLUSIVE, .home = home, .id = view->id
	};
	struct lock_owner self = { 0 };
	struct record record;
	struct flock lock;
	int ret;

	process_boot_id(self.boot_id); /* without it no record of this boot is checked further */
	ret = file_record_read(home, &view->id, self.boot_id, &record);
	view->recordable = ret == 0 || ret == FILE_RECORD_NONE;
	view->generation = ret == 0 ? record.generation : 0;
	ret = file_lock_look(fd, &view->mode, &lock);
	if (ret < 0 && !file_lock_is_unsupported(ret))
		return error_set(err, ret, "%s: look at its locks: %s", path, strerror(-ret));
	view->lockable = ret >= 0;
	view->held = ret > 0;
	if (view->held)
		holder_find(&query, &self, &view->holder);
	return 0;
}

/* What a reader needs is enough to see everything; the path stays the caller's. */
static int look_at_path(const char *path, struct lock_view *view, struct error *err)
{
	_cleanup_(closep) int fd = file_open(path, false, &view->id, err);

	return fd < 0 ? fd : look_at(fd, path, view, err);
}

static int look_at_open(const char *path, int fd, struct lock_view *view, struct error *err)
{
	int code = file_open_check(path, fd, &view->id, err);

	return code < 0 ? code : look_at(fd, path, view, err);
}

int file_driver_look(const char *path, int fd, struct lock_view *ret, struct error *err)
{
	struct lock_view view = { 0 };
	int code = fd < 0 ? look_at_path(path, &view, err) : look_at_open(path, fd, &view, err);

	if (code == 0)
		*ret = view;
	return code;
}
