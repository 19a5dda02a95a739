/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * The members of state.json, for both directions. What is not required is
 * empty where it is missing.
 */
enum field_kind {
	FIELD_NAME,   /* a VM's name */
	FIELD_UUID,   /* 36 characters; a boot id has the same form */
	FIELD_TEXT,   /* char *; NULL is left out */
	FIELD_SWITCH, /* bool */
	FIELD_TIME,   /* int64_t, not negative */
	FIELD_COUNT,  /* uint64_t */
	FIELD_STATUS, /* int: an exit status, or -SIGNAL */
	FIELD_LOCK_STATE,
	FIELD_CAUSE,
	FIELD_PROCESS,
	FIELD_LIST, /* struct strv */
	FIELD_RESOURCES,
};

struct field {
	const char *key;
	size_t offset;
	enum field_kind kind;
	bool required;
};

extern const struct field state_fields[];
extern const size_t state_n_fields;
