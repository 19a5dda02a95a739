/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/qemu_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/keyval.h"

/* QEMU's buffers; what does not fit is cut, or the rest of the line is a line of its own */
#define LINE_SIZE  1024
#define NAME_SIZE  64
#define VALUE_SIZE 1024

struct reading {
	qemu_config_fn *fn;
	void *data;
	char group[NAME_SIZE];
	json_t *options; /* of the section that is being read; NULL: none yet */
};

/* The section is complete. */
static int section_end(struct reading *reading)
{
	json_t *options = take_ptr(reading->options);
	int code = options ? reading->fn(reading->data, reading->group, options) : 0;

	json_decref(options);
	return code;
}

/* @id: NULL for none */
static int section_begin(struct reading *reading, const char *group, const char *id)
{
	int code = section_end(reading);

	if (code < 0)
		return code;
	reading->options = json_object();
	if (!reading->options || (id && keyval_set_text(reading->options, "id", id) < 0))
		return -ENOMEM;
	memcpy(reading->group, group, NAME_SIZE);
	return 0;
}

static int line_parse(struct reading *reading, const char *line, struct error *err)
{
	char name[NAME_SIZE] = "", value[VALUE_SIZE] = "";

	if (*line == '\n' || *line == '#')
		return 0;
	if (*line == '[') {
		if (sscanf(line, "[%63s \"%63[^\"]\"]", name, value) == 2)
			return section_begin(reading, name, value);
		if (sscanf(line, "[%63[^]]]", name) == 1)
			return section_begin(reading, name, NULL);
	}
	value[0] = '\0';
	if (sscanf(line, " %63s = \"%1023[^\"]\"", name, value) != 2 &&
		sscanf(line, " %63s = \"\"", name) != 1)
		return error_set(err, -EINVAL, "neither a section nor a setting");
	if (!reading->options)
		return error_set(err, -EINVAL, "a setting before the first section");
	return keyval_set_text(reading->options, name, value);
}

/* The next line as fgets() reads it; returns how much of @text it was. */
static size_t line_read(const char *text, size_t len, char line[static LINE_SIZE])
{
	const char *end = memchr(text, '\n', len);
	size_t size = end ? (size_t)(end - text) + 1 : len;

	if (size > LINE_SIZE - 1)
		size = LINE_SIZE - 1;
	memcpy(line, text, size);
	line[size] = '\0';
	return size;
}

int qemu_config_parse(
	const char *text, size_t len, qemu_config_fn *fn, void *data, struct error *err)
{
	struct reading reading = { .fn = fn, .data = data };
	char line[LINE_SIZE];
	size_t number, size;
	int code = 0;

	for (number = 1; len && code == 0; number++) {
		size = line_read(text, len, line);
		text += size;
		len -= size;
		code = line_parse(&reading, line, err);
		if (code == -EINVAL)
			error_prefix(err, code, "line %zu", number);
	}
	if (code == 0)
		return section_end(&reading);
	json_decref(reading.options);
	return code;
}
