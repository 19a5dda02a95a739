/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "launcher/disks/chain_walk.h"

enum resource_mode chain_mode_find(
	const char *path, const struct chain_place *place, const char *format, const char **ret_why)
{
	bool device = place->uses & ARGV_USE_DEVICE;
	bool shared = device && !(place->uses & ARGV_USE_NO_SHARING);
	bool plain = place->plain && strcmp(format, "raw") == 0;

	/* one that was guessed counts for nothing: a QEMU without that driver takes it for raw */
	*ret_why = "QEMU cannot write this format";
	if (place->format && block_driver_only_reads(format))
		return RESOURCE_READER;
	*ret_why = place->backing ? "a backing file is only read"
				  : "read-only, a CD-ROM, or the base of a snapshot";
	if (!place->writable)
		return RESOURCE_READER;
	/* QEMU opens it for writing only when a device (or job) wants to write, and if it may */
	*ret_why = "only CD-ROM drives use it";
	if (place->auto_read_only && plain && device && !place->filtered &&
		!(place->uses & ARGV_USE_NO_CDROM))
		return RESOURCE_READER;
	*ret_why = "it may not be written, and QEMU goes on without";
	if (place->auto_read_only && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 &&
		(errno == EACCES || errno == EROFS))
		return RESOURCE_READER;
	*ret_why = "a QEMU without a driver for its format would take it for raw, and write to it";
	if (block_driver_only_reads(format))
		return RESOURCE_EXCLUSIVE;
	*ret_why = "each device that uses it has share-rw=on";
	if (plain && shared)
		return RESOURCE_SHARED;
	/* metadata cannot be shared, whatever the device allows */
	*ret_why = shared ? "share-rw=on, but the metadata of its format cannot be shared"
			  : "QEMU may write to it";
	return RESOURCE_EXCLUSIVE;
}
