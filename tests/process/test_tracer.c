/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/process.h"
#include "launcher/vm/tracer.h"

#define N_COUNTERS  3
#define DEADLINE_MS 20000

/* What the threads of the other process do; it is shared with it. */
static struct work {
	atomic_ulong counts[N_COUNTERS];
	atomic_ulong started; /* threads that lived only for a moment */
	atomic_int pid;
	atomic_bool sleep_deep, woke;
} * work;

static pid_t child;
static int pidfd;
static struct tracer tracer;

static void *count(void *counter)
{
	for (;;)
		atomic_fetch_add((atomic_ulong *)counter, 1);
	return NULL;
}

static void *live_for_a_moment(void *unused)
{
	(void)unused;
	atomic_fetch_add(&work->started, 1);
	return NULL;
}

/* Uninterruptible, until its child ends (kernel/fork.c: wait_for_vfork_done()). */
static void *sleep_deep(void *unused)
{
	pid_t pid = vfork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		atomic_store(&work->pid, getpid());
		for (;;)
			pause();
	}
	atomic_store(&work->woke, true);
	return unused;
}

/* cmocka's handlers would have a child that faults go on as a second runner of the tests. */
static void fault_as_usual(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
}

/*
 * Threads are detached from their start: glibc's pthread_detach() reads a thread's memory after
 * it has let go of it, and one that lives only for a moment may have unmapped it by then (glibc
 * bug 19951).
 */
static _Noreturn void be_busy(void)
{
	pthread_attr_t detached;
	pthread_t thread;
	int i;

	fault_as_usual();
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (i = 0; i < N_COUNTERS; i++) {
		if (pthread_create(&thread, &detached, count, &work->counts[i]) != 0)
			_exit(1);
	}
	for (;;) {
		if (atomic_exchange(&work->sleep_deep, false))
			pthread_create(&thread, &detached, sleep_deep, NULL);
		pthread_create(&thread, &detached, live_for_a_moment, NULL);
	}
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static unsigned long all_work(void)
{
	unsigned long sum = atomic_load(&work->started);
	int i;

	for (i = 0; i < N_COUNTERS; i++)
		sum += atomic_load(&work->counts[i]);
	return sum;
}

static bool ends(void)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	return poll(&end, 1, 0) > 0;
}

/* Each of them has gone on since. */
static void wait_until_all_work(void)
{
	unsigned long before[N_COUNTERS + 1];
	int i, ms;

	for (i = 0; i < N_COUNTERS; i++)
		before[i] = atomic_load(&work->counts[i]);
	before[i] = atomic_load(&work->started);
	for (ms = 0; ms < DEADLINE_MS && !ends(); ms++) {
		bool all = atomic_load(&work->started) != before[N_COUNTERS];

		for (i = 0; i < N_COUNTERS; i++)
			all &= atomic_load(&work->counts[i]) != before[i];
		if (all)
			return;
		sleep_ms(1);
	}
	fail_msg("%s", ends() ? "the child has ended" : "a thread does not go on");
}

/* As the loop does it: look after each SIGCHLD, until there is none for a while. */
static void look_until_quiet(void)
{
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (sigtimedwait(&chld, NULL, &(struct timespec){ .tv_nsec = 200000000 }) == SIGCHLD)
		assert_int_equal(tracer_look(&tracer), 0);
}

static void assert_still(void)
{
	unsigned long before = all_work();

	sleep_ms(100);
	assert_int_equal(all_work(), before);
}

/* A busy machine may be quiet for a while before it goes on. */
static bool ends_soon(void)
{
	unsigned rounds;

	for (rounds = 0; rounds < 100 && !ends(); rounds++)
		look_until_quiet();
	return ends();
}

/* A traced thread that dies is there until it is looked at. */
static void look_until_end(void)
{
	int ms;

	for (ms = 0; ms < DEADLINE_MS && !ends(); ms++) {
		tracer_look(&tracer);
		sleep_ms(1);
	}
}

static int start_child(void **state)
{
	(void)state;
	work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		be_busy();
	}
	pidfd = pidfd_open_cloexec(child);
	tracer = (struct tracer){ 0 };
	wait_until_all_work();
	return pidfd < 0;
}

static int end_child(void **state)
{
	bool ended;

	(void)state;
	pidfd_signal(pidfd, SIGKILL);
	look_until_end();
	ended = ends();
	if (ended)
		waitpid(child, NULL, 0);
	close(pidfd);
	if (tracer.tasks)
		closedir(tracer.tasks);
	munmap(work, sizeof(*work));
	return !ended;
}

static void held_threads_stay_whoever_sends_sigcont(void **state)
{
	(void)state;
	assert_int_equal(tracer_hold(&tracer, child), 0);
	look_until_quiet();
	assert_still();
	pidfd_signal(pidfd, SIGCONT);
	look_until_quiet();
	assert_still();
}

