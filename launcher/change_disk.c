/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/change_disk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/option_value.h"
#include "launcher/vm_select.h"

/* How long lock calls may take on a network file system. */
#define CHANGE_TIMEOUT_MS 120000

struct disk {
	const char *command;
	char *path; /* absolute */
};

static void disk_finish(struct disk *disk)
{
	free(disk->path);
}

static int change_one(const struct vm_job *job, void *data)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	const struct disk *disk = data;
	struct error err = { 0 };
	json_t *arguments;
	int ret;

	client.timeout_ms = CHANGE_TIMEOUT_MS;
	ret = vm_job_connect(job, &client, &err);
	if (ret)
		return vm_job_failure(ret, &client, &err);
	arguments = json_pack("{s:s, s:s}", "kind", "disk", "path", disk->path);
	if (!arguments) {
		log_error("%s cannot be named in QMP: it is no UTF-8", disk->path);
		return EX_DATAERR;
	}
	ret = control_client_call(&client, disk->command, arguments, &err);
	return ret ? vm_job_failure(ret, &client, &err) : 0;
}

int change_disk(char **argv, enum disk_change change)
{
	static const char *const commands[] = { "vmlatch-attach", "vmlatch-detach" };
	_cleanup_(disk_finish) struct disk disk = { .command = commands[change] };
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct error err = { 0 };
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	if (strcmp(args.operands.items[1], "disk") != 0) {
		log_error("'%s' knows only disks: vmlatch %s VM disk PATH, not '%s'", argv[0],
			argv[0], args.operands.items[1]);
		return EX_USAGE;
	}
	disk.path = path_make_absolute(args.operands.items[2]);
	if (!disk.path)
		return EX_OSERR;
	/* a disk that is gone may still have to be let go */
	if (change == DISK_ATTACH && access(disk.path, F_OK) < 0) {
		log_error("%s: %s", disk.path, strerror(errno));
		return exit_status(-errno, NULL);
	}
	return vm_select(&args, 1, change_one, &disk);
}
