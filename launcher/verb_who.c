/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"
#include "launcher/json_list.h"
#include "launcher/json_text.h"
#include "launcher/option_value.h"
#include "launcher/verb_args.h"
#include "launcher/verbs.h"
#include "launcher/vm_around.h"
#include "launcher/vm_holder.h"
#include "launcher/who_target.h"
#include "locking/lock_conflict.h"
#include "locking/lock_manager.h"

#define DRIVER       "file"
#define PATH_SHOWN   4096
#define HOLDER_SHOWN 1024

static void print_text(const char *path, const struct lock_view *view, const struct vm_entry *vm)
{
	char shown[PATH_SHOWN], holder[HOLDER_SHOWN];

	str_printable(path, shown, sizeof(shown));
	if (view->held)
		printf("%s: %s, %s\n", shown, resource_mode_name(view->mode),
			lock_holder_phrase(&view->holder, holder, sizeof(holder)));
	else if (vm && vm_holder_holds(vm) && !str_equal(vm->state.driver, DRIVER))
		printf("%s: free for the lock driver '" DRIVER
		       "' (VM '%s' holds it by the lock driver '%s')\n",
			shown, vm->name, vm->state.driver);
	else if (vm)
		printf("%s: free (VM '%s' %s)\n", shown, vm->name,
			vm_holder_holds(vm) ? "says that it holds it, but does not"
					    : "uses it, and holds no locks now");
	else
		printf("%s: free\n", shown);
}

/* NULL: no memory */
static json_t *view_to_json(
	const char *path, const struct lock_view *view, const struct vm_entry *vm)
{
	json_auto_t *object = json_pack(
		"{s:b, s:I}", "held", view->held, "generation", (json_int_t)view->generation);

	if (!object || json_text_set(object, "path", path) < 0)
		return NULL;
	if (view->held) {
		json_object_set_new(object, "mode", json_string(resource_mode_name(view->mode)));
		json_object_set_new(object, "holder", vm_holder_to_json(&view->holder));
	} else if (vm) {
		json_object_set_new(object, "used-by", json_string(vm->name));
	}
	return json_incref(object);
}

/* By its whole name, which its lock file may have been named after. */
static int look_at(const struct who_target *target, const struct verb_args *args,
	struct lock_view *ret, struct error *err)
{
	_cleanup_(freep) char *whole = path_make_absolute(target->path);
	const struct lock_params params = {
		.lockspace = args->lockspace,
		.lockspace_by_identity = args->lockspace_by_identity,
		.device_locks = secure_getenv("VMLATCH_DEVICE_LOCKS"),
	};
	const struct resource disk = {
		.kind = RESOURCE_DISK,
		.mode = RESOURCE_READER, /* who asks wants nothing of it */
		.path = whole,
	};
	const struct lock_look look = { .params = &params, .resource = &disk, .fd = -1 };

	if (target->unmade)
		return 0;
	if (!whole)
		return error_set(err, -errno, "where are we? %s", strerror(errno));
	return lock_manager_look_at(lock_manager_find(DRIVER), &look, ret, err);
}

static int who_has(const char *path, const struct verb_args *args, struct vm_around *around,
	struct json_list *json)
{
	_cleanup_(who_target_finish) struct who_target target = { 0 };
	const struct vm_entry *vm;
	struct lock_view view = { 0 };
	struct error err = { 0 };
	int ret = who_target_find(path, &target);

	if (ret == 0)
		ret = look_at(&target, args, &view, &err);
	else
		error_set(&err, ret, "no memory for %s", path);
	if (ret < 0)
		return exit_failure(ret, &err);
	vm = target.unmade ? NULL : vm_around_find(around, &view);
	vm_around_name_holder(&view, vm);
	if (json->wanted)
		return json_list_add(json, view_to_json(path, &view, vm));
	print_text(path, &view, vm);
	return 0;
}

int verb_who(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	_cleanup_(vm_around_finish) struct vm_around around = { 0 };
	struct json_list json = { 0 };
	struct error err = { 0 };
	int ret, status = 0;
	size_t i;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	around.once = args.operands.n == 1;
	json_list_begin(&json, args.json, stdout);
	for (i = 0; i < args.operands.n; i++) {
		int one = who_has(args.operands.items[i], &args, &around, &json);

		status = status ? status : one;
	}
	json_list_end(&json);
	return status;
}
