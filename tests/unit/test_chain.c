/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "chain_fixture.h"

static void backing_files_are_readers(void **state)
{
	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("middle", "base", "raw");
	chain_put_qcow2("top", "middle", NULL);
	chain_expect("top", "base reader, middle reader, top exclusive");
	chain_expect("-drive file=top,readonly=on", "base reader, middle reader, top reader");
	chain_expect("-snapshot top", "base reader, middle reader, top reader");
	chain_expect("-drive file=top,format=raw", "top exclusive");
	chain_expect("-drive file=top,backing=", "top exclusive");
	chain_expect("-drive file=top,backing.driver=raw", "middle reader, top exclusive");
	chain_expect("-drive file=top,backing.file.filename=base", "base reader, top exclusive");
	chain_expect("top -hdb middle", "base reader, middle exclusive, top exclusive");
}

static void each_file_says_where_it_comes_from(void **state)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	const struct disk_image *image;
	char origin[256];
	size_t i, seen = 0;

	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("top", "base", "raw");
	assert_int_equal(chain_find("-drive file=top,if=virtio", &disks, NULL), 0);
	snprintf(origin, sizeof(origin), "backing file of %s/top", chain_directory);
	for (i = 0; i < disks.set.n; i++) {
		image = disks_find_image(&disks, &disks.set.items[i]);
		assert_non_null(image);
		if (image->backing) {
			assert_string_equal(disks.set.items[i].origin, origin);
			assert_string_equal(image->format, "raw");
			assert_string_equal(disks.images.items[image->parent].format, "qcow2");
			seen |= 1;
		} else {
			assert_string_equal(disks.set.items[i].origin, "-drive file=top,if=virtio");
			assert_int_equal(image->parent, CHAIN_NO_IMAGE);
			seen |= 2;
		}
	}
	assert_int_equal(seen, 3);
}

static void a_name_relates_to_the_image_that_has_it(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	chain_put_raw("sub/base");
	chain_put_raw("base");
	chain_put_raw("x:y");
	chain_put_qcow2("sub/top", "base", "raw");
	chain_put_qcow2("sub/prefix", "file:base", "raw");
	chain_put_qcow2("sub/json", "json:{\"driver\":\"raw\",\"file.filename\":\"base\"}", NULL);
	chain_put_qcow2("colon", "./x:y", "raw");
	assert_int_equal(symlink("sub/top", "link"), 0);
	chain_expect("sub/top", "sub/base reader, sub/top exclusive");
	chain_expect("link", "base reader, link exclusive");
	chain_expect("sub/prefix", "base reader, sub/prefix exclusive");
	chain_expect("sub/json", "base reader, sub/json exclusive");
	chain_expect("colon", "./x:y reader, colon exclusive");
}

static void two_names_of_one_inode_are_one_resource(void **state)
{
	(void)state;
	chain_put_raw("a");
	assert_int_equal(link("a", "b"), 0);
	assert_int_equal(symlink("a", "c"), 0);
	chain_expect("-drive file=a,format=raw,readonly=on -hdb b -hdc c", "a exclusive");
}

static void a_chain_that_leads_back_is_refused(void **state)
{
	(void)state;
	chain_put_qcow2("self", "self", "qcow2");
	chain_put_qcow2("a", "b", "qcow2");
	chain_put_qcow2("b", "c", NULL);
	chain_put_qcow2("c", "a", NULL);
	chain_refuses("self", EX_DATAERR, "lead back");
	chain_refuses("a", EX_DATAERR, "lead back");
	chain_refuses("b", EX_DATAERR, "lead back");
}

static void nodes_that_refer_to_each_other_are_refused(void **state)
{
	(void)state;
	chain_refuses(
		"-blockdev driver=raw,node-name=a,file=b -blockdev driver=raw,node-name=b,file=a",
		EX_DATAERR, "themselves");
	chain_refuses("-blockdev driver=raw,node-name=a,file=a", EX_DATAERR, "themselves");
}

static void an_endless_chain_is_refused(void **state)
{
	char name[32], backing[32];
	int i;

	(void)state;
	chain_put_raw("0");
	for (i = 1; i <= CHAIN_IMAGES_MAX + 1; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(backing, sizeof(backing), "%d", i - 1);
		chain_put_qcow2(name, backing, NULL);
	}
	snprintf(name, sizeof(name), "%d", CHAIN_IMAGES_MAX + 1);
	chain_refuses(name, EX_DATAERR, "more than 200");
	{
		_cleanup_(disks_finish) struct disks disks = { 0 };

		snprintf(name, sizeof(name), "%d", CHAIN_IMAGES_MAX);
		assert_int_equal(chain_find(name, &disks, NULL), 0);
		assert_int_equal(disks.set.n, CHAIN_IMAGES_MAX + 1);
	}
}

static void a_chain_that_doubles_at_each_step_is_refused(void **state)
{
	char name[32], backing[256];
	int i;

	(void)state;
	chain_put_raw("0");
	for (i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(backing, sizeof(backing),
			"json:{\"driver\":\"quorum\",\"children\":[{\"file.filename\":\"%d\"},"
			"{\"file.filename\":\"%d\"}]}",
			i - 1, i - 1);
		chain_put_qcow2(name, backing, NULL);
	}
	chain_refuses("40", EX_DATAERR, "more than 20000 block nodes");
}

