/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What 'attach' and 'detach' have in common: all but the command. */
enum resource_change { RESOURCE_ATTACH, RESOURCE_DETACH };
int change_resource(char **argv, enum resource_change change);
