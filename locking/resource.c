/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *const mode_names[] = {
	[RESOURCE_READER] = "reader",
	[RESOURCE_SHARED] = "shared",
	[RESOURCE_EXCLUSIVE] = "exclusive",
};

static const char *const kind_names[] = {
	[RESOURCE_LEASE] = "lease",
	[RESOURCE_DISK] = "disk",
};

static int name_find(const char *const *names, int n, const char *name)
{
	int i;

	for (i = 0; i < n; i++) {
		if (str_equal(names[i], name))
			return i;
	}
	return -1;
}

const char *resource_mode_name(enum resource_mode mode)
{
	return mode_names[mode];
}

const char *resource_kind_name(enum resource_kind kind)
{
	return kind_names[kind];
}

int resource_mode_from_name(const char *name)
{
	return name_find(mode_names, sizeof(mode_names) / sizeof(mode_names[0]), name);
}

int resource_kind_from_name(const char *name)
{
	return name_find(kind_names, sizeof(kind_names) / sizeof(kind_names[0]), name);
}

void resource_finish(struct resource *resource)
{
	free(resource->path);
	free(resource->origin);
	*resource = (struct resource){ 0 };
}

int resource_copy(struct resource *to, const struct resource *from)
{
	char *path = strdup(from->path);
	char *origin = from->origin ? strdup(from->origin) : NULL;

	if (!path || (from->origin && !origin)) {
		free(path);
		free(origin);
		return -ENOMEM;
	}
	*to = *from;
	to->path = path;
	to->origin = origin;
	return 0;
}

struct resource_identity resource_identity_of(const struct stat *info)
{
	if (S_ISBLK(info->st_mode))
		return (struct resource_identity){ info->st_rdev, RESOURCE_INO_DEVICE };
	return (struct resource_identity){ info->st_dev, info->st_ino };
}

bool resource_identity_is(const struct resource_identity *id, const struct stat *info)
{
	struct resource_identity other = resource_identity_of(info);

	return resource_identity_equal(id, &other);
}

bool resource_identity_equal(const struct resource_identity *a, const struct resource_identity *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static int number_compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int resource_compare(const struct resource *a, const struct resource *b)
{
	int order;

	if (a->kind != b->kind)
		return number_compare(a->kind, b->kind);
	if (a->kind == RESOURCE_LEASE)
		return strcmp(a->path, b->path);
	if (!a->id.ino && !b->id.ino)
		return strcmp(a->path, b->path);
	if (!a->id.ino || !b->id.ino)
		return a->id.ino ? -1 : 1;
	order = number_compare(a->id.dev, b->id.dev);
	return order ? order : number_compare(a->id.ino, b->id.ino);
}

bool resource_is_same(const struct resource *a, const struct resource *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == RESOURCE_DISK && a->id.ino && b->id.ino)
		return resource_identity_equal(&a->id, &b->id);
	return strcmp(a->path, b->path) == 0;
}

void resource_set_finish(struct resource_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		resource_finish(&set->items[i]);
	free(set->items);
	*set = (struct resource_set){ 0 };
}

static int set_reserve(struct resource_set *set)
{
	size_t size = set->size ? set->size * 2 : 8;
	struct resource *grown;

	if (set->n < set->size)
		return 0;
	grown = reallocarray(set->items, size, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	set->items = grown;
	set->size = size;
	return 0;
}

int resource_set_add(
	struct resource_set *set, const struct resource *resource, struct resource **ret)
{
	struct resource *member = resource_set_find(set, resource);
	struct resource copy;
	size_t at;
	int err;

	if (member) {
		if (resource->mode > member->mode)
			member->mode = resource->mode;
	} else {
		err = set_reserve(set);
		if (err == 0)
			err = resource_copy(&copy, resource);
		if (err < 0)
			return err;
		for (at = set->n; at && resource_compare(&copy, &set->items[at - 1]) < 0; at--)
			set->items[at] = set->items[at - 1];
		set->items[at] = copy;
		set->n++;
		member = &set->items[at];
	}
	if (ret)
		*ret = member;
	return 0;
}

static int item_compare(const void *a, const void *b)
{
	return resource_compare(a, b);
}

struct resource *resource_set_find(const struct resource_set *set, const struct resource *like)
{
	struct resource *found = NULL;
	size_t i;

	if (set->n)
		found = bsearch(like, set->items, set->n, sizeof(*set->items), item_compare);
	/* unknown identities are last; with one of its own, @like may still be the same as those */
	for (i = set->n; !found && i; i--) {
		struct resource *member = &set->items[i - 1];

		if (like->id.ino && member->id.ino)
			break;
		if (resource_is_same(member, like))
			found = member;
	}
	return found;
}

void resource_set_remove(struct resource_set *set, struct resource *member)
{
	size_t at = member - set->items;

	resource_finish(member);
	set->n--;
	memmove(member, member + 1, (set->n - at) * sizeof(*member));
}

void resource_set_sort(struct resource_set *set)
{
	if (set->n)
		qsort(set->items, set->n, sizeof(*set->items), item_compare);
}

int resource_set_copy(struct resource_set *to, const struct resource_set *from)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < from->n; i++)
		ret = resource_set_add(to, &from->items[i], NULL);
	return ret;
}
