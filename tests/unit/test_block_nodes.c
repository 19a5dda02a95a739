/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/mapped_files.h"
#include "temporary.h"

/* "QEMU" is this process: its descriptors are what is looked at. */

static struct temporary dir;
static char *disk;
static int fd = -1;
static struct resource_set locked, missing;
static struct strv problems;

static int set_up(void **state)
{
	(void)state;
	if (temporary_make(&dir) < 0)
		return -1;
	temporary_write(&dir, "disk.raw", "contents");
	disk = temporary_path(&dir, "disk.raw");
	fd = open(disk, O_RDWR | O_CLOEXEC);
	return fd < 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (fd >= 0)
		close(fd);
	fd = -1;
	free(disk);
	temporary_remove(&dir);
	resource_set_finish(&locked);
	resource_set_finish(&missing);
	strv_finish(&problems);
	locked = missing = (struct resource_set){ 0 };
	problems = (struct strv){ 0 };
	return 0;
}

/*
 * Is something open that could be an image, and is none of ours? valgrind has the
 * program itself open: what is told by exclusion cannot be told then.
 */
static bool others_are_open(void)
{
	struct open_image *images;
	bool found = false;
	size_t i, n;

	assert_int_equal(open_images_read(getpid(), &images, &n, NULL), 0);
	for (i = 0; i < n; i++)
		found |= images[i].close_on_exec && !images[i].write_only && !images[i].unlinked &&
			 images[i].number > 2 && images[i].number != fd;
	open_images_free(images, n);
	return found;
}

static void what_cannot_be_looked_at_is_not_passed_over(void **state)
{
	struct open_image *images = NULL;
	struct error err = { 0 };
	size_t n;

	(void)state;
	fault_always("openat", EMFILE);
	assert_int_equal(open_images_read(getpid(), &images, &n, &err), -EMFILE);
	assert_non_null(strstr(err.text, "Too many open files"));
	fault_always(NULL, 0);
	fault_always("openat", ENOENT); /* closed meanwhile */
	assert_int_equal(open_images_read(getpid(), &images, &n, NULL), 0);
	assert_int_equal(n, 0);
	open_images_free(images, n);
	fault_always(NULL, 0);
}

static json_t *one_node(const char *driver, const char *file)
{
	return json_pack("[{s:s, s:s, s:s, s:b}]", "node-name", "node0", "drv", driver, "file",
		file, "ro", 0);
}

static void look(json_t *nodes, bool readers)
{
	struct block_nodes_query query = {
		.nodes = nodes, .pid = getpid(), .locked = &locked, .readers = readers
	};

	assert_int_equal(block_nodes_missing(&query, &missing, &problems, NULL), 0);
	json_decref(nodes);
}

/* One more node on top of what is there. */
static json_t *with_node(json_t *nodes, const char *driver, const char *file, bool ro)
{
	json_array_append_new(nodes, json_pack("{s:s, s:s, s:s, s:b}", "node-name", "above", "drv",
					     driver, "file", file, "ro", ro));
	return nodes;
}

static void lock_as(enum resource_mode mode)
{
	struct stat info;
	struct resource resource = {
		.kind = RESOURCE_DISK, .mode = mode, .path = disk, .origin = "test"
	};

	assert_int_equal(fstat(fd, &info), 0);
	resource.id = (struct resource_identity){ .dev = info.st_dev, .ino = info.st_ino };
	assert_int_equal(resource_set_add(&locked, &resource, NULL), 0);
}

static void lock_byte(off_t byte)
{
	struct flock want = {
		.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1
	};

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &want), 0);
}

static void open_again(int flags)
{
	close(fd);
	fd = open(disk, flags | O_CLOEXEC);
	assert_true(fd >= 0);
}

static void a_file_that_nobody_has_locked_is_missing(void **state)
{
	(void)state;
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
	assert_string_equal(missing.items[0].path, disk);
	assert_int_equal(problems.n, 0);
}

static void a_file_of_libblkios_is_missing_too(void **state)
{
	(void)state;
	look(one_node("io_uring", disk), true);
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.items[0].path, disk);
}

static void a_file_that_is_locked_is_not(void **state)
{
	(void)state;
	lock_as(RESOURCE_EXCLUSIVE);
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 0);
}

static void a_lock_for_reading_does_not_do_for_a_writer(void **state)
{
	(void)state;
	lock_as(RESOURCE_READER);
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 1);
}

/* What QEMU says of a file that nothing stands on is no promise. */
static void a_file_that_is_open_for_reading_may_be_written_tomorrow(void **state)
{
	(void)state;
	open_again(O_RDONLY);
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
}

static void a_file_below_a_read_only_node_is_only_read(void **state)
{
	(void)state;
	open_again(O_RDONLY);
	look(with_node(one_node("file", disk), "raw", disk, true), true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_READER);
}

