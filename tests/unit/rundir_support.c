/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/rundir_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/unit/made_up_state.h"

struct temporary place;

int rundir_set_up(void **state)
{
	(void)state;
	return temporary_make(&place) < 0 ? -1 : setenv("VMLATCH_RUNTIME_DIR", place.path, 1);
}

int rundir_tear_down(void **state)
{
	(void)state;
	temporary_remove(&place);
	return 0;
}

void open_rundir(struct rundir *rundir)
{
	struct error err = { 0 };

	*rundir = (struct rundir)RUNDIR_INIT;
	if (rundir_open(rundir, true, &err) < 0)
		fail_msg("%s", err.text);
}

bool exists(const char *name)
{
	_cleanup_(freep) char *path = temporary_path(&place, name);

	return access(path, F_OK) == 0;
}

pid_t start_child(int (*work)(int ready), int *ready)
{
	int pair[2];
	pid_t pid;

	if (pipe2(pair, O_CLOEXEC) < 0)
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		_exit(work(pair[1]));
	}
	close(pair[1]);
	*ready = pair[0];
	return pid;
}

void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int claim_and_wait(int ready)
{
	struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };

	if (rundir_open(&rundir, true, &err) < 0 || rundir_claim(&rundir, "web1", &err) != 0)
		return 1;
	if (write(ready, "1", 1) != 1)
		return 2;
	pause();
	return 0;
}

int sleep_only(int ready)
{
	if (write(ready, "1", 1) != 1)
		return 2;
	pause();
	return 0;
}

void wait_ready(int ready)
{
	char byte = 0;

	assert_int_equal(read(ready, &byte, 1), 1);
	close(ready);
}

void leave_state(pid_t pid)
{
	_cleanup_(vm_state_finish) struct vm_state state = { 0 };
	_cleanup_(freep) char *text = NULL;

	made_up_state("web1", &state);
	state.ended = false;
	state.supervisor.pid = 0;
	state.qemu.pid = pid;
	if (process_start_time(pid, &state.qemu.start_time) < 0)
		state.qemu.start_time = 1;
	text = vm_state_to_text(&state);
	temporary_write(&place, "web1/" STATE_FILE, text);
}

int claim(struct rundir *rundir, struct error *err)
{
	rundir_finish(rundir);
	open_rundir(rundir);
	*err = (struct error){ 0 };
	return rundir_claim(rundir, "web1", err);
}
