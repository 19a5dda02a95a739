/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_explain.h"

/* The image that this one belongs to, or NULL; it was met before. */
static const struct disk_image *parent_of(const struct disks *disks, const struct disk_image *image)
{
	size_t place = image - disks->images.items;

	return image->parent < place ? &disks->images.items[image->parent] : NULL;
}

static const struct resource *resource_of(const struct disks *disks, const struct disk_image *image)
{
	const struct resource like = {
		.kind = RESOURCE_DISK, .path = image->path, .id = image->id
	};

	return resource_set_find(&disks->set, &like);
}

/* Those that a header names say so: "data file of /srv/top.qcow2". */
static const char *role_find(const struct resource *resource, const struct disk_image *image)
{
	static const char *const roles[] = { "backing file", "data file", "extent" };
	const char *origin = resource && resource->origin ? resource->origin : "";
	size_t i;

	for (i = 0; i < sizeof(roles) / sizeof(*roles); i++) {
		if (str_starts(origin, roles[i]))
			return roles[i];
	}
	return image->backing ? "backing file" : "part";
}

void check_explain(
	const struct disks *disks, const struct resource *resource, struct check_reason *ret)
{
	const struct disk_image *image = disks_find_image(disks, resource), *parent;
	const struct resource *top = resource;

	*ret = (struct check_reason){ .why = image ? image->why : NULL };
	for (; image && ret->n_links < CHECK_LINKS_MAX; image = parent) {
		const struct resource *member = resource_of(disks, image);

		top = member ? member : top;
		parent = parent_of(disks, image);
		if (parent)
			ret->links[ret->n_links++] =
				(struct check_link){ role_find(member, image), parent->path };
	}
	ret->argument = top->origin ? top->origin : "?";
}
