/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* What we say ourselves, and what we must understand. */

/* The error classes that QMP has; a new error is always GENERIC. */
#define QMP_CLASS_GENERIC           "GenericError"
#define QMP_CLASS_COMMAND_NOT_FOUND "CommandNotFound"
#define QMP_CLASS_DEVICE_NOT_FOUND  "DeviceNotFound"

/*
 * Bytes to tree. QMP's own spellings are taken (qmp/dialect.h); an integer that
 * jansson cannot hold is a real in the tree, all others stay integers. A key
 * given twice is an error.
 *
 * @ret	the caller's: json_decref()
 *
 * Returns 0, -EINVAL with a sentence, or -ENOMEM.
 */
int message_parse(const char *bytes, size_t len, json_t **ret, struct error *err);

/*
 * The messages, one line each with the line's end. They are appended to @out;
 * out->failed tells that memory ran out. Trees are borrowed.
 *
 * @id	JSON text that is echoed as it is; NULL: none
 */
void message_command(struct str *out, const char *command, json_t *arguments);
void message_return(struct str *out, json_t *value, const char *id);
void message_error(struct str *out, const char *class, const char *desc, const char *id);
void message_event(struct str *out, const char *name, json_t *data); /* the time is now */

/*
 * Our greeting. Clients look for version.qemu (qmp-shell prints it) and for
 * nothing else, so it is always there: 0.0.0 until QEMU's is known. We name
 * ourselves beside it and in "package", which is text for people.
 */
struct message_version {
	int major;
	int minor;
	int micro;
};
void message_greeting(struct str *out, struct message_version qemu);
