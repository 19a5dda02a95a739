/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/doctor/reach.h"

/* Lines as kernels write them (mount sources and addresses are made up). */
#define ROOT  "28 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
#define BIND  "40 28 254:0 /srv/locks /mnt/locks rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
#define TMPFS "41 28 0:30 / /srv/my\\040space rw - tmpfs tmpfs rw,size=1024k\n"
#define SSHFS "42 28 0:44 / /srv/ssh rw,nosuid - fuse.sshfs nas:/export rw,user_id=0\n"
#define OVER  "43 28 0:45 / /srv/over rw - overlay overlay rw,lowerdir=/l,upperdir=/u\n"
#define NFS(id, type, options)                                                    \
	id " 28 0:5" id " / /srv/nfs" id " rw,relatime shared:7 master:2 - " type \
	   " nas:/export rw," options "\n"
#define NFS4       NFS("50", "nfs4", "vers=4.2,hard,proto=tcp,local_lock=none,addr=10.0.0.1")
#define NFS4_LOCAL NFS("51", "nfs4", "vers=4.2,hard,local_lock=all")
#define NFS3_NO    NFS("52", "nfs", "vers=3,hard,nolock,proto=tcp,local_lock=all")
#define NFS3       NFS("53", "nfs", "vers=3,hard,local_lock=none")
#define NFS3_FLOCK NFS("54", "nfs", "vers=3,soft,local_lock=flock")
#define NFS3_POSIX NFS("55", "nfs", "vers=3,local_lock=posix")
#define GFS2       "56 28 0:61 / /gfs rw - gfs2 /dev/vg/shared rw,lockproto=lock_dlm\n"
#define GFS2_ALONE "57 28 0:62 / /gfs2 rw - gfs2 /dev/vg/shared rw,lockproto=lock_nolock\n"
#define CIFS       "58 28 0:63 / /smb rw - cifs //nas/share rw,vers=3.1.1,nobrl\n"
#define STRANGE    "59 28 0:64 / /strange rw - strangefs none rw\n"
#define NO_SOURCE  "60 28 0:65 / /empty rw - tmpfs  rw\n"

static const char all[] = ROOT BIND TMPFS SSHFS OVER NFS4 NFS4_LOCAL NFS3_NO NFS3 NFS3_FLOCK
	NFS3_POSIX GFS2 GFS2_ALONE CIFS STRANGE NO_SOURCE;

static int parse(void **state)
{
	static struct mount_table table;

	*state = &table;
	return mount_table_parse(all, strlen(all), &table);
}

static int finish(void **state)
{
	mount_table_finish(*state);
	return 0;
}

static void every_line_is_a_mount(void **state)
{
	const struct mount_table *table = *state;
	const struct mount *mount = mount_table_find(table, 41);

	assert_int_equal(table->n, 16);
	assert_non_null(mount);
	assert_string_equal(mount->point, "/srv/my space");
	assert_string_equal(mount->type, "tmpfs");
	assert_string_equal(mount->super_options, "rw,size=1024k");
	assert_int_equal(mount->dev_minor, 30);
	mount = mount_table_find(table, 60);
	assert_string_equal(mount->source, "");
	assert_string_equal(mount->type, "tmpfs");
	assert_null(mount_table_find(table, 61));
}

static void what_is_no_line_is_left_out(void **state)
{
	static const char *const lines[] = { "", "\n\n", "28", "28 1 254 / / rw - ext4 a rw",
		"28 1 254:0 / / rw shared:1", "28 1 254:0 / / rw - ext4", "x 1 2:3 / / rw - e s o",
		"28 1 254:0 / / rw a b c d - " };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct mount_table table = { 0 };

		assert_int_equal(mount_table_parse(lines[i], strlen(lines[i]), &table), 0);
		assert_int_equal(table.n, 0);
		mount_table_finish(&table);
	}
}

