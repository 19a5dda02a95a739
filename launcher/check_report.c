/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_report.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"
#include "launcher/json_text.h"
#include "launcher/vm_holder.h"
#include "locking/lock_conflict.h"
#include "locking/lock_manager.h"

#define SHOWN 4096

/* One resource and what a look at it has told. */
struct finding {
	const struct resource *resource;
	const struct disk_image *image; /* NULL: nothing more is known */
	struct lock_view view;
	bool looked;    /* else it cannot be locked */
	bool host_only; /* other hosts do not see the lock */
	bool is_free;   /* for this VM, in this mode */
};

/* Of @ret->resource. */
static int look(const struct preparation *p, const struct lock_params *params, struct finding *ret,
	struct error *err)
{
	struct lock_look look = { .params = params, .resource = ret->resource };
	int code;

	ret->image = disks_find_image(&p->disks, ret->resource);
	look.fd = ret->image ? ret->image->fd : -1;
	look.to_lock = true;
	code = lock_manager_look_at(p->driver, &look, &ret->view, err);
	ret->looked = code >= 0;
	if (!ret->looked)
		return code;
	ret->is_free = !ret->view.busy;
	ret->host_only = ret->view.id.ino == RESOURCE_INO_DEVICE && !p->options.lockspace &&
			 !p->options.leases.n && strcmp(p->options.lock, "file") == 0;
	return 0;
}

/* As text. */

static void print_argument(const char *arg)
{
	bool plain = *arg && strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-_./:=,+@%") == strlen(arg);
	char shown[SHOWN];

	if (plain) {
		putchar(' ');
		fputs(arg, stdout);
		return;
	}
	printf(" '%s'", str_printable(arg, shown, sizeof(shown)));
}

static void print_argv(const struct preparation *p)
{
	char **arg = p->plan.argv;

	printf("QEMU would get:");
	print_argument(*arg++);
	if (p->plan.verified || p->plan.incoming)
		print_argument("-S");
	printf(" -readconfig /dev/fd/N");
	for (; *arg; arg++)
		print_argument(*arg);
	printf("\n");
}

static void print_finding(const struct finding *finding)
{
	const struct resource *resource = finding->resource;
	char path[SHOWN], origin[SHOWN], holder[1024];

	printf("  %-9s %s", resource_mode_name(resource->mode),
		str_printable(resource->path, path, sizeof(path)));
	if (finding->image && finding->image->format)
		printf(" (%s)", finding->image->format);
	printf(": ");
	if (!finding->looked)
		printf("cannot be locked");
	else if (finding->is_free)
		printf("free");
	else
		printf("in use by %s",
			lock_holder_phrase(&finding->view.holder, holder, sizeof(holder)));
	printf("\n            named by %s\n",
		resource->origin ? str_printable(resource->origin, origin, sizeof(origin)) : "?");
	if (finding->host_only)
		printf("            a block device: locked on this host only; give --lockspace or "
		       "--lease if others have it too\n");
	if (finding->looked && !finding->view.lockable)
		printf("            its file system has no locks\n");
	else if (finding->looked && !finding->view.recordable &&
		 resource->mode == RESOURCE_EXCLUSIVE)
		printf("            its file system keeps no record: only size and time of change "
		       "tell "
		       "whether somebody else has used it\n");
}

static void print_strings(const char *label, const struct strv *strings)
{
	char shown[SHOWN];
	size_t i;

	for (i = 0; i < strings->n; i++)
		printf("%s: %s\n", label, str_printable(strings->items[i], shown, sizeof(shown)));
}

static void print_head(const struct preparation *p)
{
	printf("VM '%s' would lock (driver %s):\n", p->name, p->options.lock);
	if (p->disks.set.n == 0)
		printf("  nothing: the command line names no image of this host\n");
}

static void print_tail(const struct preparation *p)
{
	print_strings("warning", &p->warnings);
	print_strings("pinned, its locks stay until QEMU's end", &p->pinned);
	if (p->plan.incoming)
		printf("start: registered only, it takes its locks before the guest runs\n");
	else
		printf("start: %s\n", p->plan.verified ? "verified" : "direct");
	print_argv(p);
}

/* As JSON. */

/* For people: bytes that JSON cannot hold are shown as \xNN. */
static json_t *shown(const char *text)
{
	char out[SHOWN];

	return json_string(str_printable(text, out, sizeof(out)));
}

static json_t *strings_to_json(const struct strv *strings)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; array && i < strings->n; i++)
		json_array_append_new(array, shown(strings->items[i]));
	return array;
}

static json_t *finding_to_json(const struct finding *finding)
{
	const struct resource *resource = finding->resource;
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:b}", "kind",
		resource_kind_name(resource->kind), "mode", resource_mode_name(resource->mode),
		"dev", (json_int_t)resource->id.dev, "ino", (json_int_t)resource->id.ino, "free",
		finding->is_free);

	if (!object)
		return NULL;
	json_text_set(object, "path", resource->path);
	json_text_set(object, "origin", resource->origin);
	if (finding->image) {
		json_text_set(object, "format", finding->image->format);
		json_object_set_new(object, "backing", json_boolean(finding->image->backing));
	}
	if (finding->host_only)
		json_object_set_new(object, "host-only", json_true());
	if (finding->looked && !finding->is_free)
		json_object_set_new(object, "holder", vm_holder_to_json(&finding->view.holder));
	return object;
}

static json_t *argv_to_json(const struct preparation *p)
{
	json_t *array = json_array();
	char **arg = p->plan.argv;

	json_array_append_new(array, shown(*arg++));
	if (p->plan.verified || p->plan.incoming)
		json_array_append_new(array, json_string("-S"));
	json_array_append_new(array, json_string("-readconfig"));
	json_array_append_new(array, json_string("/dev/fd/N"));
	for (; *arg; arg++)
		json_array_append_new(array, shown(*arg));
	return array;
}

static void print_json(const struct preparation *p, json_t *resources)
{
	json_t *object = json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name", p->name,
		"driver", p->options.lock, "verified", p->plan.verified, "incoming",
		p->plan.incoming, "resources", resources, "pinned", strings_to_json(&p->pinned),
		"warnings", strings_to_json(&p->warnings), "argv", argv_to_json(p));

	if (!object)
		return;
	json_dumpf(object, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(object);
}

int check_report(const struct preparation *p)
{
	json_t *resources = p->options.json ? json_array() : NULL;
	struct lock_params params = { 0 };
	bool all_free = true;
	int status = 0;
	size_t i;

	options_fill_lock_params(&p->options, &params);
	if (!p->options.json)
		print_head(p);
	for (i = 0; i < p->disks.set.n; i++) {
		struct finding finding = { .resource = &p->disks.set.items[i] };
		struct error err = { 0 };
		int ret = look(p, &params, &finding, &err);

		if (ret < 0 && !status)
			status = exit_failure(ret, &err);
		all_free = all_free && finding.is_free;
		if (p->options.json)
			json_array_append_new(resources, finding_to_json(&finding));
		else
			print_finding(&finding);
	}
	if (p->options.json)
		print_json(p, resources);
	else
		print_tail(p);
	return status ? status : all_free ? 0 : EX_TEMPFAIL;
}
