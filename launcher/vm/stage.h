/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How far the child has come on its way to QEMU; a failing start names it. */
enum stage {
	STAGE_LOCK,         /* register, acquire, arm */
	STAGE_LIMITS,       /* resource limits, umask */
	STAGE_DESCRIPTORS,  /* put what QEMU inherits where it belongs, below its limit */
	STAGE_HANDOVER,     /* give the supervisor its copies */
	STAGE_BOUNDS,       /* no exec gives more capabilities than are kept */
	STAGE_USER,         /* become the user that QEMU runs as */
	STAGE_CAPABILITIES, /* drop all but those that are kept */
	STAGE_NO_NEW_PRIVS,
	STAGE_SANDBOX, /* filter its system calls */
	STAGE_EXEC,
	STAGE_N,
};

static inline const char *stage_name(enum stage stage)
{
	static const char *const names[STAGE_N] = {
		[STAGE_LOCK] = "take the locks",
		[STAGE_LIMITS] = "set its limits",
		[STAGE_DESCRIPTORS] = "place the descriptors",
		[STAGE_HANDOVER] = "hand over to the supervisor",
		[STAGE_BOUNDS] = "bound its capabilities",
		[STAGE_USER] = "set the user",
		[STAGE_CAPABILITIES] = "drop capabilities",
		[STAGE_NO_NEW_PRIVS] = "forbid new privileges",
		[STAGE_SANDBOX] = "filter its system calls",
		[STAGE_EXEC] = "start QEMU",
	};

	return (unsigned)stage < STAGE_N ? names[stage] : "do something unknown";
}
