/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/command.h"

#include <errno.h>
#include <string.h>

#include "base/allocation.h"
#include "base/str.h"
#include "qmp/dialect.h"
#include "qmp/frame.h"
#include "qmp/message.h"

#define NAME_SHOWN 128

static bool is_json(const char *bytes, size_t len)
{
	/* jansson's integers are too small for some ids */
	bool failed;
	json_t *tree;

	allocation_watch();
	tree = json_loadb(bytes, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	failed = allocation_failed();
	json_decref(tree);
	return tree && !failed;
}

/*
 * Its bytes, not what jansson made of them: 1.50 must come back as 1.50. What
 * only QMP understands ('quoted') goes back as JSON, since our answers are JSON.
 */
static int keep_id(const char *bytes, size_t len, struct command *command, struct error *err)
{
	struct frame_value id = frame_find_member(bytes, len, "id");
	struct str text = { 0 };
	size_t i;

	if (!id.bytes)
		return error_set(err, -EINVAL, "QMP input member 'id' is spelled in a strange way");
	if (is_json(id.bytes, id.len))
		str_append_bytes(&text, id.bytes, id.len);
	else
		dialect_to_json(id.bytes, id.len, &text);
	command->id = str_take(&text);
	if (!command->id)
		return error_set(err, -ENOMEM, "out of memory");
	/* a line end can only be between tokens: in strings it is no JSON */
	for (i = 0; command->id[i]; i++) {
		if (command->id[i] == '\n' || command->id[i] == '\r')
			command->id[i] = ' ';
	}
	return 0;
}

static int check_member(const char *key, json_t *value, struct error *err)
{
	char shown[NAME_SHOWN];

	if (strcmp(key, "id") == 0)
		return 0;
	if (strcmp(key, "execute") == 0)
		return json_is_string(value)
			       ? 0
			       : error_set(err, -EINVAL,
					 "QMP input member 'execute' must be a string");
	if (strcmp(key, "arguments") == 0)
		return json_is_object(value)
			       ? 0
			       : error_set(err, -EINVAL,
					 "QMP input member 'arguments' must be an object");
	return error_set(err, -EINVAL, "QMP input member '%s' is unexpected",
		str_printable(key, shown, sizeof(shown)));
}

static int check_members(json_t *tree, struct error *err)
{
	const char *key;
	json_t *value;
	int r;

	json_object_foreach (tree, key, value) {
		r = check_member(key, value, err);
		if (r < 0)
			return r;
	}
	if (!json_object_get(tree, "execute"))
		return error_set(err, -EINVAL, "QMP input lacks member 'execute'");
	return 0;
}

static int take_arguments(struct command *command)
{
	command->name = json_string_value(json_object_get(command->tree, "execute"));
	command->arguments = json_object_get(command->tree, "arguments");
	if (command->arguments)
		return 0;
	command->arguments = json_object();
	return json_object_set_new(command->tree, "arguments", command->arguments);
}

int command_parse(const char *bytes, size_t len, struct command *ret, struct error *err)
{
	int r;

	*ret = (struct command){ 0 };
	r = message_parse(bytes, len, &ret->tree, err);
	if (r < 0)
		return r;
	if (!json_is_object(ret->tree))
		return error_set(err, -EINVAL, "QMP input must be a JSON object");
	if (json_object_get(ret->tree, "id"))
		r = keep_id(bytes, len, ret, err);
	if (r == 0)
		r = check_members(ret->tree, err);
	if (r == 0 && take_arguments(ret) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

void command_finish(struct command *command)
{
	json_decref(command->tree);
	free(command->id);
	*command = (struct command){ 0 };
}

bool command_is_negotiation(const struct command *command)
{
	return strcmp(command->name, "qmp_capabilities") == 0;
}

const char *command_refuse(const struct command *command, bool negotiated, const char **class)
{
	bool asked = command_is_negotiation(command);
	json_t *enable = asked ? json_object_get(command->arguments, "enable") : NULL;

	*class = QMP_CLASS_COMMAND_NOT_FOUND;
	if (!negotiated && !asked)
		return "Expecting capabilities negotiation with 'qmp_capabilities'";
	if (negotiated && asked)
		return "Capabilities negotiation is already complete, command ignored";
	*class = QMP_CLASS_GENERIC;
	if (asked && json_object_size(command->arguments) > (enable ? 1 : 0))
		return "qmp_capabilities takes no argument but 'enable'";
	if (enable && !json_is_array(enable))
		return "qmp_capabilities: 'enable' must be an array";
	if (enable && json_array_size(enable))
		return "qmp_capabilities: no capability is offered that could be enabled";
	return NULL;
}
