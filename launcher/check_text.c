/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "launcher/check_call.h"
#include "launcher/check_finding.h"
#include "launcher/check_privileges.h"
#include "launcher/check_sandbox.h"
#include "launcher/vm/qemu_arguments.h"
#include "locking/lock_conflict.h"

#define SHOWN 4096

/* The mode stands in the first column; what is said of a resource below its name. */
#define MODE_WIDTH  9
#define LABEL_WIDTH 9

static void print_argument(const char *arg)
{
	bool plain = *arg && strspn(arg, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-_./:=,+@%") == strlen(arg);
	char shown[SHOWN];

	str_printable(arg, shown, sizeof(shown));
	printf(plain ? " %s" : " '%s'", shown);
}

static void print_argv(const struct preparation *p)
{
	const struct qemu_arguments arguments = qemu_arguments_of(&p->plan);
	_cleanup_(strv_finish) struct strv argv = { 0 };
	size_t i;

	qemu_arguments_join(&arguments, "/dev/fd/N", &argv);
	printf("QEMU would get:");
	for (i = 0; i < argv.n; i++)
		print_argument(argv.items[i]);
	printf("\n");
}

/* One line below a resource's name; @label NULL: more of the one before. */
static void print_detail(const char *label, const char *text)
{
	char shown[SHOWN];

	printf("  %*s %-*s %s\n", MODE_WIDTH, "", LABEL_WIDTH, label ? label : "",
		str_printable(text, shown, sizeof(shown)));
}

static void print_identity(const struct resource *resource)
{
	unsigned major_number = major(resource->id.dev), minor_number = minor(resource->id.dev);
	char text[96];

	if (resource->kind == RESOURCE_LEASE || (!resource->id.dev && !resource->id.ino))
		return;
	if (resource->id.ino == RESOURCE_INO_DEVICE)
		snprintf(text, sizeof(text), "block device %u:%u", major_number, minor_number);
	else
		snprintf(text, sizeof(text), "inode %ju of device %u:%u",
			(uintmax_t)resource->id.ino, major_number, minor_number);
	print_detail("identity", text);
}

static void print_reason(const struct preparation *p, const struct resource *resource)
{
	struct check_reason reason;
	char text[SHOWN + 64];
	size_t i;

	check_explain(&p->disks, resource, &reason);
	print_detail("named by", reason.argument);
	for (i = 0; i < reason.n_links; i++) {
		snprintf(text, sizeof(text), "%s of %s", reason.links[i].role, reason.links[i].of);
		print_detail(i == 0 ? "through" : NULL, text);
	}
	if (reason.why)
		print_detail("why", reason.why);
	print_identity(resource);
}

/* What the lock is worth. */
static void print_limits(const struct check_finding *finding, const char *driver)
{
	if (finding->host_only)
		print_detail("note",
			"a block device: locked on this host only; give --lockspace or "
			"--lease if others have it too");
	if (strcmp(driver, "nop") == 0)
		print_detail("note", "the driver 'nop' locks nothing");
	else if (finding->looked && !finding->view.lockable)
		print_detail("note", "its file system has no locks");
	else if (finding->looked && !finding->view.recordable &&
		 finding->resource->mode == RESOURCE_EXCLUSIVE)
		print_detail("note",
			"its file system keeps no record: only size and time of change "
			"tell whether somebody else has used it");
}

static void print_finding(const struct preparation *p, const struct check_finding *finding)
{
	const struct resource *resource = finding->resource;
	char path[SHOWN], holder[1024];

	printf("  %-*s %s", MODE_WIDTH, resource_mode_name(resource->mode),
		str_printable(resource->path, path, sizeof(path)));
	if (finding->image && finding->image->format)
		printf(" (%s)", finding->image->format);
	if (!finding->looked)
		printf(": cannot be locked\n");
	else if (finding->is_free)
		printf(": free\n");
	else
		printf(": in use by %s\n",
			lock_holder_phrase(&finding->view.holder, holder, sizeof(holder)));
	print_reason(p, resource);
	print_limits(finding, p->options.lock);
}

static void print_strings(const char *label, const struct strv *strings)
{
	char shown[SHOWN];
	size_t i;

	for (i = 0; i < strings->n; i++)
		printf("%s: %s\n", label, str_printable(strings->items[i], shown, sizeof(shown)));
}

static void print_releasing(const struct preparation *p)
{
	static const struct {
		unsigned bit;
		const char *name;
	} causes[] = { { RELEASE_ON_STOP, "stop" }, { RELEASE_ON_WATCHDOG, "watchdog" },
		{ RELEASE_ON_IO_ERROR, "io-error" } };
	const char *before = "not pinned, its locks are given back at a pause: ";
	size_t i;

	print_strings("pinned, its locks stay until QEMU's end", &p->pinned);
	for (i = 0; !p->pinned.n && i < sizeof(causes) / sizeof(*causes); i++) {
		if (!(p->plan.release_on & causes[i].bit))
			continue;
		printf("%s%s", before, causes[i].name);
		before = ", ";
	}
	if (!p->pinned.n)
		printf("\n");
}

static void print_start(const struct preparation *p)
{
	static const char *const words[][2] = {
		{ "verified", "the guest waits until what QEMU has open was compared with this" },
		{ "direct", "the guest runs at once, and is compared with this meanwhile" },
		{ "incoming", "registered only, it takes its locks before the guest runs" },
	};
	const char *name = check_start_name(p);
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i][0], name) == 0)
			printf("start: %s, %s\n", name, words[i][1]);
	}
	if (p->plan.in_place)
		printf("process: the one that is started becomes QEMU, its supervisor is "
		       "detached\n");
}

void check_print_text(const struct check_findings *findings)
{
	const struct preparation *p = findings->preparation;
	size_t i;

	check_print_call(p);
	printf("VM '%s' would lock (driver %s):\n", p->name, p->options.lock);
	if (findings->n == 0)
		printf("  nothing: the command line names no image of this host\n");
	for (i = 0; i < findings->n; i++)
		print_finding(p, &findings->items[i]);
	print_strings("warning", &p->warnings);
	print_strings("warning", &findings->warnings);
	print_releasing(p);
	print_start(p);
	check_print_privileges(p);
	check_print_sandbox(p);
	print_argv(p);
}