static void a_node_whose_name_is_json_stands_on_what_it_names(void **state)
{
	char text[4200];

	(void)state;
	open_again(O_RDONLY);
	snprintf(text, sizeof(text), "json:{\"file\": [{\"filename\": \"%s\"}]}", disk);
	look(with_node(with_node(one_node("file", disk), "raw", disk, true), "raw", text, false),
		true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
}

static void what_qemu_says_is_read_only_is(void **state)
{
	(void)state;
	look(with_node(json_array(), "file", disk, true), true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_READER);
}

static void a_file_that_is_only_read_is_not_locked_for_more_than_it_was(void **state)
{
	(void)state;
	lock_as(RESOURCE_READER);
	open_again(O_RDONLY);
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 0);
}

static void readers_count_only_where_they_are_asked_for(void **state)
{
	(void)state;
	open_again(O_RDONLY);
	look(with_node(json_array(), "file", disk, true), false);
	assert_int_equal(missing.n, 0);
}

static void another_name_of_a_locked_file_is_locked(void **state)
{
	char *other = temporary_path(&dir, "other.raw");

	(void)state;
	lock_as(RESOURCE_EXCLUSIVE);
	assert_int_equal(link(disk, other), 0);
	look(one_node("file", other), true);
	assert_int_equal(missing.n, 0);
	free(other);
}

static void a_file_that_was_renamed_is_found_by_its_descriptor(void **state)
{
	char *other = temporary_path(&dir, "other.raw");

	(void)state;
	assert_int_equal(rename(disk, other), 0);
	look(one_node("file", other), true);
	assert_int_equal(missing.n, 1);
	free(other);
}

static void a_file_that_is_not_open_is_a_problem(void **state)
{
	(void)state;
	if (others_are_open())
		skip();
	close(fd);
	fd = -1;
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 0);
	assert_int_equal(problems.n, 1);
	assert_non_null(strstr(problems.items[0], disk));
	assert_non_null(strstr(problems.items[0], "node0"));
}

static void a_relative_name_may_be_of_where_it_was_started(void **state)
{
	struct block_nodes_query query = {
		.nodes = one_node("file", "./disk.raw"), .pid = getpid(), .locked = &locked
	};

	(void)state;
	assert_int_equal(block_nodes_missing(&query, &missing, &problems, NULL), 0);
	assert_string_equal(missing.items[0].origin, "QEMU's descriptors");
	resource_set_finish(&missing);
	query.directory = dir.path;
	assert_int_equal(block_nodes_missing(&query, &missing, &problems, NULL), 0);
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.items[0].path, disk);
	assert_string_equal(missing.items[0].origin, "QEMU's block node 'node0'");
	assert_int_equal(problems.n, 0);
	json_decref(query.nodes);
}

/* A name that QEMU's JSON has mangled: all that may be it counts, and nothing else. */
static void of_a_file_that_cannot_be_told_each_that_could_be_it_is_missing(void **state)
{
	char *log, *inherited;
	int log_fd, inherited_fd;

	(void)state;
	if (others_are_open())
		skip();
	log = temporary_path(&dir, "log");
	log_fd = open(log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	inherited = temporary_path(&dir, "inherited");
	inherited_fd = open(inherited, O_RDWR | O_CREAT, 0600); /* not close-on-exec */
	look(one_node("file", "/no/such/name"), true);
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.items[0].path, disk);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(problems.n, 0);
	close(log_fd);
	close(inherited_fd);
	free(log);
	free(inherited);
}

static void a_life_line_is_not_what_cannot_be_told(void **state)
{
	(void)state;
	if (others_are_open())
		skip();
	lock_byte(0);
	look(one_node("file", "/no/such/name"), true);
	assert_int_equal(missing.n, 0);
	assert_int_equal(problems.n, 1);
}

static void without_a_graph_each_image_counts(void **state)
{
	(void)state;
	if (others_are_open())
		skip();
	open_again(O_RDONLY);
	look(NULL, true);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
}

static void a_character_device_is_a_problem_of_its_own(void **state)
{
	(void)state;
	look(one_node("host_device", "/dev/zero"), true);
	assert_int_equal(missing.n, 0);
	assert_int_equal(problems.n, 1);
	assert_non_null(strstr(problems.items[0], "no block device"));
}

static void find_mapped(int flags)
{
	void *memory = mmap(NULL, 8, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mapped_files_find(getpid(), &missing, NULL), 0);
	munmap(memory, 8);
}

static void a_file_that_is_memory_is_found(void **state)
{
	char *odd = temporary_path(&dir, "a\nb \\012");

	(void)state;
	find_mapped(MAP_PRIVATE);
	assert_int_equal(missing.n, 0);
	find_mapped(MAP_SHARED);
	assert_int_equal(missing.n, 1);
	assert_int_equal(missing.items[0].mode, RESOURCE_EXCLUSIVE);
	resource_set_finish(&missing);
	assert_int_equal(rename(disk, odd), 0);
	find_mapped(MAP_SHARED);
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.items[0].path, odd);
	free(odd);
}

