/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What 'attach' and 'detach' have in common: all but the command. */
enum disk_change { DISK_ATTACH, DISK_DETACH };
int change_disk(char **argv, enum disk_change change);
