/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fault.h"
#include "locking/resource.h"

static struct resource disk(const char *path, enum resource_mode mode, uint64_t ino)
{
	return (struct resource){
		.kind = RESOURCE_DISK,
		.mode = mode,
		.path = (char *)path,
		.origin = "-drive",
		.id = { .dev = 1, .ino = ino },
	};
}

static struct resource lease(const char *name)
{
	return (struct resource){ .kind = RESOURCE_LEASE, .path = (char *)name };
}

static void the_order_is_leases_then_identities_then_the_unknown(void **state)
{
	struct resource mixed[] = { disk("/b", 0, 0), disk("/z", 0, 7), lease("s:b"),
		disk("/a", 0, 0), disk("/y", 0, 9), lease("s:a") };
	const char *const order[] = { "s:a", "s:b", "/z", "/y", "/a", "/b" };
	struct resource_set set = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_int_equal(resource_set_add(&set, &mixed[i], NULL), 0);
	assert_int_equal(set.n, 6);
	for (i = 0; i < 6; i++)
		assert_string_equal(set.items[i].path, order[i]);
	resource_set_finish(&set);
}

static void two_names_of_one_inode_are_one_resource(void **state)
{
	struct resource first = disk("/a", RESOURCE_READER, 7),
			second = disk("//a", RESOURCE_EXCLUSIVE, 7), *member;
	struct resource_set set = { 0 };

	(void)state;
	assert_int_equal(resource_set_add(&set, &first, NULL), 0);
	assert_int_equal(resource_set_add(&set, &second, &member), 0);
	assert_int_equal(set.n, 1);
	assert_string_equal(member->path, "/a");
	assert_int_equal(member->mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(resource_set_add(&set, &first, &member), 0);
	assert_int_equal(member->mode, RESOURCE_EXCLUSIVE); /* the stronger one stays */
	resource_set_finish(&set);
}

static void an_unknown_identity_is_found_by_path(void **state)
{
	struct resource known = disk("/a", 0, 7), by_path = disk("/a", 0, 0),
			other = disk("/a", 0, 8);
	struct resource_set set = { 0 };

	(void)state;
	assert_int_equal(resource_set_add(&set, &known, NULL), 0);
	assert_non_null(resource_set_find(&set, &by_path));
	assert_null(resource_set_find(&set, &other)); /* another file under that name */
	resource_set_finish(&set);
}

static void a_removed_member_is_gone_and_the_rest_stays(void **state)
{
	struct resource items[] = { disk("/a", 0, 1), disk("/b", 0, 2), disk("/c", 0, 3) };
	struct resource_set set = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(resource_set_add(&set, &items[i], NULL), 0);
	resource_set_remove(&set, resource_set_find(&set, &items[1]));
	assert_int_equal(set.n, 2);
	assert_null(resource_set_find(&set, &items[1]));
	assert_string_equal(set.items[1].path, "/c");
	resource_set_finish(&set);
}

static void identities_that_become_known_change_the_order(void **state)
{
	struct resource items[] = { disk("/a", 0, 0), disk("/b", 0, 2) };
	struct resource_set set = { 0 };

	(void)state;
	assert_int_equal(resource_set_add(&set, &items[0], NULL), 0);
	assert_int_equal(resource_set_add(&set, &items[1], NULL), 0);
	assert_string_equal(set.items[1].path, "/a");
	set.items[1].id.ino = 1;
	set.items[1].id.dev = 1;
	resource_set_sort(&set);
	assert_string_equal(set.items[0].path, "/a");
	resource_set_finish(&set);
}

static void names_and_numbers_agree(void **state)
{
	int i;

	(void)state;
	for (i = RESOURCE_READER; i <= RESOURCE_EXCLUSIVE; i++)
		assert_int_equal(resource_mode_from_name(resource_mode_name(i)), i);
	for (i = RESOURCE_LEASE; i <= RESOURCE_DISK; i++)
		assert_int_equal(resource_kind_from_name(resource_kind_name(i)), i);
	assert_int_equal(resource_mode_from_name("exclusively"), -1);
	assert_int_equal(resource_kind_from_name(""), -1);
}

static void without_memory_a_set_is_as_before(void **state)
{
	struct resource items[] = { disk("/a", 0, 1), disk("/b", 0, 2) };
	struct resource_set set = { 0 };
	unsigned n = 0;
	int ret;

	(void)state;
	assert_int_equal(resource_set_add(&set, &items[0], NULL), 0);
	do {
		fault_arm(++n);
		ret = resource_set_add(&set, &items[1], NULL);
		if (fault_disarm())
			assert_int_equal(ret, -ENOMEM);
		assert_int_equal(set.n, ret == 0 ? 2 : 1);
	} while (ret != 0);
	assert_true(n >= 3);
	resource_set_finish(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_leases_then_identities_then_the_unknown),
		cmocka_unit_test(two_names_of_one_inode_are_one_resource),
		cmocka_unit_test(an_unknown_identity_is_found_by_path),
		cmocka_unit_test(a_removed_member_is_gone_and_the_rest_stays),
		cmocka_unit_test(identities_that_become_known_change_the_order),
		cmocka_unit_test(names_and_numbers_agree),
		cmocka_unit_test(without_memory_a_set_is_as_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
