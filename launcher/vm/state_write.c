/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "launcher/json_text.h"
#include "launcher/vm/state.h"
#include "launcher/vm/state_fields.h"

static json_t *process_to_json(const struct vm_process *process)
{
	return json_pack("{s:I, s:I}", "pid", (json_int_t)process->pid, "start-time",
		(json_int_t)process->start_time);
}

static json_t *list_to_json(const struct strv *list)
{
	json_auto_t *array = json_array();
	char shown[1024];
	json_t *text;
	size_t i;

	for (i = 0; array && i < list->n; i++) {
		text = json_string(list->items[i]);
		if (!text) /* no UTF-8: these are sentences, a readable form will do */
			text = json_string(str_printable(list->items[i], shown, sizeof(shown)));
		if (json_array_append_new(array, text) < 0)
			return NULL;
	}
	return json_incref(array);
}

static json_t *resource_to_json(const struct resource *resource)
{
	json_auto_t *object = NULL;
	char id[STATE_ID_SIZE];

	object = json_pack("{s:s, s:s, s:s}", "kind", resource_kind_name(resource->kind), "mode",
		resource_mode_name(resource->mode), "id", vm_state_id_text(&resource->id, id));
	if (!object || json_text_set(object, "path", resource->path) < 0)
		return NULL;
	if (json_text_set(object, "origin", resource->origin) < 0)
		return NULL;
	return json_incref(object);
}

static json_t *resources_to_json(const struct resource_set *set)
{
	json_auto_t *array = json_array();
	size_t i;

	for (i = 0; array && i < set->n; i++) {
		if (json_array_append_new(array, resource_to_json(&set->items[i])) < 0)
			return NULL;
	}
	return json_incref(array);
}

static json_t *value_to_json(const struct field *field, const void *at)
{
	switch (field->kind) {
	case FIELD_SWITCH:
		return json_boolean(*(const bool *)at);
	case FIELD_TIME:
		return json_integer(*(const int64_t *)at);
	case FIELD_COUNT:
		return json_integer(*(const uint64_t *)at);
	case FIELD_STATUS:
		return json_integer(*(const int *)at);
	case FIELD_LOCK_STATE:
		return json_string(vm_lock_state_name(*(const enum vm_lock_state *)at));
	case FIELD_CAUSE:
		return json_string(vm_cause_name(*(const enum vm_cause *)at));
	case FIELD_PROCESS:
		return process_to_json(at);
	case FIELD_LIST:
		return list_to_json(at);
	case FIELD_RESOURCES:
		return resources_to_json(at);
	default: /* a buffer */
		return json_string(at);
	}
}

static int field_to_json(const struct vm_state *state, const struct field *field, json_t *root)
{
	const void *at = (const char *)state + field->offset;

	if (field->kind == FIELD_TEXT) {
		const char *text = *(char *const *)at;

		return json_text_set(root, field->key, !text && field->required ? "" : text);
	}
	return json_object_set_new(root, field->key, value_to_json(field, at)) < 0 ? -ENOMEM : 0;
}

json_t *vm_state_to_json(const struct vm_state *state)
{
	json_auto_t *root = json_pack("{s:i}", "version", STATE_VERSION);
	size_t i;

	for (i = 0; root && i < state_n_fields; i++) {
		if (field_to_json(state, &state_fields[i], root) < 0)
			return NULL;
	}
	return json_incref(root);
}
