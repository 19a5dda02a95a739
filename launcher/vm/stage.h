/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How far the child has come on its way to QEMU; a failing start names it. */
enum stage {
	STAGE_LOCK,        /* register, acquire, arm */
	STAGE_DESCRIPTORS, /* put what QEMU inherits where it belongs */
	STAGE_HANDOVER,    /* give the supervisor its copies */
	STAGE_PRIVILEGES,  /* become the user that QEMU runs as */
	STAGE_EXEC,
	STAGE_N,
};

static inline const char *stage_name(enum stage stage)
{
	static const char *const names[STAGE_N] = {
		[STAGE_LOCK] = "take the locks",
		[STAGE_DESCRIPTORS] = "place the descriptors",
		[STAGE_HANDOVER] = "hand over to the supervisor",
		[STAGE_PRIVILEGES] = "set the user",
		[STAGE_EXEC] = "start QEMU",
	};

	return (unsigned)stage < STAGE_N ? names[stage] : "do something unknown";
}
