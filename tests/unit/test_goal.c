/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "launcher/vm/goal.h"

/* What a client waits for: the table as data, and walks through the supervisor's own table. */

#define EACH_CELL(goal, state)                    \
	for (int goal = 0; goal < GOAL_N; goal++) \
		for (int state = 0; state < SUP_N_STATES; state++)

static void what_is_posted_is_possible_in_its_state(void **unused)
{
	(void)unused;
	EACH_CELL(goal, state)
	{
		unsigned tried = 0;
		struct goal_step step = goal_next(goal, state, &tried);

		if (step.verdict != GOAL_POST)
			continue;
		assert_true(supervisor_steps[state][step.event].possible);
		assert_int_equal(tried, 1u << step.event);
	}
}

static void nothing_is_posted_twice(void **unused)
{
	(void)unused;
	EACH_CELL(goal, state)
	{
		unsigned tried = 0;

		if (goal_next(goal, state, &tried).verdict != GOAL_POST)
			continue;
		assert_int_equal(goal_next(goal, state, &tried).verdict, GOAL_FAILED);
	}
}

static void an_ending_vm_keeps_nobody_waiting(void **unused)
{
	(void)unused;
	for (int goal = 0; goal < GOAL_N; goal++) {
		for (int state = SUP_ENDING; state <= SUP_DONE; state++) {
			unsigned tried = 0;
			struct goal_step step = goal_next(goal, state, &tried);

			assert_int_equal(step.verdict, GOAL_FAILED);
			assert_non_null(step.why);
		}
	}
}

static void running_is_reached_only_where_the_guest_runs(void **unused)
{
	(void)unused;
	for (int state = 0; state < SUP_N_STATES; state++) {
		unsigned tried = 0;

		assert_int_equal(goal_next(GOAL_RUNNING, state, &tried).verdict == GOAL_REACHED,
			state == SUP_RUNNING);
	}
}

static void held_is_reached_only_where_the_locks_are(void **unused)
{
	(void)unused;
	for (int state = 0; state < SUP_N_STATES; state++) {
		unsigned tried = 0;

		if (goal_next(GOAL_HELD, state, &tried).verdict == GOAL_REACHED)
			assert_true(supervisor_state_is_held(state));
	}
}

static void released_is_reached_only_where_nothing_is_held(void **unused)
{
	(void)unused;
	for (int state = 0; state < SUP_N_STATES; state++) {
		unsigned tried = 0;

		if (goal_next(GOAL_RELEASED, state, &tried).verdict == GOAL_REACHED)
			assert_false(supervisor_state_is_held(state));
	}
}

/* Let everything go well, from @state on: what the supervisor's actions bring about. */
static enum supervisor_state go_well(enum supervisor_state state)
{
	static const enum supervisor_event next[SUP_N_STATES] = {
		[SUP_DRAINING] = SUP_EV_DRAINED,
		[SUP_SAVING] = SUP_EV_SAVED,
		[SUP_RELEASING] = SUP_EV_UNLOCKED,
		[SUP_ACQUIRING] = SUP_EV_ACQUIRED,
		[SUP_UNDOING] = SUP_EV_ACQUIRED,
		[SUP_CHECKING] = SUP_EV_ACQUIRED,
		[SUP_RESUMING] = SUP_EV_RESUMED,
		[SUP_THAWING] = SUP_EV_ACQUIRED,
	};

	return next[state] ? supervisor_steps[state][next[state]].next : state;
}

static void every_goal_is_reached_from_a_pause_if_all_goes_well(void **unused)
{
	static const enum supervisor_state from[] = { SUP_PAUSED, SUP_RELEASED, SUP_DRAINING,
		SUP_RELEASING, SUP_ACQUIRING, SUP_UNDOING, SUP_CHECKING };

	(void)unused;
	for (int goal = 0; goal < GOAL_N; goal++) {
		for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
			enum supervisor_state state = from[i];
			struct goal_step step = { .verdict = GOAL_WAIT };
			unsigned tried = 0;

			for (int round = 0; round < 20 && step.verdict != GOAL_REACHED; round++) {
				step = goal_next(goal, state, &tried);
				assert_int_not_equal(step.verdict, GOAL_FAILED);
				if (step.verdict == GOAL_POST)
					state = supervisor_steps[state][step.event].next;
				else if (step.verdict == GOAL_WAIT)
					state = go_well(state);
			}
			assert_int_equal(step.verdict, GOAL_REACHED);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_posted_is_possible_in_its_state),
		cmocka_unit_test(nothing_is_posted_twice),
		cmocka_unit_test(an_ending_vm_keeps_nobody_waiting),
		cmocka_unit_test(running_is_reached_only_where_the_guest_runs),
		cmocka_unit_test(held_is_reached_only_where_the_locks_are),
		cmocka_unit_test(released_is_reached_only_where_nothing_is_held),
		cmocka_unit_test(every_goal_is_reached_from_a_pause_if_all_goes_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
