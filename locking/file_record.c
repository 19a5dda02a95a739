/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_record.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"

#define ATTRIBUTE "user.vmlatch"

int file_record_read(
	int fd, const struct resource_identity *id, const char *boot_id, struct record *ret)
{
	char text[RECORD_TEXT_MAX];
	struct record record;
	ssize_t len = fgetxattr(fd, ATTRIBUTE, text, sizeof(text));

	if (len < 0 && errno == ENOTSUP)
		return FILE_RECORD_NOWHERE;
	if (len < 0 && errno != ENODATA && errno != ERANGE)
		return -errno;
	if (len < 0 || record_from_text(text, len, &record) < 0)
		return FILE_RECORD_NONE;
	if (record.id.ino != id->ino ||
		(record.id.dev != id->dev && str_equal(record.owner.boot_id, boot_id)))
		return FILE_RECORD_NONE;
	*ret = record;
	return 0;
}

/* Nothing is there (any more) that speaks of an older generation. */
static bool record_remove(int fd)
{
	if (fgetxattr(fd, ATTRIBUTE, NULL, 0) < 0 && errno == ENODATA)
		return true;
	return fremovexattr(fd, ATTRIBUTE) == 0 || errno == ENODATA;
}

/* Returns the text that is on the file now, or NULL with -errno in @code. */
static char *record_write(int fd, const struct record *record, int *code)
{
	_cleanup_(str_finish) struct str text = { 0 };

	record_to_text(record, &text);
	if (text.failed)
		*code = -ENOMEM;
	else
		*code = fsetxattr(fd, ATTRIBUTE, text.text, text.len, 0) < 0 ? -errno : 0;
	return *code < 0 ? NULL : str_take(&text);
}

int file_record_arm(int fd, struct record *record, char **text, struct error *err)
{
	struct record old = { 0 };
	int code = file_record_read(fd, &record->id, record->owner.boot_id, &old);

	*text = NULL;
	if (code == FILE_RECORD_NOWHERE)
		return code;
	record->generation = old.generation + 1;
	record->held = true;
	if (code >= 0)
		*text = record_write(fd, record, &code);
	if (code == 0)
		return 0;
	if (code != -ENOMEM && record_remove(fd))
		return FILE_RECORD_NOWHERE;
	return error_set(err, code,
		"its record (attribute " ATTRIBUTE ") can be neither replaced nor removed: %s",
		strerror(-code));
}

void file_record_clear(int fd, char *text)
{
	char *held = strstr(text, " held=1 ");

	if (held)
		held[strlen(" held=")] = '0';
	/* without the answer: the lock, not the record, says who holds the image */
	(void)!fsetxattr(fd, ATTRIBUTE, text, strlen(text), 0);
}

char *file_record_recall(int fd, const struct resource_identity *id, const struct lock_owner *owner)
{
	_cleanup_(str_finish) struct str text = { 0 };
	struct record record;

	if (file_record_read(fd, id, owner->boot_id, &record) != 0 ||
		!str_equal(record.owner.instance, owner->instance))
		return NULL;
	record_to_text(&record, &text);
	return str_take(&text);
}
