/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/change_disk.h"
#include "launcher/verbs.h"

int verb_detach(char **argv)
{
	return change_disk(argv, DISK_DETACH);
}
