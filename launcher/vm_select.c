/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm_select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/exit_status.h"

struct listing {
	struct vm_entry *items;
	size_t n;
};

static void listing_finish(struct listing *listing)
{
	size_t i;

	for (i = 0; i < listing->n; i++)
		vm_entry_finish(&listing->items[i]);
	free(listing->items);
}

/* Everything that stays the same from VM to VM. */
struct selection {
	const struct rundir *rundir;
	const struct verb_args *args;
	const struct listing *listing;
	vm_job_fn act;
	void *data;
};

static int act_on(const struct selection *selection, const struct vm_entry *vm, bool by_name)
{
	struct vm_job job = {
		.rundir = selection->rundir,
		.vm = vm,
		.args = selection->args,
		.by_name = by_name,
	};
	int status;

	log_set_vm(vm->name);
	status = selection->act(&job, selection->data);
	log_set_vm(NULL);
	return status;
}

static int no_such_vm(const struct selection *selection, const char *word)
{
	_cleanup_(str_finish) struct str names = { 0 };
	size_t i;

	for (i = 0; i < selection->listing->n && i < 8; i++)
		str_printf(&names, "%s'%s'", i ? ", " : "", selection->listing->items[i].name);
	if (selection->listing->n == 0)
		log_error("there is no VM '%s': no VM runs here", word);
	else
		log_error("there is no VM '%s'; there %s %s%s", word,
			selection->listing->n == 1 ? "is" : "are",
			names.failed ? "some" : names.text,
			selection->listing->n > i ? " and more: see 'vmlatch list'" : "");
	return EX_NOINPUT;
}

static int act_on_name(const struct selection *selection, const char *name)
{
	_cleanup_(vm_entry_finish) struct vm_entry vm = { 0 };

	if (selection->rundir->root_fd < 0 || rundir_look(selection->rundir, name, &vm) < 0)
		return no_such_vm(selection, name);
	return act_on(selection, &vm, true);
}

static int act_on_glob(const struct selection *selection, const char *glob)
{
	int status = 0, one;
	size_t i, n = 0;

	for (i = 0; i < selection->listing->n; i++) {
		const struct vm_entry *vm = &selection->listing->items[i];

		if (fnmatch(glob, vm->name, 0) != 0)
			continue;
		n++;
		one = act_on(selection, vm, false);
		status = status ? status : one;
	}
	return n ? status : no_such_vm(selection, glob);
}

/* The runtime directory and what is in it; none at all is an empty list. */
static int look_around(struct rundir *rundir, struct listing *listing, struct error *err)
{
	int ret = rundir_open(rundir, false, err);

	if (ret == -ENOENT)
		return 0;
	return ret < 0 ? ret : rundir_list(rundir, &listing->items, &listing->n, err);
}

int vm_select(const struct verb_args *args, size_t n, vm_job_fn act, void *data)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(listing_finish) struct listing listing = { 0 };
	const struct selection selection = { &rundir, args, &listing, act, data };
	struct error err = { 0 };
	int status = 0, one, ret;
	size_t i;

	ret = look_around(&rundir, &listing, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	if (n == 0)
		return listing.n ? act_on_glob(&selection, "*") : 0;
	for (i = 0; i < n; i++) {
		const char *word = args->operands.items[i];

		one = strpbrk(word, "*?[") ? act_on_glob(&selection, word)
					   : act_on_name(&selection, word);
		status = status ? status : one;
	}
	return status;
}

int vm_verb(char **argv, size_t n_vms, vm_job_fn act)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct error err = { 0 };
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	return vm_select(&args, n_vms < args.operands.n ? n_vms : args.operands.n, act, NULL);
}

int vm_job_unsupervised(const struct vm_job *job, struct error *err)
{
	pid_t pid = job->vm->state.qemu.pid;

	error_status(err, 0, EX_UNAVAILABLE);
	if (job->vm->presence == VM_UNKNOWN)
		return error_set(err, -ENOTCONN,
			"its supervisor died, and whether QEMU runs on is not known: %s",
			job->vm->problem);
	return error_set(err, -ENOTCONN,
		"its supervisor died; QEMU (pid %d) runs on and its disks stay locked; nothing was "
		"changed ('kill %d' ends it)",
		pid, pid);
}

/* With --qmp two VMs may have been given one path, the second after the first's was removed. */
static int check_peer(const struct vm_entry *vm, int fd, struct error *err)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);

	if (!vm->readable || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		peer.pid == vm->state.supervisor.pid)
		return 0;
	return error_set(err, -ECONNREFUSED,
		"its socket %s is another process's by now (pid %d): it cannot be asked, only "
		"stopped",
		vm->state.qmp_path ? vm->state.qmp_path : "", peer.pid);
}

int vm_job_connect(const struct vm_job *job, struct control_client *client, struct error *err)
{
	const struct vm_entry *vm = job->vm;
	_cleanup_(str_finish) struct str path = { 0 };
	int ret;

	error_status(err, 0, EX_UNAVAILABLE);
	if (vm->presence == VM_GONE)
		return error_set(err, -ENOTCONN, "it is not running");
	if (vm->presence == VM_UNSUPERVISED || vm->presence == VM_UNKNOWN)
		return vm_job_unsupervised(job, err);
	if (vm->readable && vm->state.qmp_path)
		str_append(&path, vm->state.qmp_path);
	else
		str_printf(&path, "%s/%s/%s", job->rundir->root, vm->name, RUNDIR_QMP);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	ret = control_client_open(client, path.text, err);
	if (ret == 0)
		ret = check_peer(vm, client->fd, err);
	if (ret < 0)
		control_client_close(client);
	return ret;
}

int vm_job_failure(int code, const struct control_client *client, struct error *err)
{
	static const struct {
		const char *class;
		int status;
	} classes[] = {
		{ CONTROL_BUSY, EX_TEMPFAIL },
		{ CONTROL_STALE, EX_TEMPFAIL },
	};
	size_t i;

	if (code < 0)
		return exit_failure(code, err);
	log_error("%s", err->text);
	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (strcmp(client->error_class, classes[i].class) == 0)
			return classes[i].status;
	}
	return EX_UNAVAILABLE;
}