static void an_option_is_a_whole_word(void **state)
{
	char value[16] = "as it was";

	(void)state;
	assert_true(mount_option_find("rw,vers=4.2,soft", "vers", value, sizeof(value)));
	assert_string_equal(value, "4.2");
	assert_true(mount_option_find("rw,vers=4.2,soft", "soft", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_false(mount_option_find("softerr,nolock", "soft", value, sizeof(value)));
	assert_false(mount_option_find("nolock", "lock", value, sizeof(value)));
	assert_false(mount_option_find("", "lock", value, sizeof(value)));
}

static void locks_reach_other_hosts_as_type_and_options_say(void **state)
{
	static const struct {
		uint64_t mount;
		enum reach_answer answer;
		bool network;
		const char *says;
	} rows[] = {
		{ 28, REACH_NO, false, "this host alone" },
		{ 41, REACH_NO, false, "memory" },
		{ 42, REACH_NO, true, "does not tell the server" },
		{ 43, REACH_NO, false, "upper layer" },
		{ 50, REACH_YES, true, "NFS 4" },
		{ 51, REACH_NO, true, "local_lock=all" },
		{ 52, REACH_NO, true, "local_lock=all" },
		{ 53, REACH_YES, true, "NLM" },
		{ 54, REACH_YES, true, "NLM" }, /* flock() is not what we use */
		{ 55, REACH_NO, true, "local_lock=posix" },
		{ 56, REACH_YES, true, "GFS2" },
		{ 57, REACH_NO, false, "one host" },
		{ 58, REACH_NO, true, "nobrl" },
		{ 59, REACH_UNKNOWN, true, "does not know" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mount *mount = mount_table_find(*state, rows[i].mount);
		struct reach reach = reach_of(mount);

		assert_int_equal(reach.answer, rows[i].answer);
		assert_int_equal(reach.network, rows[i].network);
		assert_non_null(strstr(reach.why, rows[i].says));
		assert_true(reach.answer == REACH_YES || !reach.network || reach.advice);
	}
	assert_int_equal(reach_of(NULL).answer, REACH_UNKNOWN);
}

static void nolock_alone_is_enough(void **state)
{
	static const struct mount mount = { .options = "rw",
		.type = "nfs",
		.source = "nas:/export",
		.super_options = "rw,vers=3,nolock" };

	(void)state;
	assert_int_equal(reach_of(&mount).answer, REACH_NO);
	assert_non_null(strstr(reach_of(&mount).why, "nolock"));
}

static void the_options_that_matter_are_shown(void **state)
{
	_cleanup_(str_finish) struct str text = { 0 };

	reach_options(mount_table_find(*state, 52), &text);
	assert_string_equal(text.text, "vers=3,local_lock=all,nolock,hard");
}

/* Through which other mount a path may be seen; NULL: not through it. */
static void a_directory_is_found_through_a_second_mount(void **state)
{
	static const struct {
		uint64_t from, other;
		const char *path, *through;
	} rows[] = {
		{ 28, 40, "/srv/locks", "/mnt/locks" },
		{ 28, 40, "/srv/locks/a/b", "/mnt/locks/a/b" },
		{ 28, 40, "/srv/locks2", NULL },
		{ 28, 40, "/srv", NULL },
		{ 40, 28, "/mnt/locks/a", "/srv/locks/a" },
		{ 40, 28, "/mnt/locks", "/srv/locks" },
		{ 28, 28, "/srv/locks", NULL },
		{ 28, 41, "/srv/locks", NULL },
		{ 53, 54, "/srv/nfs53/a", "/srv/nfs54/a" }, /* one share, two file systems */
		{ 41, 60, "/srv/my space", NULL },          /* two tmpfs are not one */
		{ 40, 28, "/elsewhere", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(freep) char *through = NULL;
		int ret = mount_path_through(mount_table_find(*state, rows[i].from), rows[i].path,
			mount_table_find(*state, rows[i].other), &through);

		assert_int_equal(ret, rows[i].through != NULL);
		assert_true(str_equal(through, rows[i].through));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_line_is_a_mount),
		cmocka_unit_test(what_is_no_line_is_left_out),
		cmocka_unit_test(an_option_is_a_whole_word),
		cmocka_unit_test(locks_reach_other_hosts_as_type_and_options_say),
		cmocka_unit_test(nolock_alone_is_enough),
		cmocka_unit_test(the_options_that_matter_are_shown),
		cmocka_unit_test(a_directory_is_found_through_a_second_mount),
	};

	return cmocka_run_group_tests(tests, parse, finish);
}
