/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/plant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/vm/monitor.h"

struct planting {
	struct vm *vm;
	struct resource_set resources;
	struct life_lines lines;
	size_t next;
	void (*done)(void *data, int result, const char *words);
	void *data;
};

#define PLANTED_NAME_SIZE 64

static void planted_name(uint64_t number, char name[static PLANTED_NAME_SIZE])
{
	snprintf(name, PLANTED_NAME_SIZE, "vmlatch-lock-%" PRIu64, number);
}

void life_lines_finish(struct life_lines *lines)
{
	size_t i;

	for (i = 0; i < lines->n; i++) {
		close(lines->items[i].fd);
		resource_finish(&lines->items[i].resource);
	}
	free(lines->items);
	*lines = (struct life_lines){ 0 };
}

int life_lines_copy(
	struct domain_lock *domain, const struct resource_set *resources, struct life_lines *ret)
{
	_cleanup_(life_lines_finish) struct life_lines lines = { 0 };
	int fds[LOCK_FDS_MAX];
	size_t i, k, n;

	lines.items = calloc(resources->n * LOCK_FDS_MAX + 1, sizeof(*lines.items));
	if (!lines.items)
		return -ENOMEM;
	for (i = 0; i < resources->n; i++) {
		/* none: a reader where the file system has no locks */
		n = domain_lock_resource_fds(domain, &resources->items[i], fds);
		for (k = 0; k < n; k++) {
			int fd = fcntl(fds[k], F_DUPFD_CLOEXEC, 0);

			if (fd < 0)
				return -errno;
			lines.items[lines.n].fd = fd;
			if (resource_copy(&lines.items[lines.n++].resource, &resources->items[i]) <
				0)
				return -ENOMEM;
		}
	}
	ret->items = take_ptr(lines.items);
	ret->n = lines.n;
	lines.n = 0;
	return 0;
}

static void planting_end(struct planting *planting, int result, const char *words)
{
	void (*done)(void *data, int result, const char *words) = planting->done;
	void *data = planting->data;

	/* without lines nothing is held yet (or can be) */
	if (result == 0 && planting->lines.n &&
		resource_set_copy(&planting->vm->in_qemu, &planting->resources) < 0)
		result = -ENOMEM;
	resource_set_finish(&planting->resources);
	life_lines_finish(&planting->lines);
	free(planting);
	done(data, result, words);
}

static void plant_next(struct planting *planting);

/* Under which name QEMU has it, so that it can be taken out again. */
static int remember_name(struct vm *vm, const struct resource *resource)
{
	struct planted *grown = reallocarray(vm->planted, vm->n_planted + 1, sizeof(*vm->planted));

	if (!grown)
		return -ENOMEM;
	vm->planted = grown;
	grown = &vm->planted[vm->n_planted];
	grown->number = vm->state.plant_counter;
	if (resource_copy(&grown->resource, resource) < 0)
		return -ENOMEM;
	vm->n_planted++;
	return 0;
}

static void on_planted(void *data, const struct qmp_reply *reply)
{
	struct planting *planting = data;
	if (reply->result != 0) {
		planting_end(planting, reply->result < 0 ? reply->result : -EIO, reply->words);
		return;
	}
	if (remember_name(planting->vm, &planting->lines.items[planting->next].resource) < 0) {
		planting_end(planting, -ENOMEM, "out of memory");
		return;
	}
	planting->next++;
	plant_next(planting);
}

static void plant_next(struct planting *planting)
{
	struct vm *vm = planting->vm;
	char name[PLANTED_NAME_SIZE];

	if (planting->next == planting->lines.n) {
		planting_end(planting, 0, "");
		return;
	}
	planted_name(++vm->state.plant_counter, name);
	if (vm_save_state(vm) < 0) { /* the name might be used again after a crash */
		planting_end(planting, -EIO, "state.json cannot be written");
		return;
	}
	monitor_call(vm, &(struct monitor_call){
				 .command = "getfd",
				 .arguments = json_pack("{s:s}", "fdname", name),
				 .fd = planting->lines.items[planting->next].fd,
				 .fn = on_planted,
				 .data = planting,
			 });
}

int plant_missing(struct vm *vm, const struct resource_set *resources, struct resource_set *ret)
{
	size_t i;
	int code = 0;

	for (i = 0; code == 0 && i < resources->n; i++) {
		if (!resource_set_find(&vm->in_qemu, &resources->items[i]))
			code = resource_set_add(ret, &resources->items[i], NULL);
	}
	return code;
}

int plant_add_reopened(struct domain_lock *domain, struct resource_set *images)
{
	const struct resource_set *all = domain_lock_resources(domain);
	struct lock_status status;
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < all->n; i++) {
		if (domain_lock_resource_status(domain, &all->items[i], &status) == 0 &&
			status.reopened)
			ret = resource_set_add(images, &all->items[i], NULL);
	}
	return ret;
}

void plant_note_missing(struct vm *vm, const struct resource_set *images)
{
	struct resource *member;
	size_t i;

	for (i = 0; i < images->n; i++) {
		member = resource_set_find(&vm->in_qemu, &images->items[i]);
		if (member)
			resource_set_remove(&vm->in_qemu, member);
	}
}

void plant_forget(struct vm *vm, const struct resource *resource)
{
	struct resource *member = resource_set_find(&vm->in_qemu, resource);
	char name[PLANTED_NAME_SIZE];
	size_t i;

	if (member)
		resource_set_remove(&vm->in_qemu, member);
	for (i = vm->n_planted; i > 0; i--) {
		struct planted *planted = &vm->planted[i - 1];

		if (!resource_is_same(&planted->resource, resource))
			continue;
		planted_name(planted->number, name);
		resource_finish(&planted->resource);
		*planted = vm->planted[--vm->n_planted];
		monitor_call(vm, &(struct monitor_call){
					 .command = "closefd",
					 .arguments = json_pack("{s:s}", "fdname", name),
					 .fd = -1,
				 });
	}
}

void plant(struct vm *vm, const struct resource_set *resources, struct life_lines *lines,
	void (*done)(void *data, int result, const char *words), void *data)
{
	struct planting *planting = calloc(1, sizeof(*planting));

	if (!planting || resource_set_copy(&planting->resources, resources) < 0) {
		free(planting);
		life_lines_finish(lines);
		done(data, -ENOMEM, "out of memory");
		return;
	}
	planting->vm = vm;
	planting->lines = *lines;
	planting->done = done;
	planting->data = data;
	*lines = (struct life_lines){ 0 };
	plant_next(planting);
}
