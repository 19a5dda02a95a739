/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "launcher/vm/supervisor.h"

/*
 * The safety of the supervisor, as properties that hold for every cell of its
 * table, and a test that breaks each cell in turn and expects to be told.
 */

typedef struct supervisor_step table_t[SUP_N_STATES][SUP_N_EVENTS];

static bool is_frozen(enum supervisor_state state)
{
	return state == SUP_THAWING || state == SUP_FROZEN || state == SUP_LOST;
}

static bool is_over(enum supervisor_state state)
{
	return state == SUP_ENDING || state == SUP_DONE;
}

static bool is_gained(enum supervisor_event event)
{
	return event == SUP_EV_ACQUIRED || event == SUP_EV_ACQUIRED_NEW;
}

/* release appears only after drained (or gives back what came too late, or does not fit) */
static bool release_only_after_drained(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	/* or taken just now, for a guest that has not run since it was drained */
	bool drained = (s == SUP_DRAINING && e == SUP_EV_DRAINED) ||
		       (s == SUP_UNDOING && is_gained(e)) ||
		       (s == SUP_RELEASING && e == SUP_EV_OUTGROWN) || /* not given up yet */
		       (s == SUP_CHECKING && e == SUP_EV_UNFIT);

	if ((c->actions & DO_UNLOCK) && !(s == SUP_SAVING && e == SUP_EV_SAVED))
		return false;
	if (c->next == SUP_RELEASING && s != SUP_RELEASING && !(c->actions & DO_UNLOCK))
		return false;
	if (c->next == SUP_SAVING && s != SUP_SAVING && !(drained && (c->actions & DO_SAVE)))
		return false;
	return !(c->actions & DO_SAVE) || drained;
}

/* the guest runs only with held and armed locks */
static bool running_only_with_held_locks(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	bool gained = is_gained(e) || (s == SUP_STARTING && e == SUP_EV_CHILD_LOCKED) ||
		      (s == SUP_RELEASING && e == SUP_EV_UNLOCK_FAILED) ||
		      (s == SUP_RELEASING && e == SUP_EV_OUTGROWN && c->next == SUP_SAVING);

	if (supervisor_state_is_held(c->next) && !supervisor_state_is_held(s) && !gained)
		return false;
	if ((c->actions & DO_CONT) && (c->next != SUP_RESUMING || !supervisor_state_is_held(s)))
		return false;
	if (is_frozen(s) && c->next == SUP_RUNNING && !(c->actions & DO_THAW))
		return false;
	return !(c->actions & DO_THAW) || (is_frozen(s) && is_gained(e));
}

/* what is held is given up only by a release, by the guest's end, or frozen */
static bool held_is_never_forgotten(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	if (!supervisor_state_is_held(s) || supervisor_state_is_held(c->next))
		return true;
	if (is_over(c->next))
		return e != SUP_EV_STOPPED && e != SUP_EV_RESUMED;
	if (c->next == SUP_LOST)
		return c->actions & DO_FREEZE;
	return (s == SUP_SAVING && c->next == SUP_RELEASING) ||
	       (s == SUP_BOOTING && e == SUP_EV_BOOT_REGISTERED && c->next == SUP_RELEASED);
}

/* lost always stops or freezes the guest */
static bool lost_always_freezes(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	if (e != SUP_EV_LOCK_LOST)
		return true;
	if (!c->possible)
		return !supervisor_state_is_held(s);
	if (is_frozen(s))
		return is_frozen(c->next);
	return (c->next == SUP_LOST && (c->actions & DO_FREEZE)) ||
	       (c->next == SUP_ENDING && (c->actions & DO_KILL));
}

/* a guest that runs behind our back without locks is frozen at once */
static bool unexpected_resume_is_frozen(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	if (e != SUP_EV_RESUMED || s == SUP_STARTING || s == SUP_DONE)
		return true;
	if (!c->possible)
		return false;
	if (supervisor_state_is_held(s))
		return supervisor_state_is_held(c->next);
	if (s == SUP_ENDING)
		return c->next == SUP_ENDING && (c->actions & (DO_END_IDLE | DO_KILL));
	return is_frozen(c->next) && ((c->actions & DO_FREEZE) || s == SUP_THAWING);
}

/* a refused start never execs QEMU, or ends it before the guest has run */
static bool a_refused_start_never_execs(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	if ((c->actions & DO_ADMIT) && !(s == SUP_STARTING && e == SUP_EV_CHILD_LOCKED))
		return false;
	if (s == SUP_STARTING && c->possible && c->next != SUP_STARTING && !is_over(c->next) &&
		!(c->actions & DO_ADMIT))
		return false;
	if (c->possible && (e == SUP_EV_CHILD_REFUSED || e == SUP_EV_BOOT_REFUSED))
		return is_over(c->next) && (e != SUP_EV_BOOT_REFUSED || (c->actions & DO_KILL));
	return true;
}

