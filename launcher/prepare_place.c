/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/prepare_place.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/process.h"

int prepare_check_proc(struct error *err)
{
	if (process_sees_itself())
		return 0;
	error_set(err, -ESRCH,
		"/proc is not that of this PID namespace: mount it ('mount -t proc proc /proc', "
		"'unshare --mount-proc')");
	return error_status(err, -ESRCH, EX_OSERR);
}

bool prepare_in_place(const struct options *options, const struct command_line *line)
{
	if (line->daemonize)
		return true;
	/*
	 * The first process of a PID namespace (a container's) cannot be killed from inside
	 * it: as QEMU it would be out of its supervisor's reach. As our child it is not,
	 * and everything in the namespace ends with us.
	 */
	if (options->in_place && getpid() == 1) {
		log_info("QEMU becomes a child: process 1 could not be ended by a supervisor");
		return false;
	}
	return options->in_place;
}
