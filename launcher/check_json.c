/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "launcher/check_finding.h"
#include "launcher/check_privileges.h"
#include "launcher/check_sandbox.h"
#include "launcher/json_text.h"
#include "launcher/vm/qemu_arguments.h"
#include "launcher/vm_holder.h"

#define SHOWN 4096

/* For people: bytes that JSON cannot hold are shown as \xNN. */
static json_t *shown(const char *text)
{
	char out[SHOWN];

	return json_string(str_printable(text, out, sizeof(out)));
}

static void append_strings(json_t *array, const struct strv *strings)
{
	size_t i;

	for (i = 0; i < strings->n; i++)
		json_array_append_new(array, shown(strings->items[i]));
}

static json_t *strings_to_json(const struct strv *strings)
{
	json_t *array = json_array();

	append_strings(array, strings);
	return array;
}

/* From this image up to the one that the argument names. */
static json_t *links_to_json(const struct check_reason *reason)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < reason->n_links; i++) {
		json_t *link = json_pack("{s:s}", "role", reason->links[i].role);

		json_text_set(link, "of", reason->links[i].of);
		json_array_append_new(array, link);
	}
	return array;
}

static void image_to_json(const struct disk_image *image, json_t *object)
{
	json_text_set(object, "format", image->format);
	json_object_set_new(object, "backing", json_boolean(image->backing));
	json_text_set(object, "other-path", image->other_path);
}

static json_t *finding_to_json(const struct preparation *p, const struct check_finding *finding)
{
	const struct resource *resource = finding->resource;
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:b, s:b}", "kind",
		resource_kind_name(resource->kind), "mode", resource_mode_name(resource->mode),
		"dev", (json_int_t)resource->id.dev, "ino", (json_int_t)resource->id.ino, "free",
		finding->is_free, "lockable", finding->looked && finding->view.lockable);
	struct check_reason reason;

	if (!object)
		return NULL;
	check_explain(&p->disks, resource, &reason);
	json_text_set(object, "path", resource->path);
	json_text_set(object, "origin", resource->origin);
	json_text_set(object, "argument", reason.argument);
	json_text_set(object, "why", reason.why);
	json_object_set_new(object, "through", links_to_json(&reason));
	if (finding->image)
		image_to_json(finding->image, object);
	if (finding->host_only)
		json_object_set_new(object, "host-only", json_true());
	if (finding->looked && !finding->is_free)
		json_object_set_new(object, "holder", vm_holder_to_json(&finding->view.holder));
	return object;
}

static json_t *argv_to_json(const struct preparation *p)
{
	const struct qemu_arguments arguments = qemu_arguments_of(&p->plan);
	_cleanup_(strv_finish) struct strv argv = { 0 };

	qemu_arguments_join(&arguments, "/dev/fd/N", &argv);
	return strings_to_json(&argv);
}

static json_t *resources_to_json(const struct check_findings *findings)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < findings->n; i++)
		json_array_append_new(
			array, finding_to_json(findings->preparation, &findings->items[i]));
	return array;
}

void check_print_json(const struct check_findings *findings)
{
	const struct preparation *p = findings->preparation;
	json_t *warnings = strings_to_json(&p->warnings);
	json_t *object;

	append_strings(warnings, &findings->warnings);
	object = json_pack("{s:b, s:s, s:s, s:b, s:b, s:s, s:b, s:o, s:o, s:o, s:o}", "starts-vm",
		true, "name", p->name, "driver", p->options.lock, "verified", p->plan.verified,
		"incoming", p->plan.incoming, "start", check_start_name(p), "in-place",
		p->plan.in_place, "resources", resources_to_json(findings), "pinned",
		strings_to_json(&p->pinned), "warnings", warnings, "argv", argv_to_json(p));
	if (!object)
		return;
	json_object_set_new(object, "drop-in", json_boolean(p->drop_in));
	json_object_set_new(object, "left-to-qemu", strings_to_json(&p->left_to_qemu));
	json_object_set_new(object, "privileges", check_privileges_to_json(p));
	json_object_set_new(object, "sandbox", check_sandbox_to_json(p));
	json_dumpf(object, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(object);
}
