/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

/*
 * The text of a config file of QEMU's (-readconfig): sections of options, which
 * are what the command line's options of the same names are. Read exactly as
 * QEMU does (util/qemu-config.c, the same in 6.0 to 10.0), odd corners included:
 * what QEMU sees must be what we see.
 *
 *	[drive "id"]
 *	  file = "NAME"
 */

/*
 * One section, in the file's order.
 *
 * @group	"drive", "device", ...
 * @options	flat, "id" among them; valid during the call
 *
 * Returns 0 or -errno, which ends the reading.
 */
typedef int qemu_config_fn(void *data, const char *group, json_t *options);

/*
 * Returns 0; -EINVAL with a sentence (QEMU refuses it too; the sections before
 * were passed on); -ENOMEM; or what @fn returned.
 */
int qemu_config_parse(
	const char *text, size_t len, qemu_config_fn *fn, void *data, struct error *err);
