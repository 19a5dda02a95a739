/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "chain_fixture.h"

#include "base/cleanup.h"
#include "base/str.h"

char chain_directory[] = "/tmp/vmlatch-chain-XXXXXX";

int chain_setup(void **state)
{
	(void)state;
	strcpy(chain_directory + strlen(chain_directory) - 6, "XXXXXX");
	return !mkdtemp(chain_directory) || chmod(chain_directory, 0755) < 0 ||
	       chdir(chain_directory) < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

int chain_teardown(void **state)
{
	(void)state;
	return chdir("/") < 0 || nftw(chain_directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0;
}

void chain_put(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

void chain_put_raw(const char *name)
{
	static const char zeroes[512];

	chain_put(name, zeroes, sizeof(zeroes));
}

void chain_put_qcow2(const char *name, const char *backing, const char *format)
{
	uint8_t bytes[2048] = "QFI\xfb\0\0\0\2";
	uint32_t size = htobe32(backing ? strlen(backing) : 0);
	uint32_t type = htobe32(0xe2792aca);
	uint32_t format_size = htobe32(format ? strlen(format) : 0);

	bytes[23] = 16;
	if (format) {
		memcpy(bytes + 72, &type, 4);
		memcpy(bytes + 76, &format_size, 4);
		memcpy(bytes + 80, format, strlen(format));
	}
	if (backing) {
		bytes[14] = 0x01; /* at 256 */
		memcpy(bytes + 16, &size, 4);
		memcpy(bytes + 256, backing, strlen(backing));
	}
	chain_put(name, bytes, sizeof(bytes));
}

static const struct credentials ours;

int chain_find(const char *words, struct disks *ret, struct error *err)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	_cleanup_(freep) char *copy = strdup(words);
	char *argv[32] = { "qemu", "-no-user-config" };
	size_t n = 2;
	char *word;

	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[n++] = word;
	return disks_from_argv(argv, &params, ret, err);
}

/* "NAME MODE" of each resource, in the order of the names, and the notes' kinds. */
static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *chain_summary(const struct disks *disks)
{
	struct strv lines = { 0 };
	struct str text = { 0 };
	char line[256];
	size_t i;

	for (i = 0; i < disks->set.n; i++) {
		const struct resource *resource = &disks->set.items[i];

		assert_true(str_starts(resource->path, chain_directory));
		snprintf(line, sizeof(line), "%s %s", resource->path + strlen(chain_directory) + 1,
			resource_mode_name(resource->mode));
		assert_int_equal(strv_add(&lines, line), 0);
	}
	if (lines.n)
		qsort(lines.items, lines.n, sizeof(char *), compare_lines);
	for (i = 0; i < lines.n; i++)
		str_printf(&text, "%s%s", i ? ", " : "", lines.items[i]);
	for (i = 0; i < disks->notes.n; i++)
		str_printf(&text, "; %s", disks_note_kind_name(disks->notes.items[i].kind));
	strv_finish(&lines);
	return str_take(&text);
}

void chain_expect(const char *words, const char *wanted)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	if (chain_find(words, &disks, &err) < 0)
		fail_msg("%s: %s", words, err.text);
	text = chain_summary(&disks);
	assert_string_equal(text, wanted);
}

void chain_refuses(const char *words, int status, const char *part)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	struct error err = { 0 };

	assert_true(chain_find(words, &disks, &err) < 0);
	assert_int_equal(err.status, status);
	if (!strstr(err.text, part))
		fail_msg("'%s' does not say '%s'", err.text, part);
}
