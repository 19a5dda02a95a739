/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fault.h"
#include "lock_disks.h"

#define MAX_CALLS 2000 /* more means a loop that never ends */

/* A signal in the middle of a call is no failure, and nothing is left out for it. */
static void a_life_with_interruptions_is_as_without(void **state)
{
	struct disks *disks = disks_of(state);
	bool fired = true;
	unsigned n;
	int ret;

	for (n = 1; n < MAX_CALLS && fired; n++) {
		struct lock_view view = { 0 };

		fault_interrupt(n);
		ret = live_through_it("file", disks);
		fired = fault_disarm();
		if (ret != 0)
			fail_msg("call %u, %s: %d", n, fault_name(), ret);
		assert_true(all_are_free(disks));
		lock_manager_look(lock_manager_find("file"), disks->recorded, &view, NULL);
		if (view.generation != 2 * n) /* each is armed twice: start, resume */
			fail_msg("call %u, %s: generation %llu", n, fault_name(),
				(unsigned long long)view.generation);
	}
	assert_true(n > 20);
}

#define TEST(begins)                     \
	cmocka_unit_test_setup_teardown( \
		a_life_with_interruptions_is_as_without, begins, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(disks_make),
		TEST(disks_make_in_a_lockspace),
		TEST(disks_make_with_a_lease),
		TEST(disks_make_with_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
