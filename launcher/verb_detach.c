/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/change_resource.h"
#include "launcher/verbs.h"

int verb_detach(char **argv)
{
	return change_resource(argv, RESOURCE_DETACH);
}
