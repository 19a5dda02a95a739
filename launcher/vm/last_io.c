/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/last_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/locks_job.h"

/* QEMU locks byte 100 + N for a permission N it uses: 1 is write, 3 is resize. */
#define QEMU_BYTE_WRITE  101
#define QEMU_BYTE_RESIZE 103

#define FIRST_WAIT_MS 5
#define LAST_WAIT_MS  250
#define SCAN_AFTER_MS 1000 /* looking through /proc is dear */
#define PROBE_MS      2000 /* what it asks of the file system takes no time */

static struct last_io {
	void (*done)(struct vm *vm);
	uint64_t wait_ms;
	uint64_t waited_ms;
	const char *told;
} waiting;

enum { ALL_FREE, STILL_LOCKED };

static bool byte_is_locked(int fd, off_t byte)
{
	struct flock probe = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	return TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_GETLK, &probe)) == 0 && probe.l_type != F_UNLCK;
}

static bool process_has_locked(pid_t pid, const struct resource_identity *id)
{
	struct open_image *images;
	bool found = false;
	size_t n, i;

	if (open_images_read(pid, &images, &n, NULL) < 0)
		return false;
	for (i = 0; i < n; i++)
		found |= images[i].image_locked && resource_identity_equal(&images[i].id, id);
	open_images_free(images, n);
	return found;
}

/* A lock that a living process shows as its own is not our dead QEMU's. */
static bool somebody_else_has_it(const struct resource_identity *id)
{
	struct dirent *entry;
	bool found = false;
	DIR *proc = opendir("/proc");

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		found = pid > 0 && process_has_locked(pid, id);
	}
	if (proc)
		closedir(proc);
	return found;
}

static int run_probe(struct locks_job *job, struct error *err)
{
	const struct resource_set *all = domain_lock_resources(job->vm->domain);
	size_t i;

	(void)err;
	for (i = 0; i < all->n; i++) {
		const struct resource *image = &all->items[i];
		int fds[LOCK_FDS_MAX]; /* the image's comes first */

		if (image->kind != RESOURCE_DISK || image->mode == RESOURCE_READER ||
			!domain_lock_resource_fds(job->vm->domain, image, fds))
			continue;
		if (!byte_is_locked(fds[0], QEMU_BYTE_WRITE) &&
			!byte_is_locked(fds[0], QEMU_BYTE_RESIZE))
			continue;
		if (job->token < SCAN_AFTER_MS || !somebody_else_has_it(&image->id))
			return STILL_LOCKED;
	}
	return ALL_FREE;
}

static void probe(struct vm *vm);

static void on_timer(uv_timer_t *timer)
{
	probe(timer->data);
}

/* There is no giving up: before the last write nobody else may have the disk. But it is said. */
static void tell(struct vm *vm, const char *what)
{
	if (waiting.told == what)
		return;
	waiting.told = what;
	log_notice("%s", what);
	vm_set_text(&vm->state.held_because, what);
	vm_save_state(vm);
}

static void late_probe(struct locks_job *job)
{
	tell(job->vm, "QEMU is dead, but whether its last write is done cannot be asked: a lock "
		      "call hangs, the file system or the lock daemon does not answer");
}

static void done_probe(struct locks_job *job, int result, const struct error *err)
{
	(void)err;
	if (result == ALL_FREE) {
		if (waiting.told)
			vm_set_text(&job->vm->state.held_because, NULL);
		waiting.done(job->vm);
		return;
	}
	if (waiting.waited_ms > SCAN_AFTER_MS)
		tell(job->vm,
			"QEMU is dead, its last write is not done: the locks stay until it is");
	uv_timer_start(&job->vm->last_io_timer, on_timer, waiting.wait_ms, 0);
	waiting.waited_ms += waiting.wait_ms;
	waiting.wait_ms = waiting.wait_ms * 2 < LAST_WAIT_MS ? waiting.wait_ms * 2 : LAST_WAIT_MS;
}

static void probe(struct vm *vm)
{
	struct locks_job job = {
		.vm = vm,
		.run = run_probe,
		.done = done_probe,
		.late = late_probe,
		.deadline_ms = PROBE_MS,
		.token = waiting.waited_ms,
	};

	if (locks_job_submit(&job) < 0) /* out of memory, which may pass */
		uv_timer_start(&vm->last_io_timer, on_timer, LAST_WAIT_MS, 0);
}

void last_io_wait(struct vm *vm, void (*done)(struct vm *vm))
{
	waiting = (struct last_io){ .done = done, .wait_ms = FIRST_WAIT_MS };
	if (vm_has_locks(vm))
		probe(vm);
	else
		done(vm);
}
