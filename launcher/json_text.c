/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "base/str.h"

#define KEY_SIZE 64

static int set_exact(json_t *object, const char *key, const char *text)
{
	_cleanup_(str_finish) struct str hex = { 0 };
	_cleanup_(freep) char *shown = malloc(4 * strlen(text) + 1);
	char hex_key[KEY_SIZE];

	if (!shown)
		return -ENOMEM;
	str_printable(text, shown, 4 * strlen(text) + 1);
	snprintf(hex_key, sizeof(hex_key), "%s-hex", key);
	for (; *text; text++)
		str_printf(&hex, "%02x", (unsigned char)*text);
	if (hex.failed || json_object_set_new(object, hex_key, json_string(hex.text)) < 0)
		return -ENOMEM;
	return json_object_set_new(object, key, json_string(shown)) < 0 ? -ENOMEM : 0;
}

int json_text_set(json_t *object, const char *key, const char *text)
{
	json_t *value;

	if (!text)
		return 0;
	value = json_string(text);
	if (!value)
		return set_exact(object, key, text); /* or no memory, which it will tell */
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? at - digits : -1;
}

static int from_hex(const char *hex, char **ret)
{
	_cleanup_(str_finish) struct str text = { 0 };
	char *taken, byte;

	for (; *hex; hex += 2) {
		int high = hex_digit(hex[0]), low = high < 0 ? -1 : hex_digit(hex[1]);

		if (low < 0 || high + low == 0)
			return -EINVAL;
		byte = high << 4 | low;
		str_append_bytes(&text, &byte, 1);
	}
	taken = str_take(&text);
	if (!taken)
		return -ENOMEM;
	*ret = taken;
	return 0;
}

int json_text_get(const json_t *object, const char *key, char **ret)
{
	char hex_key[KEY_SIZE];
	json_t *value;
	char *copy;

	snprintf(hex_key, sizeof(hex_key), "%s-hex", key);
	value = json_object_get(object, hex_key);
	if (value)
		return json_is_string(value) ? from_hex(json_string_value(value), ret) : -EINVAL;
	value = json_object_get(object, key);
	if (!value) {
		*ret = NULL;
		return 0;
	}
	if (!json_is_string(value))
		return -EINVAL;
	copy = strdup(json_string_value(value));
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

char *json_text_dump(const json_t *value)
{
	_cleanup_(freep) char *text = NULL;

	allocation_watch();
	text = json_dumps(value, JSON_COMPACT);
	return allocation_failed() ? NULL : take_ptr(text);
}
