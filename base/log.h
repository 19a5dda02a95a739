/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Lines on stderr, one write each: "vmlatch: NAME: sentence", or one JSON
 * object a line. Where stderr is systemd's journal each has its priority in front
 * ("<3>"), which the journal takes off. Only the program logs; libraries fill a struct error.
 */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* "error" … "debug"; returns the level, or -1 for an unknown word. */
int log_level_from_name(const char *name);

void log_set_level(enum log_level level); /* default: notice */
void log_set_format(enum log_format format);
void log_set_vm(const char *name); /* borrowed, must outlive the logging; NULL: none */

void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
