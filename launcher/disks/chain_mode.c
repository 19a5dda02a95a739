/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "launcher/disks/chain_walk.h"

static bool may_not_write(const char *path)
{
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0 &&
	       (errno == EACCES || errno == EROFS || errno == EPERM);
}

/*
 * Does QEMU do without the right to write? It asks for it as soon as anything
 * wants to write: a format with metadata at once, else a device (seen with 7.2).
 */
static bool goes_on_reading(const struct chain_place *place, const char *format, bool plain)
{
	return block_driver_only_reads(format) ||
	       (plain && (place->filtered || !(place->uses & ARGV_USE_NO_CDROM)));
}

static struct chain_mode unwritable(const struct chain_place *place, const char *format, bool plain)
{
	bool refused = !place->auto_read_only || !goes_on_reading(place, format, plain);
	/* who opens it at once is refused by us; what comes later QEMU says itself */
	enum resource_mode mode = place->auto_read_only ? RESOURCE_READER : RESOURCE_EXCLUSIVE;

	return (struct chain_mode){ mode,
		refused ? "QEMU wants to write to it, and may not"
			: "it may not be written, and QEMU goes on without",
		refused };
}

struct chain_mode chain_mode_find(
	const char *path, const struct chain_place *place, const char *format)
{
	bool device = place->uses & ARGV_USE_DEVICE;
	bool shared = device && !(place->uses & ARGV_USE_NO_SHARING);
	bool plain = place->plain && strcmp(format, "raw") == 0;
	enum resource_mode mode = RESOURCE_EXCLUSIVE;
	const char *why = "QEMU may write to it";

	/* one that was guessed counts for nothing: a QEMU without that driver takes it for raw */
	if (place->format && block_driver_only_reads(format))
		return (struct chain_mode){ RESOURCE_READER, "QEMU cannot write this format" };
	if (!place->writable)
		return (struct chain_mode){ RESOURCE_READER,
			place->backing ? "a backing file is only read"
				       : "read-only, a CD-ROM, or the base of a snapshot" };
	/* QEMU opens it for writing only when a device (or job) wants to write, and if it may */
	if (place->auto_read_only && plain && device && !place->filtered &&
		!(place->uses & ARGV_USE_NO_CDROM))
		return (struct chain_mode){ RESOURCE_READER, "only CD-ROM drives use it" };
	if (!place->opened && may_not_write(path))
		return unwritable(place, format, plain);
	/* metadata cannot be shared, whatever the device allows */
	if (block_driver_only_reads(format)) {
		why = "a QEMU without a driver for its format would take it for raw, and write to "
		      "it";
	} else if (plain && shared) {
		mode = RESOURCE_SHARED;
		why = "each device that uses it has share-rw=on";
	} else if (shared) {
		why = "share-rw=on, but the metadata of its format cannot be shared";
	}
	return (struct chain_mode){ mode, why };
}
