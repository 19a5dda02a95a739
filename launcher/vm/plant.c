/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/plant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "launcher/vm/monitor.h"

struct planting {
	struct vm *vm;
	struct resource_set resources;
	struct life_lines lines;
	size_t next;
	void (*done)(void *data, int result, const char *words);
	void *data;
};

void life_lines_finish(struct life_lines *lines)
{
	fd_close_many(lines->fds, lines->n);
	free(lines->fds);
	*lines = (struct life_lines){ 0 };
}

int life_lines_copy(
	struct domain_lock *domain, const struct resource_set *resources, struct life_lines *ret)
{
	_cleanup_(life_lines_finish) struct life_lines lines = { 0 };
	size_t i;

	lines.fds = calloc(resources->n + 1, sizeof(int));
	if (!lines.fds)
		return -ENOMEM;
	for (i = 0; i < resources->n; i++) {
		int fd = domain_lock_resource_fd(domain, &resources->items[i]);

		if (fd < 0)
			continue; /* a reader where the file system has no locks */
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		lines.fds[lines.n++] = fd;
	}
	ret->fds = take_ptr(lines.fds);
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

static void on_planted(void *data, const struct qmp_reply *reply)
{
	struct planting *planting = data;

	if (reply->result != 0) {
		planting_end(planting, reply->result < 0 ? reply->result : -EIO, reply->words);
		return;
	}
	planting->next++;
	plant_next(planting);
}

static void plant_next(struct planting *planting)
{
	struct vm *vm = planting->vm;
	char name[64];

	if (planting->next == planting->lines.n) {
		planting_end(planting, 0, "");
		return;
	}
	snprintf(name, sizeof(name), "vmlatch-lock-%" PRIu64, ++vm->state.plant_counter);
	if (vm_save_state(vm) < 0) { /* the name might be used again after a crash */
		planting_end(planting, -EIO, "state.json cannot be written");
		return;
	}
	monitor_call(vm, &(struct monitor_call){
				 .command = "getfd",
				 .arguments = json_pack("{s:s}", "fdname", name),
				 .fd = planting->lines.fds[planting->next],
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

void plant_forget(struct vm *vm, const struct resource *resource)
{
	struct resource *member = resource_set_find(&vm->in_qemu, resource);

	if (member)
		resource_set_remove(&vm->in_qemu, member);
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