/* two end requests end every VM; one without locks is not told to flush anything */
static bool two_end_requests_end_every_vm(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	unsigned ends = DO_FORWARD | DO_END_IDLE | DO_KILL;

	if ((c->actions & DO_FORWARD) && !supervisor_state_is_held(s))
		return false;
	if (e != SUP_EV_END_WANTED || s == SUP_DONE)
		return true;
	if (!c->possible || c->next != SUP_ENDING || !(c->actions & ends))
		return false;
	return (c->actions & DO_KILL) || !(s == SUP_ENDING || is_frozen(s));
}

/* QEMU's death ends everything, whatever was under way; nothing but it does */
static bool death_ends_everything(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	if (s == SUP_DONE)
		return !c->possible;
	if (e == SUP_EV_EXITED)
		return c->possible && c->next == SUP_DONE && (c->actions & DO_END);
	return c->next != SUP_DONE && !(c->actions & DO_END);
}

/* nothing is taken twice, and nothing comes back to life */
static bool locks_are_taken_only_when_none_are_held(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	(void)e;
	if ((c->actions & DO_LOCK) && (supervisor_state_is_held(s) || is_over(s) || s == SUP_LOST))
		return false;
	if (c->possible && s == SUP_ENDING && !is_over(c->next))
		return false;
	return !c->possible || s != SUP_LOST || c->next == SUP_LOST || is_over(c->next);
}

/* what could not be taken, in time or at all, and what was lost is for --on-lock-failure */
static bool a_lock_failure_follows_the_policy(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	bool failed = e == SUP_EV_REFUSED || e == SUP_EV_ACQUIRE_LATE || e == SUP_EV_LOCK_LOST;

	/* once is enough, and an end is on its way */
	if (!failed || !c->possible || s == SUP_LOST || is_over(s))
		return true;
	return c->actions & DO_POLICY;
}

/* whoever waits for the locks waits with a deadline; nobody waits for what is not under way */
static bool acquiring_has_a_deadline(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c)
{
	(void)e;
	if ((c->actions & DO_AWAIT) && s != SUP_UNDOING)
		return false;
	return c->next != SUP_ACQUIRING || s == SUP_ACQUIRING ||
	       (c->actions & (DO_LOCK | DO_AWAIT));
}

typedef bool (*property_fn)(
	enum supervisor_state s, enum supervisor_event e, const struct supervisor_step *c);

static const struct {
	const char *sentence;
	property_fn holds;
} properties[] = {
	{ "release appears only after drained", release_only_after_drained },
	{ "running appears only with held and armed", running_only_with_held_locks },
	{ "what is held is never forgotten", held_is_never_forgotten },
	{ "lost always stops or freezes the guest", lost_always_freezes },
	{ "an unexpected resume is frozen", unexpected_resume_is_frozen },
	{ "a refused start never execs", a_refused_start_never_execs },
	{ "two end requests end every VM", two_end_requests_end_every_vm },
	{ "death ends everything", death_ends_everything },
	{ "a lock failure follows the policy", a_lock_failure_follows_the_policy },
	{ "acquiring has a deadline", acquiring_has_a_deadline },
	{ "locks are taken only when none are held", locks_are_taken_only_when_none_are_held },
};
#define N_PROPERTIES (sizeof(properties) / sizeof(properties[0]))

static const char *cell_broken(const struct supervisor_step *cell, int s, int e)
{
	struct supervisor_step effective = *cell;
	size_t i;

	if (!cell->possible) /* an empty cell keeps the state */
		effective = (struct supervisor_step){ .next = s };
	for (i = 0; i < N_PROPERTIES; i++) {
		if (!properties[i].holds(s, e, &effective))
			return properties[i].sentence;
	}
	return NULL;
}

static const char *cell_text(int s, int e)
{
	static char text[128];

	snprintf(
		text, sizeof(text), "%s on %s", supervisor_state_name(s), supervisor_event_name(e));
	return text;
}

#define EACH_CELL(s, e)                        \
	for (int s = 0; s < SUP_N_STATES; s++) \
		for (int e = 1; e < SUP_N_EVENTS; e++)

static void every_cell_keeps_every_property(void **state)
{
	(void)state;
	EACH_CELL(s, e)
	{
		const char *broken = cell_broken(&supervisor_steps[s][e], s, e);

		if (broken)
			fail_msg("%s: breaks '%s'", cell_text(s, e), broken);
	}
}

static void every_state_and_event_has_a_name(void **state)
{
	(void)state;
	for (int s = 0; s < SUP_N_STATES; s++)
		assert_non_null(supervisor_state_name(s));
	for (int e = 1; e < SUP_N_EVENTS; e++)
		assert_non_null(supervisor_event_name(e));
}

