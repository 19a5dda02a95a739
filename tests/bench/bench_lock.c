/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/process.h"
#include "locking/lock_manager.h"

/*
 * What a lock costs, beside the least that any lock costs: to open the file, lock
 * a byte, unlock it, close. Both take turns, so that a busy machine slows both.
 *
 *	a pause and a resume	release, acquire: the open descriptions stay. What
 *				a VM does all its life; the budgets are for this
 *	a whole life		a new lock object opens, locks, unlocks and closes.
 *				Two descriptions (life line and guard) are twice
 *				the reference already
 */
#define RUNS  101
#define BATCH 100 /* operations a run: one alone is shorter than the clock is good for */

static char path[] = "/var/tmp/vmlatch-bench-XXXXXX";

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int number_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *numbers)
{
	qsort(numbers, RUNS, sizeof(*numbers), number_compare);
	return numbers[RUNS / 2];
}

static void check(int ret, const char *what)
{
	if (ret == 0)
		return;
	fprintf(stderr, "bench_lock: %s: %d\n", what, ret);
	unlink(path);
	exit(1);
}

static void reference(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	check(fcntl(fd, F_OFD_SETLK, &lock), "lock");
	lock.l_type = F_UNLCK;
	check(fcntl(fd, F_OFD_SETLK, &lock), "unlock");
	close(fd);
}

static struct lock *lock_new(void)
{
	struct resource image = { .kind = RESOURCE_DISK, .mode = RESOURCE_EXCLUSIVE, .path = path };
	static struct lock_params params = {
		.owner = { .vm = "bench", .host = "localhost", .pid = 1 },
	};
	struct lock *lock;

	if (!*params.owner.boot_id) {
		check(process_boot_id(params.owner.boot_id), "boot id");
		check(uuid_generate(params.owner.instance), "uuid");
	}
	check(lock_manager_new(lock_manager_find("file"), &params, &lock, NULL), "new");
	check(lock_manager_add_resource(lock, &image, NULL), "add");
	return lock;
}

static void lock_and_unlock(struct lock *lock, bool record)
{
	struct lock_conflict conflict;

	check(lock_manager_acquire(lock, 0, &conflict, NULL), "acquire");
	if (record)
		check(lock_manager_arm(lock, NULL), "arm");
	check(lock_manager_release(lock, NULL, NULL), "release");
}

enum { REFERENCE, FIRST, FIRST_RECORD, AGAIN, AGAIN_RECORD, N_KINDS };

static void batch(int kind, struct lock *open_lock)
{
	int i;

	for (i = 0; i < BATCH; i++) {
		if (kind == REFERENCE) {
			reference();
		} else if (kind == FIRST || kind == FIRST_RECORD) {
			struct lock *lock = lock_new();

			lock_and_unlock(lock, kind == FIRST_RECORD);
			lock_manager_free(lock);
		} else {
			lock_and_unlock(open_lock, kind == AGAIN_RECORD);
		}
	}
}

static void report(const char *what, double us, double reference_us, const char *budget)
{
	printf("%s: %.2f us, reference open + two raw fcntl: %.2f us, ratio %.2f%s\n", what, us,
		reference_us, us / reference_us, budget);
}

int main(void)
{
	static double us[N_KINDS][RUNS];
	struct lock *open_lock;
	int fd = mkstemp(path), run, kind;
	double began, base;

	check(fd < 0, "make an image");
	check(ftruncate(fd, 1 << 20), "make an image");
	close(fd);
	open_lock = lock_new();
	batch(AGAIN_RECORD, open_lock);
	for (run = 0; run < RUNS; run++) {
		for (kind = 0; kind < N_KINDS; kind++) {
			began = now_us();
			batch(kind, open_lock);
			us[kind][run] = (now_us() - began) / BATCH;
		}
	}
	base = median(us[REFERENCE]);
	report("lock + record + unlock", median(us[AGAIN_RECORD]), base, " (budget 4)");
	report("lock + unlock, no record", median(us[AGAIN]), base, " (budget 2)");
	report("open + lock + record + unlock + close", median(us[FIRST_RECORD]), base, "");
	report("open + lock + unlock + close, no record", median(us[FIRST]), base, "");
	lock_manager_free(open_lock);
	unlink(path);
	return 0;
}
