/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "launcher/json_text.h"

void vm_state_finish(struct vm_state *state)
{
	free(state->binary);
	free(state->driver);
	free(state->run_state);
	free(state->cause_detail);
	free(state->remedy);
	free(state->held_because);
	free(state->lock_text);
	free(state->qmp_path);
	strv_finish(&state->pinned);
	resource_set_finish(&state->resources);
	*state = (struct vm_state){ 0 };
}

static bool is_of_this_boot(const struct vm_state *state)
{
	char boot_id[BOOT_ID_SIZE];

	return process_boot_id(boot_id) == 0 && strcmp(boot_id, state->boot_id) == 0;
}

bool vm_state_is_alive(const struct vm_state *state)
{
	return is_of_this_boot(state) && state->qemu.start_time &&
	       process_is_alive(state->qemu.pid, state->qemu.start_time);
}

int vm_state_open_process(const struct vm_state *state, const struct vm_process *process)
{
	_cleanup_(closep) int fd = -1;

	if (process->pid <= 0 || !process->start_time || !is_of_this_boot(state))
		return -ESRCH;
	/* the descriptor first: what is compared then cannot become another process */
	fd = pidfd_open_cloexec(process->pid);
	if (fd < 0)
		return fd;
	return process_is_alive(process->pid, process->start_time) ? take_fd(&fd) : -ESRCH;
}

char *vm_state_to_text(const struct vm_state *state)
{
	json_auto_t *root = vm_state_to_json(state);

	return root ? json_text_dump(root) : NULL;
}

int vm_state_from_text(const char *text, size_t len, struct vm_state *ret, struct error *err)
{
	json_auto_t *root = NULL;
	json_error_t problem;

	allocation_watch();
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &problem);
	if (allocation_failed())
		return error_set(err, -ENOMEM, "out of memory");
	if (!root)
		return error_set(err, -EINVAL, "line %d: %s", problem.line, problem.text);
	return vm_state_from_json(root, ret, err);
}

int vm_state_save(int dir_fd, const char *name, const struct vm_state *state, struct error *err)
{
	_cleanup_(freep) char *text = vm_state_to_text(state);
	int ret;

	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	ret = file_replace_at(dir_fd, name, text, strlen(text), 0600);
	if (ret < 0)
		return error_set(
			err, ret, "write %s of VM '%s': %s", name, state->name, strerror(-ret));
	return 0;
}

int vm_state_load(int dir_fd, const char *name, struct vm_state *ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;
	int code;

	code = file_read_at(dir_fd, name, O_NOFOLLOW, STATE_MAX, &text, &len);
	if (code < 0)
		return error_set(err, code, "read %s: %s", name, strerror(-code));
	code = vm_state_from_text(text, len, ret, err);
	return code < 0 ? error_prefix(err, code, "%s", name) : 0;
}

const char *vm_state_id_text(const struct resource_identity *id, char text[static STATE_ID_SIZE])
{
	snprintf(text, STATE_ID_SIZE, "%" PRIu64 ":%" PRIu64, id->dev, id->ino);
	return text;
}

bool vm_state_may_name(int dir_fd, const char *name, const struct resource_identity *id)
{
	_cleanup_(freep) char *text = NULL;
	char number[STATE_ID_SIZE];

	if (file_read_at(dir_fd, name, O_NOFOLLOW, STATE_MAX, &text, NULL) < 0)
		return false;
	return strstr(text, vm_state_id_text(id, number));
}