static void every_state_can_be_reached(void **state)
{
	bool reached[SUP_N_STATES] = { [SUP_STARTING] = true };

	(void)state;
	for (int round = 0; round < SUP_N_STATES; round++) {
		EACH_CELL(s, e)
		if (reached[s] && supervisor_steps[s][e].possible)
			reached[supervisor_steps[s][e].next] = true;
	}
	for (int s = 0; s < SUP_N_STATES; s++) {
		if (!reached[s])
			fail_msg("%s is never reached", supervisor_state_name(s));
	}
}

/* The mutation: is it noticed? */
static void expect_broken(struct supervisor_step cell, int s, int e, const char *mutation)
{
	if (!cell_broken(&cell, s, e))
		fail_msg("%s: nobody notices that %s", cell_text(s, e), mutation);
}

static void an_action_that_safety_hangs_on_is_missed(void **state)
{
	/* what safety hangs on in every cell that has it */
	static const unsigned vital[] = { DO_FREEZE, DO_UNLOCK, DO_KILL, DO_FORWARD, DO_END_IDLE,
		DO_END, DO_ADMIT, DO_THAW, DO_AWAIT };
	int tried = 0;

	(void)state;
	EACH_CELL(s, e)
	{
		for (size_t i = 0; i < sizeof(vital) / sizeof(vital[0]); i++) {
			struct supervisor_step cell = supervisor_steps[s][e];

			/* a child that locked after its end was wanted has nothing to run yet; a
			 * blind freeze is caution: the guest has not been seen to run */
			if (!(cell.actions & vital[i]) || e == SUP_EV_BLIND ||
				(s == SUP_ENDING && e == SUP_EV_CHILD_LOCKED))
				continue;
			cell.actions &= ~vital[i];
			expect_broken(cell, s, e, "a vital action is gone");
			tried++;
		}
	}
	assert_in_range(tried, 30, 200);
}

static void an_action_in_the_wrong_place_is_noticed(void **state)
{
	static const unsigned dangerous[] = { DO_UNLOCK, DO_ADMIT, DO_THAW, DO_SAVE };

	(void)state;
	EACH_CELL(s, e)
	{
		for (size_t i = 0; i < sizeof(dangerous) / sizeof(dangerous[0]); i++) {
			struct supervisor_step cell = supervisor_steps[s][e];

			if (!cell.possible || (cell.actions & dangerous[i]))
				continue;
			/* thawing what was frozen and is held now is no harm */
			cell.actions |= dangerous[i];
			expect_broken(cell, s, e, "a dangerous action was added");
		}
	}
}

static void a_guest_that_would_run_without_locks_is_noticed(void **state)
{
	(void)state;
	EACH_CELL(s, e)
	{
		struct supervisor_step cell = supervisor_steps[s][e];

		if (supervisor_state_is_held(s) || is_gained(e) ||
			(s == SUP_STARTING && e == SUP_EV_CHILD_LOCKED) ||
			(s == SUP_RELEASING && e == SUP_EV_UNLOCK_FAILED))
			continue;
		cell.possible = true;
		cell.next = SUP_RUNNING;
		expect_broken(cell, s, e, "the guest runs");
	}
}

static void a_release_out_of_turn_is_noticed(void **state)
{
	(void)state;
	EACH_CELL(s, e)
	{
		struct supervisor_step cell = supervisor_steps[s][e];

		if (!supervisor_state_is_held(s))
			continue;
		cell.possible = true;
		cell.next = SUP_RELEASED;
		if (s == SUP_BOOTING && e == SUP_EV_BOOT_REGISTERED)
			continue;
		expect_broken(cell, s, e, "the locks are forgotten");
	}
}

static void a_cell_that_must_be_there_is_missed(void **state)
{
	(void)state;
	for (int s = 0; s < SUP_DONE; s++) {
		const struct supervisor_step empty = { 0 };

		expect_broken(empty, s, SUP_EV_EXITED, "QEMU's death is not handled");
		expect_broken(empty, s, SUP_EV_END_WANTED, "nobody can end it");
		if (s != SUP_STARTING)
			expect_broken(empty, s, SUP_EV_RESUMED, "a resume is not handled");
		if (supervisor_state_is_held(s))
			expect_broken(empty, s, SUP_EV_LOCK_LOST, "a loss is not handled");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cell_keeps_every_property),
		cmocka_unit_test(every_state_and_event_has_a_name),
		cmocka_unit_test(every_state_can_be_reached),
		cmocka_unit_test(an_action_that_safety_hangs_on_is_missed),
		cmocka_unit_test(an_action_in_the_wrong_place_is_noticed),
		cmocka_unit_test(a_guest_that_would_run_without_locks_is_noticed),
		cmocka_unit_test(a_release_out_of_turn_is_noticed),
		cmocka_unit_test(a_cell_that_must_be_there_is_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
