/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/error.h"

/*
 * Config files: lines of KEY = VALUE, at the top or below [vmlatch]. A comment
 * has a line of its own that begins with # or ;. Nothing is passed over in
 * silence: what is not understood is an error that names file and line.
 *
 *	VMLATCH_CONFIG_DIR or /etc/vmlatch
 *		vmlatch.conf, then vmlatch.conf.d/ *.conf in the order of their names
 *		vm/NAME.conf
 *		vm/NAME.args, which is of another form: args_file.h
 */

/* Where the files are; static. */
const char *config_dir(void);

/* One KEY = VALUE. Returns 0 or -errno with a sentence, to which file and line are added. */
struct config_sink {
	int (*set)(void *data, const char *key, const char *value, struct error *err);
	void *data;
	const char *repeatable; /* a key that may be set more than once in a file; may be NULL */
};

/*
 * Parse text. Pure.
 *
 * @name	of the file, for the sentence
 *
 * Returns 0 or -errno with a sentence and status 78.
 */
struct config_text {
	const char *name;
	const char *text;
	size_t len;
};
int config_parse(
	const struct config_text *config, const struct config_sink *sink, struct error *err);

/* Whether a file that is not there is an error (status 66). */
enum config_need { CONFIG_OPTIONAL, CONFIG_REQUIRED };

/*
 * The text of a file, the caller's.
 *
 * Returns 0, CONFIG_NO_FILE (there is none, and none is needed), or -errno with a
 * sentence and its status.
 */
enum { CONFIG_NO_FILE = 1 };
int config_read_text(
	const char *path, enum config_need need, char **ret, size_t *ret_len, struct error *err);

int config_read_file(
	const char *path, enum config_need need, const struct config_sink *sink, struct error *err);

/* All *.conf of a directory, by name; no such directory: 0. */
int config_read_dir(const char *path, const struct config_sink *sink, struct error *err);
