/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/keyval.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "base/str.h"

/* A value up to a single comma; @text moves to that comma, or the end. NULL: no memory. */
static json_t *value_read(const char **text)
{
	_cleanup_(str_finish) struct str value = { 0 };
	const char *from = *text;
	size_t len;

	for (;;) {
		len = strcspn(from, ",");
		*text = from + len;
		if (from[len] != ',' || from[len + 1] != ',')
			break;
		str_append_bytes(&value, from, len + 1);
		from += len + 2;
	}
	if (!value.len && !value.failed) /* nearly always */
		return json_stringn_nocheck(from, len);
	str_append_bytes(&value, from, len);
	return value.failed ? NULL : json_stringn_nocheck(value.text, value.len);
}

/* One "key=value" or bare word, from @text on; @text moves behind it. 0 or -ENOMEM. */
static int pair_read(const char **text, const char *implied, json_t *into)
{
	size_t key_len = strcspn(*text, "=,");
	const char *key = *text;
	json_t *value;

	if (key[key_len] == '=') {
		*text = key + key_len + 1;
		value = value_read(text);
	} else if (implied) {
		value = value_read(text);
		key = implied;
		key_len = strlen(implied);
	} else {
		bool off = key_len > 2 && str_starts(key, "no");

		*text = key + key_len;
		value = json_string_nocheck(off ? "off" : "on");
		key += off ? 2 : 0;
		key_len -= off ? 2 : 0;
	}
	if (value && key_len == 2 && memcmp(key, "id", 2) == 0 && json_object_get(into, "id")) {
		json_decref(value);
		return 0;
	}
	return json_object_setn_new_nocheck(into, key, key_len, value) < 0 ? -ENOMEM : 0;
}

int keyval_parse(const char *text, const char *implied, json_t **ret)
{
	_cleanup_(keyval_freep) json_t *object = json_object();

	if (!object)
		return -ENOMEM;
	while (*text) {
		if (pair_read(&text, implied, object) < 0)
			return -ENOMEM;
		implied = NULL;
		if (*text == ',')
			text++;
	}
	*ret = take_ptr(object);
	return 0;
}

/* QEMU's JSON in jansson's spelling: 'a"b\'c' becomes "a\"b'c". */
static char *json_respell(const char *text)
{
	struct str out = { 0 };
	char quote = '\0';

	for (; *text; text++) {
		if (quote && *text == '\\' && text[1]) {
			text++;
			if (*text != '\'')
				str_append(&out, "\\");
			str_append_bytes(&out, text, 1);
		} else if (quote ? *text == quote : *text == '"' || *text == '\'') {
			quote = quote ? '\0' : *text;
			str_append(&out, "\"");
		} else {
			if (*text == '"')
				str_append(&out, "\\");
			str_append_bytes(&out, text, 1);
		}
	}
	return str_take(&out);
}

int keyval_parse_json(const char *text, json_t **ret, struct error *err)
{
	_cleanup_(keyval_freep) json_t *object = NULL;
	_cleanup_(freep) char *respelt = json_respell(text);
	json_error_t why;

	if (!respelt)
		return -ENOMEM;
	/* integers as reals: QEMU has 64 bits without a sign, jansson has not */
	allocation_watch();
	object = json_loads(respelt, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
	if (allocation_failed())
		return -ENOMEM;
	if (!object)
		return error_set(err, -EINVAL, "not valid JSON: %s", why.text);
	if (!json_is_object(object))
		return error_set(err, -EINVAL, "not a JSON object");
	*ret = take_ptr(object);
	return 0;
}

static int nest_object(json_t *into, const json_t *from, size_t depth, struct error *err);
static int nest_member(
	json_t *into, const char *key, json_t *value, size_t depth, struct error *err);

static int nest_array(json_t *into, const json_t *from, size_t depth, struct error *err)
{
	json_t *value;
	char key[24];
	size_t i;
	int code;

	json_array_foreach (from, i, value) {
		snprintf(key, sizeof(key), "%zu", i);
		code = nest_member(into, key, value, depth, err);
		if (code < 0)
			return code;
	}
	return 0;
}

/* The object at @key of @into, made if it is not there. */
static int group_find(json_t *into, const char *key, size_t len, json_t **ret, struct error *err)
{
	json_t *group = json_object_getn(into, key, len);

	if (!group) {
		group = json_object();
		if (!group || json_object_setn_new_nocheck(into, key, len, group) < 0)
			return -ENOMEM;
	}
	if (!json_is_object(group))
		return error_set(err, -EINVAL, "'%.*s' is both a value and a group", (int)len, key);
	*ret = group;
	return 0;
}

static int nest_member(
	json_t *into, const char *key, json_t *value, size_t depth, struct error *err)
{
	size_t len = strcspn(key, ".");
	int code;

	for (; key[len]; key += len + 1, len = strcspn(key, ".")) {
		depth++;
		code = depth > KEYVAL_DEPTH_MAX ? 0 : group_find(into, key, len, &into, err);
		if (code < 0)
			return code;
	}
	if (depth > KEYVAL_DEPTH_MAX)
		return error_set(err, -EINVAL, "options are nested too deep");
	if (json_is_object(value) || json_is_array(value)) {
		code = group_find(into, key, len, &into, err);
		if (code < 0)
			return code;
		return json_is_object(value) ? nest_object(into, value, depth + 1, err)
					     : nest_array(into, value, depth + 1, err);
	}
	if (json_object_get(into, key))
		return error_set(err, -EINVAL, "'%s' is given twice", key);
	return json_object_set_nocheck(into, key, value) < 0 ? -ENOMEM : 0;
}

static int nest_object(json_t *into, const json_t *from, size_t depth, struct error *err)
{
	const char *key;
	json_t *value;
	int code;

	json_object_foreach ((json_t *)from, key, value) {
		code = nest_member(into, key, value, depth, err);
		if (code < 0)
			return code;
	}
	return 0;
}

/* No dotted key and no list: as nearly every -drive is. */
static bool is_nested(const json_t *flat)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)flat, key, value) {
		if (strchr(key, '.') || json_is_object(value) || json_is_array(value))
			return false;
	}
	return true;
}

int keyval_nest(const json_t *flat, json_t **ret, struct error *err)
{
	_cleanup_(keyval_freep) json_t *nested = NULL;
	int code;

	if (is_nested(flat)) {
		*ret = json_incref((json_t *)flat);
		return 0;
	}
	nested = json_object();
	if (!nested)
		return -ENOMEM;
	code = nest_object(nested, flat, 0, err);
	if (code < 0)
		return code;
	*ret = take_ptr(nested);
	return 0;
}

const char *keyval_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

bool keyval_bool(const json_t *object, const char *key, bool fallback)
{
	static const char *const words[][2] = {
		{ "off", "on" },
		{ "no", "yes" },
		{ "false", "true" },
		{ "n", "y" },
	};
	const json_t *value = json_object_get(object, key);
	size_t i;

	if (json_is_boolean(value))
		return json_is_true(value);
	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (str_equal(json_string_value(value), words[i][0]))
			return false;
		if (str_equal(json_string_value(value), words[i][1]))
			return true;
	}
	return fallback;
}

int keyval_set_text(json_t *object, const char *key, const char *text)
{
	return json_object_set_new_nocheck(object, key, json_string_nocheck(text)) < 0 ? -ENOMEM
										       : 0;
}