static void what_cannot_be_locked_is_a_note(void **state)
{
	static const char *const rows[][2] = {
		{ "-drive file=nbd:localhost:1,format=raw", "; network" },
		{ "nbd+unix:///x?socket=y", "; network" },
		{ "-drive driver=rbd,pool=a,image=b", "; network" },
		{ "-blockdev driver=nbd,server.type=unix,server.path=a", "; network" },
		{ "-hda fat:rw:dir", "; unlockable" },
		{ "-drive file=nvme://0000:00:01.0/1,format=raw", "; unlockable" },
		{ "-drive driver=null-co", "" },
		{ "-hda null-co://", "" },
		{ "-hda nonsense:x", "; unknown-driver" },
		{ "-blockdev driver=newest,file.driver=file,file.filename=a",
			"a exclusive; unknown-driver" },
		{ "-hda /dev/fdset/1", "; not-understood" },
		{ "-blockdev driver=raw,file=nobody", "; not-understood" },
		{ "v", "v exclusive" },
		{ "-drive file=over-network", "over-network exclusive; network" },
		{ "-drive driver=raw,file.driver=ssh,file.path=x -hdb a", "a exclusive; network" },
	};
	size_t i;

	(void)state;
	chain_put_raw("a");
	chain_put("v", "KDMV\1\0\0\0", 8);
	chain_put_qcow2("over-network", "nbd://host/x", "raw");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		chain_expect(rows[i][0], rows[i][1]);
}

static void sharing_needs_a_raw_image_and_every_device(void **state)
{
	static const char *const rows[][2] = {
		{ "-device x,drive=d,share-rw=on", "a shared" },
		{ "-device x,drive=d,share-rw=on -device y,drive=d,share-rw=on", "a shared" },
		{ "-device x,drive=d,share-rw=on -device y,drive=d", "a exclusive" },
		{ "-device x,drive=d", "a exclusive" },
		{ "-device ide-cd,drive=d", "a reader" },
		{ "", "a exclusive" },
	};
	char words[256];
	size_t i;

	(void)state;
	chain_put_raw("a");
	chain_put_qcow2("q", NULL, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(words, sizeof(words), "-drive if=none,id=d,file=a,format=raw %s",
			rows[i][0]);
		chain_expect(words, rows[i][1]);
		snprintf(words, sizeof(words), "-drive if=none,id=d,file=a %s", rows[i][0]);
		chain_expect(words, rows[i][1]);
	}
	chain_expect("-drive if=none,id=d,file=q -device x,drive=d,share-rw=on", "q exclusive");
	chain_expect("-drive if=none,id=d,file=q -device ide-cd,drive=d", "q exclusive");
	chain_expect(
		"-drive if=none,id=d,file=q,format=raw -device x,drive=d,share-rw=on", "q shared");
	chain_expect("-drive id=d,file=a -device x,drive=d,share-rw=on", "a exclusive");
	chain_expect("-blockdev driver=file,filename=a,node-name=f -blockdev "
		     "driver=raw,file=f,node-name=d "
		     "-device x,drive=d,share-rw=on",
		"a shared");
	chain_expect("-blockdev driver=file,filename=a,node-name=f -blockdev "
		     "driver=raw,file=f,node-name=d "
		     "-device x,drive=d,share-rw=on -device y,drive=f",
		"a exclusive");
	chain_expect("-blockdev driver=file,filename=q,node-name=f -blockdev "
		     "driver=qcow2,file=f,node-name=d "
		     "-device x,drive=d,share-rw=on",
		"q exclusive");
}

static void read_only_comes_from_the_node_or_from_above(void **state)
{
	static const char *const rows[][2] = {
		{ "driver=raw,read-only=on,file.driver=file,file.filename=a", "a reader" },
		{ "driver=raw,file.driver=file,file.filename=a,file.read-only=on", "a reader" },
		{ "driver=raw,file.driver=file,file.filename=a", "a exclusive" },
		{ "driver=raw,file.driver=file,file.filename=a,auto-read-only=on", "a exclusive" },
		{ "driver=raw,read-only=on,file=f", "a exclusive" },
		{ "driver=raw,read-only=on,file=auto", "a reader" },
		{ "driver=raw,file=auto", "a exclusive" },
		{ "driver=raw,file=read", "a reader" },
		{ "driver=qcow2,file.driver=file,file.filename=q,backing=auto",
			"a reader, q exclusive" },
		{ "driver=qcow2,file.driver=file,file.filename=q,backing=f",
			"a exclusive, q exclusive" },
	};
	static const char *const nodes[][2] = {
		{ "file=f", "-blockdev driver=file,node-name=f,filename=a" },
		{ "backing=f", "-blockdev driver=file,node-name=f,filename=a" },
		{ "=auto", "-blockdev driver=file,node-name=auto,filename=a,auto-read-only=on" },
		{ "=read", "-blockdev driver=file,node-name=read,filename=a,read-only=on" },
	};
	size_t i, j;

	(void)state;
	chain_put_raw("a");
	chain_put_qcow2("q", "nowhere", "raw");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct str words = { 0 };

		str_printf(&words, "-blockdev %s,node-name=top", rows[i][0]);
		for (j = 0; j < sizeof(nodes) / sizeof(*nodes); j++) {
			if (strstr(rows[i][0], nodes[j][0]))
				str_printf(&words, " %s", nodes[j][1]);
		}
		chain_expect(words.text, rows[i][1]);
		str_finish(&words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			backing_files_are_readers, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			each_file_says_where_it_comes_from, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_name_relates_to_the_image_that_has_it, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			two_names_of_one_inode_are_one_resource, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_that_leads_back_is_refused, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			nodes_that_refer_to_each_other_are_refused, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			an_endless_chain_is_refused, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_that_doubles_at_each_step_is_refused, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_locked_is_a_note, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			sharing_needs_a_raw_image_and_every_device, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			read_only_comes_from_the_node_or_from_above, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
