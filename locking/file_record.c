/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ATTRIBUTE "user.vmlatch"
#define BEGINNING "vmlatch " /* of every record of ours, of any version */

/*
 * The two forms. Read: the length; -ENODATA: nothing is there; -ENOTSUP: nothing
 * can be. Write and remove: 0 or -errno.
 */
static ssize_t attribute_read(int fd, char text[static RECORD_TEXT_MAX])
{
	ssize_t len = TEMP_FAILURE_RETRY(fgetxattr(fd, ATTRIBUTE, text, RECORD_TEXT_MAX));

	if (len < 0)
		return errno == ERANGE ? 0 : -errno; /* longer than any of ours */
	return len;
}

static int attribute_write(int fd, const char *text, size_t len)
{
	return TEMP_FAILURE_RETRY(fsetxattr(fd, ATTRIBUTE, text, len, 0)) < 0 ? -errno : 0;
}

static int attribute_remove(int fd)
{
	if (TEMP_FAILURE_RETRY(fgetxattr(fd, ATTRIBUTE, NULL, 0)) < 0 && errno == ENODATA)
		return 0;
	return TEMP_FAILURE_RETRY(fremovexattr(fd, ATTRIBUTE)) < 0 && errno != ENODATA ? -errno : 0;
}

/* What does not begin as ours do belongs to somebody else, and stays. */
static ssize_t text_read(int fd, char text[static RECORD_TEXT_MAX])
{
	ssize_t len = TEMP_FAILURE_RETRY(pread(fd, text, RECORD_TEXT_MAX, 0));

	if (len <= 0)
		return len < 0 ? -errno : -ENODATA;
	if (len < (ssize_t)strlen(BEGINNING) || memcmp(text, BEGINNING, strlen(BEGINNING)) != 0)
		return -ENOTSUP;
	if (text[len - 1] == '\n')
		len--;
	return len;
}

/* With a line's end, for who looks at it with cat. */
static int text_write(int fd, const char *text, size_t len)
{
	char line[RECORD_TEXT_MAX + 1];
	ssize_t written;

	memcpy(line, text, len);
	line[len++] = '\n';
	written = TEMP_FAILURE_RETRY(pwrite(fd, line, len, 0));
	if (written != (ssize_t)len)
		return written < 0 ? -errno : -ENOSPC;
	return TEMP_FAILURE_RETRY(ftruncate(fd, len)) < 0 ? -errno : 0;
}

static int text_remove(int fd)
{
	return TEMP_FAILURE_RETRY(ftruncate(fd, 0)) < 0 ? -errno : 0;
}

static const struct {
	ssize_t (*read)(int fd, char text[static RECORD_TEXT_MAX]);
	int (*write)(int fd, const char *text, size_t len);
	int (*remove)(int fd);
} forms[] = {
	[FILE_RECORD_FORM_ATTRIBUTE] = { attribute_read, attribute_write, attribute_remove },
	[FILE_RECORD_FORM_TEXT] = { text_read, text_write, text_remove },
};

/* An attribute may have been copied, with another file. */
static bool record_is_about(
	const struct record *record, const struct resource_identity *id, const char *boot_id)
{
	if (record->id.ino != id->ino)
		return false;
	return record->id.dev == id->dev || !str_equal(record->owner.boot_id, boot_id);
}

int file_record_read(struct file_record_home home, const struct resource_identity *id,
	const char *boot_id, struct record *ret)
{
	char text[RECORD_TEXT_MAX];
	struct record record;
	ssize_t len;

	if (home.form == FILE_RECORD_FORM_NONE)
		return FILE_RECORD_NOWHERE;
	len = forms[home.form].read(home.fd, text);
	if (len == -ENOTSUP)
		return FILE_RECORD_NOWHERE;
	if (len < 0 && len != -ENODATA)
		return len;
	if (len < 0 || record_from_text(text, len, &record) < 0)
		return FILE_RECORD_NONE;
	if (home.form == FILE_RECORD_FORM_ATTRIBUTE && !record_is_about(&record, id, boot_id))
		return FILE_RECORD_NONE;
	*ret = record;
	return 0;
}

/* Returns the text that is there now, or NULL with -errno in @code. */
static char *record_put(struct file_record_home home, const struct record *record, int *code)
{
	_cleanup_(str_finish) struct str text = { 0 };

	record_to_text(record, &text);
	if (text.failed)
		*code = -ENOMEM;
	else
		*code = forms[home.form].write(home.fd, text.text, text.len);
	return *code < 0 ? NULL : str_take(&text);
}

int file_record_write(
	struct file_record_home home, struct record *record, char **text, struct error *err)
{
	int code = 0;

	*text = NULL;
	record->held = true;
	*text = record_put(home, record, &code);
	if (code == 0)
		return 0;
	if (code != -ENOMEM && forms[home.form].remove(home.fd) == 0)
		return FILE_RECORD_NOWHERE;
	return error_set(err, code, "its record (%s) can be neither replaced nor removed: %s",
		home.form == FILE_RECORD_FORM_TEXT ? "the lock file's text"
						   : "attribute " ATTRIBUTE,
		strerror(-code));
}

static int mark(struct file_record_home home, const struct lock_owner *owner,
	void (*change)(struct record *record, const struct lock_owner *owner), struct error *err)
{
	static const struct resource_identity any;
	struct record record;
	int code = file_record_read(home, &any, owner->boot_id, &record);

	if (code > 0)
		return 0;
	if (code == 0) {
		change(&record, owner);
		free(record_put(home, &record, &code));
	}
	if (code < 0)
		return error_set(err, code, "its record cannot be written: %s", strerror(-code));
	return 0;
}

static void count_part(struct record *record, const struct lock_owner *owner)
{
	(void)owner;
	record->parts = record_count_on(record->parts);
}

/* Not held by him, who is one of several; but the last to come. */
static void note_sharer(struct record *record, const struct lock_owner *owner)
{
	record->generation = record_count_on(record->generation);
	record->owner = *owner;
	record->held = false;
}

int file_record_mark_part(
	struct file_record_home home, const struct lock_owner *owner, struct error *err)
{
	return mark(home, owner, count_part, err);
}

int file_record_mark_shared(
	struct file_record_home home, const struct lock_owner *owner, struct error *err)
{
	return mark(home, owner, note_sharer, err);
}

void file_record_rename_owner(
	struct file_record_home home, char **text, const struct lock_owner *owner)
{
	struct record record;
	char *written;
	int code;

	if (record_from_text(*text, strlen(*text), &record) < 0)
		return;
	record.owner = *owner;
	written = record_put(home, &record, &code);
	if (!written)
		return;
	free(*text);
	*text = written;
}

void file_record_clear(struct file_record_home home, char *text)
{
	char *held = strstr(text, " held=1 ");

	if (held)
		held[strlen(" held=")] = '0';
	/* without the answer: the lock, not the record, says who holds the image */
	(void)!forms[home.form].write(home.fd, text, strlen(text));
}

char *file_record_recall(struct file_record_home home, const struct resource_identity *id,
	const struct lock_owner *owner)
{
	_cleanup_(str_finish) struct str text = { 0 };
	struct record record;

	if (file_record_read(home, id, owner->boot_id, &record) != 0 ||
		!str_equal(record.owner.instance, owner->instance))
		return NULL;
	record_to_text(&record, &text);
	return str_take(&text);
}
