/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_warnings.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/keyval.h"

static int warn(struct strv *ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int warn(struct strv *ret, const char *fmt, ...)
{
	_cleanup_(str_finish) struct str text = { 0 };
	char sentence[8192];
	va_list args;

	va_start(args, fmt);
	str_format_short(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	return strv_add(ret, sentence);
}

/* Is it so anywhere in this node, {key: "off"} or {key: false}? */
static bool is_off_somewhere(const json_t *node, const char *key)
{
	const char *name;
	json_t *member;

	if (json_object_get(node, key) && !keyval_bool(node, key, true))
		return true;
	json_object_foreach ((json_t *)node, name, member) {
		if (json_is_object(member) && is_off_somewhere(member, key))
			return true;
	}
	return false;
}

static bool cache_is(const json_t *node, const char *key)
{
	const json_t *cache = json_object_get(node, "cache");
	const char *name;
	json_t *member;

	if (keyval_bool(cache, key, false))
		return true;
	json_object_foreach ((json_t *)node, name, member) {
		if (json_is_object(member) && cache_is(member, key))
			return true;
	}
	return false;
}

/* @shared: where the locks come from that others have too. */
static int argument_warn(
	const struct argv_image *image, const struct strv *shared, struct strv *ret)
{
	int code = 0;

	if (is_off_somewhere(image->node, "locking"))
		code = warn(ret,
			"%s: with locking=off QEMU's own image locks keep nobody away: a "
			"QEMU without vmlatch can use this disk at the same time",
			image->origin);
	if (code == 0 && cache_is(image->node, "no-flush"))
		code = warn(ret,
			"%s: with cache=unsafe QEMU never flushes: when the lock is given "
			"back, or the host dies, other hosts may not see what was written",
			image->origin);
	if (code == 0 && strv_has(shared, image->origin) && !cache_is(image->node, "direct"))
		code = warn(ret,
			"%s: a disk that is shared between hosts needs cache=none "
			"(cache.direct=on): each host's page cache hides what others write",
			image->origin);
	return code;
}

/* Formats of which QEMU does not promise to read its caches anew: it cannot be deactivated. */
static bool blocks_deactivation(const char *format)
{
	static const char *const formats[] = { "qcow", "vdi", "vhdx", "vmdk", "vpc", "parallels" };
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(format, formats[i]) == 0)
			return true;
	}
	return false;
}

static int image_warn(const struct preparation *p, const struct disk_image *image, struct strv *ret)
{
	bool metadata = image->format && strcmp(image->format, "raw") != 0;
	int code = 0;

	if (image->refused)
		return warn(ret,
			"%s: the VM will not start: QEMU wants to write to it, and QEMU's user may "
			"not",
			image->path);
	if (!image->why || image->mode == RESOURCE_READER)
		return 0;
	if (image->other_path)
		code = warn(ret, "%s and %s are one file: it is locked once", image->path,
			image->other_path);
	if (code < 0 || !metadata || p->pinned.n)
		return code;
	if (!p->options.deactivate)
		return warn(ret,
			"%s: with --deactivate=no QEMU keeps the metadata of a %s image "
			"to itself: its locks are not given back at a pause",
			image->path, image->format);
	if (blocks_deactivation(image->format))
		return warn(ret,
			"%s: QEMU cannot let go of a %s image while it runs: the locks "
			"are not given back at a pause; qcow2 or raw can",
			image->path, image->format);
	return 0;
}

static int shared_list(const struct resource_set *set, struct strv *ret)
{
	size_t i;
	int code = 0;

	for (i = 0; code == 0 && i < set->n; i++) {
		const struct resource *resource = &set->items[i];

		if (resource->mode == RESOURCE_SHARED && resource->origin)
			code = strv_add(ret, resource->origin);
	}
	return code;
}

int check_warnings(const struct preparation *p, struct strv *ret)
{
	_cleanup_(strv_finish) struct strv shared = { 0 };
	const struct command_line *line = &p->disks.line;
	size_t i;
	int code = shared_list(&p->disks.set, &shared);

	for (i = 0; code == 0 && i < line->n_images; i++)
		code = argument_warn(&line->images[i], &shared, ret);
	for (i = 0; code == 0 && i < p->disks.images.n; i++)
		code = image_warn(p, &p->disks.images.items[i], ret);
	return code;
}