static void a_file_that_was_mapped_and_closed_is_somebody_elses(void **state)
{
	void *memory = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)state;
	close(fd);
	fd = -1;
	assert_int_equal(mapped_files_find(getpid(), &missing, NULL), 0);
	assert_int_equal(missing.n, 0);
	munmap(memory, 8);
}

static void a_temporary_file_is_nobody_elses(void **state)
{
	(void)state;
	unlink(disk);
	look(one_node("file", disk), true);
	assert_int_equal(missing.n, 0);
	assert_int_equal(problems.n, 0);
}

static void qemus_own_locks_give_away_what_the_graph_does_not_name(void **state)
{
	(void)state;
	lock_byte(50);
	look(json_array(), true);
	assert_int_equal(missing.n, 0);
	lock_byte(100);
	look(json_array(), true);
	assert_int_equal(missing.n, 1);
}

static void nodes_that_have_no_file_of_this_host_are_passed_over(void **state)
{
	(void)state;
	look(one_node("nbd", disk), true);
	look(json_pack("[n, i, {}, {s:i}, {s:s}]", 7, "drv", 7, "drv", "file"), true);
	look(json_object(), true);
	assert_int_equal(missing.n, 0);
	assert_int_equal(problems.n, 0);
}

static void a_life_line_is_no_use_of_a_disk(void **state)
{
	struct stat info;
	struct resource image = { .kind = RESOURCE_DISK, .path = "/another/spelling" };
	json_t *nodes = one_node("file", disk), *none = json_array();

	(void)state;
	assert_int_equal(fstat(fd, &info), 0);
	image.id = (struct resource_identity){ .dev = info.st_dev, .ino = info.st_ino };
	assert_string_equal(block_nodes_using(nodes, getpid(), &image), "node0");
	assert_null(block_nodes_using(none, getpid(), &image));
	json_decref(nodes);
	json_decref(none);
}

static void only_writable_nodes_with_metadata_of_their_own_count(void **state)
{
	static const struct {
		const char *nodes, *format;
	} cases[] = {
		{ "[]", NULL },
		{ "{}", NULL },
		{ "[{\"drv\": \"raw\", \"ro\": false}, {\"drv\": \"file\", \"ro\": false}]", NULL },
		{ "[{\"drv\": \"qcow2\", \"ro\": true}]", NULL },
		{ "[{\"drv\": \"raw\", \"ro\": false}, {\"drv\": \"qcow2\", \"ro\": false}]",
			"qcow2" },
		{ "[{\"drv\": \"never-heard-of\", \"ro\": false}]", "never-heard-of" },
		{ "[{\"drv\": \"qcow2\"}]", "qcow2" },
		{ "[{\"drv\": 7, \"ro\": false}, null]", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *nodes = json_loads(cases[i].nodes, 0, NULL);
		const char *format = block_nodes_with_metadata(nodes);

		assert_non_null(nodes);
		if (cases[i].format)
			assert_string_equal(format, cases[i].format);
		else
			assert_null(format);
		json_decref(nodes);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_nobody_has_locked_is_missing),
		TEST(a_file_of_libblkios_is_missing_too),
		TEST(a_file_that_is_locked_is_not),
		TEST(a_lock_for_reading_does_not_do_for_a_writer),
		TEST(readers_count_only_where_they_are_asked_for),
		TEST(another_name_of_a_locked_file_is_locked),
		TEST(a_file_that_was_renamed_is_found_by_its_descriptor),
		TEST(a_file_that_is_not_open_is_a_problem),
		TEST(a_relative_name_may_be_of_where_it_was_started),
		TEST(a_file_that_is_open_for_reading_may_be_written_tomorrow),
		TEST(a_file_below_a_read_only_node_is_only_read),
		TEST(a_node_whose_name_is_json_stands_on_what_it_names),
		TEST(what_qemu_says_is_read_only_is),
		TEST(a_file_that_is_only_read_is_not_locked_for_more_than_it_was),
		TEST(of_a_file_that_cannot_be_told_each_that_could_be_it_is_missing),
		TEST(a_life_line_is_not_what_cannot_be_told),
		TEST(without_a_graph_each_image_counts),
		TEST(a_character_device_is_a_problem_of_its_own),
		TEST(a_file_that_is_memory_is_found),
		TEST(a_file_that_was_mapped_and_closed_is_somebody_elses),
		TEST(a_temporary_file_is_nobody_elses),
		TEST(qemus_own_locks_give_away_what_the_graph_does_not_name),
		TEST(nodes_that_have_no_file_of_this_host_are_passed_over),
		TEST(a_life_line_is_no_use_of_a_disk),
		TEST(what_cannot_be_looked_at_is_not_passed_over),
		TEST(only_writable_nodes_with_metadata_of_their_own_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