static void a_stop_signal_that_comes_before_changes_nothing(void **state)
{
	(void)state;
	pidfd_signal(pidfd, SIGSTOP);
	assert_int_equal(tracer_hold(&tracer, child), 0);
	look_until_quiet();
	assert_still();
	pidfd_signal(pidfd, SIGCONT);
	assert_still();
	tracer_let_go(&tracer);
	look_until_quiet();
	wait_until_all_work();
}

static void all_threads_go_on_however_soon_they_are_let_go(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		pidfd_signal(pidfd, SIGSTOP);
		assert_int_equal(tracer_hold(&tracer, child), 0);
		sleep_ms(i % 3);
		pidfd_signal(pidfd, SIGCONT);
		tracer_let_go(&tracer);
		if (i % 10 == 9)
			look_until_quiet();
	}
	look_until_quiet();
	assert_null(tracer.tasks);
	wait_until_all_work();
}

static pid_t wait_for_pid(void)
{
	int ms;

	for (ms = 0; ms < DEADLINE_MS && !atomic_load(&work->pid); ms++)
		sleep_ms(1);
	return atomic_load(&work->pid);
}

/* Storage that hangs does the same. */
static void a_thread_that_sleeps_too_deep_to_stop_hinders_nobody(void **state)
{
	pid_t pid;

	(void)state;
	atomic_store(&work->sleep_deep, true);
	pid = wait_for_pid();
	assert_true(pid > 0);
	assert_int_equal(tracer_hold(&tracer, child), 0);
	look_until_quiet();
	assert_still();
	tracer_let_go(&tracer);
	look_until_quiet();
	wait_until_all_work();
	assert_non_null(tracer.tasks); /* that one is held still */
	kill(pid, SIGKILL);
	look_until_quiet();
	assert_null(tracer.tasks);
	assert_true(atomic_load(&work->woke));
}

static void a_kill_is_seen_at_once_and_the_exit_status_is_left(void **state)
{
	siginfo_t info = { 0 };

	(void)state;
	assert_int_equal(tracer_hold(&tracer, child), 0);
	look_until_quiet();
	pidfd_signal(pidfd, SIGKILL);
	look_until_end();
	assert_true(ends());
	assert_int_equal(waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	assert_int_equal(info.si_pid, child);
	assert_int_equal(info.si_code, CLD_KILLED);
	assert_int_equal(info.si_status, SIGKILL);
}

static void a_signal_that_came_meanwhile_is_not_lost(void **state)
{
	siginfo_t info = { 0 };

	(void)state;
	assert_int_equal(tracer_hold(&tracer, child), 0);
	pidfd_signal(pidfd, SIGTERM);
	look_until_quiet();
	assert_false(ends());
	tracer_let_go(&tracer);
	assert_true(ends_soon());
	assert_int_equal(waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	assert_int_equal(info.si_status, SIGTERM);
}

/* A process between us and the busy one, which holds it and is killed. */
static void the_death_of_who_holds_them_kills_them(void **state)
{
	struct tracer between = { 0 };
	pid_t holder, held;
	bool lives;
	int ms;

	(void)state;
	holder = fork();
	if (holder == 0) {
		held = fork();
		if (held == 0)
			be_busy();
		sleep_ms(50);
		if (tracer_hold(&between, held) == 0)
			atomic_store(&work->pid, held);
		for (;;)
			pause();
	}
	held = wait_for_pid();
	kill(holder, SIGKILL);
	waitpid(holder, NULL, 0);
	assert_true(held > 0);
	for (ms = 0; ms < DEADLINE_MS && process_is_alive(held, 0); ms++)
		sleep_ms(1);
	lives = process_is_alive(held, 0);
	if (lives)
		kill(held, SIGKILL);
	assert_false(lives);
}

static void who_has_a_tracer_is_not_held_in_part(void **state)
{
	pid_t traced;

	(void)state;
	traced = fork();
	if (traced == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	waitpid(traced, NULL, WUNTRACED);
	assert_int_equal(tracer_hold(&tracer, traced), -EPERM);
	assert_null(tracer.tasks);
	kill(traced, SIGKILL);
	waitpid(traced, NULL, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_child, end_child)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(held_threads_stay_whoever_sends_sigcont),
		TEST(a_stop_signal_that_comes_before_changes_nothing),
		TEST(all_threads_go_on_however_soon_they_are_let_go),
		TEST(a_thread_that_sleeps_too_deep_to_stop_hinders_nobody),
		TEST(a_kill_is_seen_at_once_and_the_exit_status_is_left),
		TEST(a_signal_that_came_meanwhile_is_not_lost),
		TEST(the_death_of_who_holds_them_kills_them),
		TEST(who_has_a_tracer_is_not_held_in_part),
	};
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
