/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/json_text.h"
#include "launcher/vm/state.h"
#include "launcher/vm/state_fields.h"

#define PID_LIMIT    (4 * 1024 * 1024) /* the kernel's PID_MAX_LIMIT */
#define STATUS_LIMIT 255
#define SIGNAL_LIMIT 64

static int read_integer(const json_t *value, json_int_t least, json_int_t most, json_int_t *ret)
{
	if (!json_is_integer(value))
		return -EINVAL;
	*ret = json_integer_value(value);
	return *ret < least || *ret > most ? -EINVAL : 0;
}

static int read_name(const json_t *value, char *ret)
{
	const char *text = json_string_value(value);

	if (!text || !vm_name_is_valid(text))
		return -EINVAL;
	memcpy(ret, text, strlen(text) + 1); /* a valid name fits */
	return 0;
}

static int read_uuid(const json_t *value, char *ret)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) != UUID_SIZE - 1 ||
		strspn(text, "0123456789abcdef-") != UUID_SIZE - 1)
		return -EINVAL;
	memcpy(ret, text, UUID_SIZE);
	return 0;
}

static int read_process(const json_t *value, struct vm_process *ret)
{
	json_int_t pid, start_time;

	if (read_integer(json_object_get(value, "pid"), 0, PID_LIMIT, &pid) < 0)
		return -EINVAL;
	if (read_integer(json_object_get(value, "start-time"), 0, INT64_MAX, &start_time) < 0)
		return -EINVAL;
	*ret = (struct vm_process){ .pid = pid, .start_time = start_time };
	return 0;
}

static int read_list(const json_t *value, struct strv *ret)
{
	size_t i;

	if (!json_is_array(value))
		return -EINVAL;
	for (i = 0; i < json_array_size(value); i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (!text)
			return -EINVAL;
		if (strv_add(ret, text) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* "DEV:INO" */
static int read_identity(const json_t *value, struct resource_identity *ret)
{
	const char *text = json_string_value(value), *colon = text ? strchr(text, ':') : NULL;
	char dev[24];

	if (!colon || (size_t)(colon - text) >= sizeof(dev))
		return -EINVAL;
	memcpy(dev, text, colon - text);
	dev[colon - text] = '\0';
	return str_to_u64(dev, &ret->dev) < 0 || str_to_u64(colon + 1, &ret->ino) < 0 ? -EINVAL : 0;
}

static int read_kind(const json_t *value, enum resource_kind *ret)
{
	const char *text = json_string_value(value);

	if (str_equal(text, resource_kind_name(RESOURCE_DISK)))
		*ret = RESOURCE_DISK;
	else if (str_equal(text, resource_kind_name(RESOURCE_LEASE)))
		*ret = RESOURCE_LEASE;
	else
		return -EINVAL;
	return 0;
}

static int read_resource(const json_t *value, struct resource *ret)
{
	const char *mode = json_string_value(json_object_get(value, "mode"));
	int code, found = mode ? resource_mode_from_name(mode) : -1;

	if (found < 0 || read_kind(json_object_get(value, "kind"), &ret->kind) < 0)
		return -EINVAL;
	ret->mode = found;
	if (read_identity(json_object_get(value, "id"), &ret->id) < 0)
		return -EINVAL;
	code = json_text_get(value, "path", &ret->path);
	if (code < 0 || !ret->path)
		return code < 0 ? code : -EINVAL;
	return json_text_get(value, "origin", &ret->origin);
}

static int read_resources(const json_t *value, struct resource_set *ret)
{
	size_t i;

	if (!json_is_array(value))
		return -EINVAL;
	for (i = 0; i < json_array_size(value); i++) {
		_cleanup_(resource_finish) struct resource resource = { 0 };
		int code = read_resource(json_array_get(value, i), &resource);

		if (code == 0)
			code = resource_set_add(ret, &resource, NULL);
		if (code < 0)
			return code;
	}
	return 0;
}

static int read_number(const struct field *field, const json_t *value, void *at)
{
	bool status = field->kind == FIELD_STATUS;
	json_int_t n;

	if (read_integer(value, status ? -SIGNAL_LIMIT : 0, status ? STATUS_LIMIT : INT64_MAX, &n))
		return -EINVAL;
	if (status)
		*(int *)at = n;
	else
		*(int64_t *)at = n; /* a uint64_t has the same form up to INT64_MAX */
	return 0;
}

static int read_word(const struct field *field, const json_t *value, void *at)
{
	const char *text = json_string_value(value);
	int found;

	if (!text)
		return -EINVAL;
	if (field->kind == FIELD_LOCK_STATE) {
		found = vm_lock_state_from_name(text);
		*(enum vm_lock_state *)at = found < 0 ? 0 : found;
	} else {
		found = vm_cause_from_name(text);
		*(enum vm_cause *)at = found < 0 ? 0 : found;
	}
	return found < 0 ? -EINVAL : 0;
}

static int read_value(const struct field *field, const json_t *value, void *at)
{
	switch (field->kind) {
	case FIELD_NAME:
		return read_name(value, at);
	case FIELD_UUID:
		return read_uuid(value, at);
	case FIELD_SWITCH:
		*(bool *)at = json_is_true(value);
		return json_is_boolean(value) ? 0 : -EINVAL;
	case FIELD_LOCK_STATE:
	case FIELD_CAUSE:
		return read_word(field, value, at);
	case FIELD_PROCESS:
		return read_process(value, at);
	case FIELD_LIST:
		return read_list(value, at);
	case FIELD_RESOURCES:
		return read_resources(value, at);
	default:
		return read_number(field, value, at);
	}
}

static int read_field(
	const struct field *field, const json_t *root, struct vm_state *state, struct error *err)
{
	const json_t *value = json_object_get(root, field->key);
	void *at = (char *)state + field->offset;
	int code = 0;

	if (field->kind == FIELD_TEXT) {
		code = json_text_get(root, field->key, at);
		value = code == 0 && !*(char **)at ? NULL : root;
	} else if (value) {
		code = read_value(field, value, at);
	}
	if (code == -ENOMEM)
		return error_set(err, code, "out of memory");
	if (code < 0)
		return error_set(err, code, "'%s' is not what it should be", field->key);
	if (!value && field->required)
		return error_set(err, -EINVAL, "'%s' is missing", field->key);
	return 0;
}

int vm_state_from_json(const json_t *root, struct vm_state *ret, struct error *err)
{
	_cleanup_(vm_state_finish) struct vm_state state = { 0 };
	json_int_t version;
	size_t i;

	if (read_integer(json_object_get(root, "version"), 0, INT64_MAX, &version) < 0)
		return error_set(err, -EINVAL, "it has no version");
	if (version != STATE_VERSION)
		return error_set(err, -EINVAL,
			"it has version %lld, and this vmlatch knows version %d",
			(long long)version, STATE_VERSION);
	for (i = 0; i < state_n_fields; i++) {
		int code = read_field(&state_fields[i], root, &state, err);

		if (code < 0)
			return code;
	}
	*ret = state;
	state = (struct vm_state){ 0 };
	return 0;
}
