/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/disks/config_read.h"
#include "launcher/disks/reopen.h"
#include "launcher/lease_resource.h"
#include "launcher/libvirt.h"
#include "launcher/prepare_combination.h"
#include "launcher/prepare_place.h"
#include "launcher/prepare_privileges.h"
#include "launcher/prepare_sandbox.h"
#include "locking/lock_manager.h"

void preparation_finish(struct preparation *preparation)
{
	options_finish(&preparation->options);
	credentials_finish(&preparation->credentials);
	disks_finish(&preparation->disks);
	free(preparation->directory);
	strv_finish(&preparation->pinned);
	strv_finish(&preparation->warnings);
	strv_finish(&preparation->left_to_qemu);
}

/* --name, -name guest=, -uuid, vm-PID: the first that there is. */
static void find_name(struct preparation *p, const struct command_line *line)
{
	if (p->options.name)
		snprintf(p->name, sizeof(p->name), "%s", p->options.name);
	else if (line->name && line->name[0])
		vm_name_escape(line->name, p->name);
	else if (line->uuid && line->uuid[0])
		vm_name_escape(line->uuid, p->name);
	else
		snprintf(p->name, sizeof(p->name), "vm-%d", getpid());
	p->plan.unnamed = p->drop_in && !p->options.name && !line->name && !line->uuid;
}

/* QEMU may open files that we have not found. */
static bool note_hides_files(const struct disks_note *note)
{
	return note->kind == DISKS_NOTE_NOT_UNDERSTOOD || note->kind == DISKS_NOTE_UNKNOWN_DRIVER ||
	       note->kind == DISKS_NOTE_MISSING;
}

/* What a note is: an error by this policy, or a warning. */
static int judge_note(struct preparation *p, const struct disks_note *note, struct error *err)
{
	bool hides = note_hides_files(note);

	/* what has no file to lock is what leases are for: the user has thought of it */
	if (note->kind == DISKS_NOTE_NETWORK && p->options.leases.n)
		return 0;
	/* it would stand among the words of QEMU, which are what a drop-in's caller wants */
	if (hides && p->drop_in && p->plan.verified)
		return strv_add(&p->left_to_qemu, note->text);
	/* verified, the truth check finds and locks what is hidden */
	if (hides ? p->plan.verified : !p->options.require_locks)
		return strv_add(&p->warnings, note->text);
	return error_status(err, error_set(err, -EINVAL, "%s", note->text),
		note->kind == DISKS_NOTE_MISSING ? EX_NOINPUT : EX_DATAERR);
}

static int judge_notes(struct preparation *p, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < p->disks.notes.n; i++)
		ret = judge_note(p, &p->disks.notes.items[i], err);
	return ret;
}

/* QEMU could not give its disks back and take them again, whoever gives the commands. */
static int pin_what_cannot_be_released(struct preparation *p, struct error *err)
{
	const struct {
		bool is_so;
		const char *why;
	} rows[] = {
		{ p->disks.line.maps_disk,
			"a disk is mapped into the guest (nvdimm, virtio-pmem): QEMU cannot let go "
			"of it before its end" },
		/* the descriptors of the set keep its image locks (seen with 7.2) */
		{ p->disks.from_set,
			"a disk is a descriptor of -add-fd: QEMU is in its own way when it takes "
			"such a disk again" },
	};
	int ret = 0;
	size_t i;

	for (i = 0; ret == 0 && i < sizeof(rows) / sizeof(*rows); i++)
		ret = rows[i].is_so ? strv_add(&p->pinned, rows[i].why) : 0;
	if (ret == 0 && p->options.deactivate)
		ret = reopen_judge(&p->disks, &p->pinned, err);
	return ret;
}

/* Without a say of the user's a VM whose monitors are not all ours never releases. */
static int decide_releasing(struct preparation *p, struct error *err)
{
	const struct strv *monitors = &p->disks.line.monitors;
	int ret = pin_what_cannot_be_released(p, err);
	size_t i;

	p->plan.release_on = p->options.release_on_given ? p->options.release_on : RELEASE_ON_ALL;
	if (p->options.release_on_given && p->options.release_on == 0)
		return ret < 0 ? ret : strv_add(&p->pinned, "--release-on=none");
	for (i = 0; ret == 0 && i < monitors->n; i++)
		ret = strv_add(p->options.release_on_given ? &p->warnings : &p->pinned,
			monitors->items[i]);
	if (ret == 0 && p->options.release_on_given && monitors->n)
		ret = strv_add(&p->warnings,
			"--release-on lets it release all the same: a guest that is "
			"resumed there runs until it is frozen");
	return ret;
}

/*
 * Another monitor could give a 'stop' while we compare, which QEMU forgets, and
 * our 'cont' would undo. But what only QEMU itself can tell us is worth that.
 */
static bool decide_verified(const struct preparation *p)
{
	const struct command_line *line = &p->disks.line;
	size_t i;

	if (p->options.start != START_DEFAULT)
		return p->options.start == START_VERIFIED;
	if (line->preconfig) /* else there is no telling when the guest comes to run */
		return true;
	for (i = 0; i < p->disks.notes.n; i++) {
		if (note_hides_files(&p->disks.notes.items[i]))
			return true;
	}
	return line->monitors.n == 0;
}

static int add_lease(struct preparation *p, const char *text, struct error *err)
{
	_cleanup_(str_finish) struct str origin = { 0 };

	str_printf(&origin, "--lease %s", text);
	return lease_resource_add(text, origin.text, &p->options, &p->disks.set, err);
}

static int add_leases(struct preparation *p, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < p->options.leases.n; i++)
		ret = add_lease(p, p->options.leases.items[i], err);
	return ret;
}

/* Instead of a current directory that was removed: no name below it is any file's. */
#define DIRECTORY_GONE "/dev/null"

/* With -daemonize and -chroot names that QEMU was given lead elsewhere later. */
static int find_directory(struct preparation *p, struct error *err)
{
	if (!p->disks.line.daemonize && !p->disks.line.chroot_dir)
		return 0;
	p->directory = getcwd(NULL, 0);
	if (!p->directory && errno == ENOENT)
		p->directory = strdup(DIRECTORY_GONE);
	p->plan.directory = p->directory;
	if (!p->directory)
		return error_set(err, -errno, "the current directory: %s", strerror(errno));
	return 0;
}

/* Takes @parsed over. */
static int fill_plan(
	struct preparation *p, struct command_line *parsed, size_t keep_open, struct error *err)
{
	const struct command_line *line = &p->disks.line;
	struct disks_params params = {
		.readonly_locks = p->options.readonly_locks,
		.credentials = &p->credentials,
		.keep_open = keep_open,
		.note_missing = p->drop_in,
	};
	int ret = privileges_explain(
		&p->credentials, disks_from_line(parsed, &params, &p->disks, err), err);

	if (ret == 0)
		ret = add_leases(p, err);
	if (ret < 0)
		return ret;
	p->plan.options = &p->options;
	p->plan.argv = p->options.qemu_argv;
	p->plan.credentials = &p->credentials;
	p->plan.privileges = &p->privileges;
	p->plan.resources = &p->disks.set;
	p->plan.pinned = &p->pinned;
	p->plan.verified = decide_verified(p);
	p->plan.user_stopped = line->user_stopped;
	p->plan.preconfig = line->preconfig;
	p->plan.incoming = line->incoming != NULL;
	p->plan.daemonizes = line->daemonize;
	p->plan.in_place = prepare_in_place(&p->options, line);
	ret = find_directory(p, err);
	if (ret == 0)
		ret = decide_releasing(p, err);
	if (ret == 0)
		ret = libvirt_look(p->plan.argv, "", &p->warnings);
	return ret < 0 ? ret : judge_notes(p, err);
}

int prepare_with_options(struct preparation *ret, size_t keep_open, struct error *err)
{
	_cleanup_(command_line_finish) struct command_line line = { 0 };
	int code;

	/* the name first: the VM's own config file hangs on it */
	code = command_line_parse(ret->options.qemu_argv, config_read, &line, err);
	if (code < 0)
		return code;
	if (!line.starts_vm)
		return PREPARE_NO_VM;
	find_name(ret, &line);
	code = options_apply_vm_config(&ret->options, ret->name, err);
	log_set_level(ret->options.log_level);
	log_set_format(ret->options.log_format);
	if (code == 0)
		code = prepare_check_proc(err);
	if (code == 0)
		code = prepare_combination(ret, &line, err);
	if (code == 0)
		code = lock_manager_load(ret->options.lock, &ret->driver, err);
	if (code == 0) {
		code = credentials_find(
			ret->options.user, ret->options.group, &ret->credentials, err);
		if (code < 0)
			error_status(err, code, EX_USAGE);
	}
	if (code == 0)
		code = prepare_privileges(ret, &line, err);
	if (code == 0)
		code = prepare_sandbox(ret, &line, err);
	return code < 0 ? code : fill_plan(ret, &line, keep_open, err);
}

int prepare(char **argv, size_t keep_open, struct preparation *ret, struct error *err)
{
	int code;

	*ret = (struct preparation){ 0 };
	code = options_parse(argv, &ret->options, err);
	return code < 0 ? code : prepare_with_options(ret, keep_open, err);
}

int prepare_drop_in(char **argv, struct preparation *ret, struct error *err)
{
	int code;

	*ret = (struct preparation){ .drop_in = true };
	code = options_of_drop_in(argv, &ret->options, err);
	return code < 0 ? code : prepare_with_options(ret, 0, err);
}
