/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "locking/block_device.h"
#include "locking/path_hash.h"
#include "tests/unit/temporary.h"

/*
 * A made-up sysfs, built as the kernel's: devices/ has a directory for each disk,
 * its partitions in it, and dev/block/M:m leads there.
 */
static struct temporary place;
static char sys[128], proc[128];
static struct block_sources sources = { sys, proc };

static int make_place(void **state)
{
	(void)state;
	if (temporary_make(&place) < 0)
		return -1;
	snprintf(sys, sizeof(sys), "%s/sys", place.path);
	snprintf(proc, sizeof(proc), "%s/proc", place.path);
	temporary_write(&place, "sys/dev/block/.keep", "");
	temporary_write(&place, "proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
	temporary_write(&place, "proc/self/mountinfo", "");
	return 0;
}

static int remove_place(void **state)
{
	(void)state;
	temporary_remove(&place);
	return 0;
}

/* @where below devices/: "sda", "sda/sda1" */
static void add_device(const char *where, const char *number)
{
	const char *name = strrchr(where, '/');
	char path[256], text[256], target[256];

	name = name ? name + 1 : where;
	snprintf(path, sizeof(path), "sys/devices/%s/uevent", where);
	snprintf(text, sizeof(text), "MAJOR=1\nDEVNAME=%s\nDEVTYPE=disk\n", name);
	temporary_write(&place, path, text);
	snprintf(path, sizeof(path), "sys/devices/%s/dev", where);
	snprintf(text, sizeof(text), "%s\n", number);
	temporary_write(&place, path, text);
	snprintf(path, sizeof(path), "sys/devices/%s/holders/.keep", where);
	temporary_write(&place, path, "");
	snprintf(path, sizeof(path), "%s/dev/block/%s", sys, number);
	snprintf(target, sizeof(target), "../../devices/%s", where);
	assert_int_equal(symlink(target, path), 0);
}

static void add_attribute(const char *where, const char *name, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "sys/devices/%s/%s", where, name);
	temporary_write(&place, path, value);
}

static struct block_device find(unsigned first, unsigned second)
{
	struct block_device device;
	struct error err = { 0 };

	if (block_device_find(&sources, makedev(first, second), &device, &err) < 0)
		fail_msg("%s", err.text);
	return device;
}

static void a_disk_without_a_name_is_known_by_its_number(void **state)
{
	struct block_device device;

	(void)state;
	add_device("loop7", "7:7");
	device = find(7, 7);
	assert_string_equal(device.name, "loop7");
	assert_string_equal(device.key, "dev-7:7");
	assert_string_equal(device.disk_name, "");
	assert_string_equal(device.disk_key, "");
	assert_false(device.key_is_stable);
	assert_true(device.dev == makedev(7, 7));
}

static void hardware_and_mappers_give_stable_names(void **state)
{
	static const struct {
		const char *name, *number, *attribute, *value, *key;
	} devices[] = {
		{ "nvme0n1", "259:0", "wwid", "eui.0025388b91d0c1a2\n",
			"wwid-eui.0025388b91d0c1a2" },
		{ "sda", "8:0", "device/wwid", "naa.5000c500a1b2c3d4\n",
			"wwid-naa.5000c500a1b2c3d4" },
		{ "dm-3", "253:3", "dm/uuid", "LVM-Vg0uuidLv1uuid\n", "dm-LVM-Vg0uuidLv1uuid" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		unsigned first, second;

		add_device(devices[i].name, devices[i].number);
		add_attribute(devices[i].name, devices[i].attribute, devices[i].value);
		sscanf(devices[i].number, "%u:%u", &first, &second);
		assert_string_equal(find(first, second).key, devices[i].key);
		assert_true(find(first, second).key_is_stable);
	}
}

static void two_paths_to_one_unit_have_one_key(void **state)
{
	(void)state;
	add_device("sda", "8:0");
	add_device("sdb", "8:16");
	add_attribute("sda", "device/wwid", "naa.5000c500a1b2c3d4\n");
	add_attribute("sdb", "device/wwid", "naa.5000c500a1b2c3d4\n");
	assert_string_equal(find(8, 0).key, find(8, 16).key);
}

static void a_mapped_device_knows_what_it_is_made_of(void **state)
{
	struct block_device whole, part;
	struct error err;
	dev_t parts[2];

	(void)state;
	add_device("md0", "9:0");
	add_device("md0/md0p1", "259:1");
	add_attribute("md0/md0p1", "partition", "1\n");
	add_attribute("md0", "slaves/loop7/dev", "7:7\n");
	whole = find(9, 0);
	part = find(259, 1);
	assert_int_equal(block_device_parts(&sources, &whole, parts, 2, &err), 1);
	assert_true(parts[0] == makedev(7, 7));
	parts[0] = 0;
	assert_int_equal(block_device_parts(&sources, &part, parts, 2, &err), 1);
	assert_true(parts[0] == makedev(7, 7));
	add_attribute("md0", "slaves/loop8/dev", "7:8\n");
	assert_int_equal(block_device_parts(&sources, &whole, parts, 2, &err), 2);
	assert_int_equal(block_device_parts(&sources, &whole, parts, 1, &err), -E2BIG);
	assert_non_null(strstr(err.text, "what md0 is made of is not known"));
	add_device("loop7", "7:7");
	whole = find(7, 7);
	assert_int_equal(block_device_parts(&sources, &whole, parts, 2, &err), 0);
}

static void a_partition_knows_its_disk(void **state)
{
	struct block_device device;

	(void)state;
	add_device("sda", "8:0");
	add_attribute("sda", "device/wwid", "naa.1\n");
	add_device("sda/sda12", "8:12");
	add_attribute("sda/sda12", "partition", "12\n");
	device = find(8, 12);
	assert_string_equal(device.key, "wwid-naa.1-part12");
	assert_string_equal(device.disk_key, "wwid-naa.1");
	assert_string_equal(device.disk_name, "sda");
	assert_true(device.key_is_stable);
}

static void a_strange_name_cannot_leave_the_lock_directory(void **state)
{
	char hash[PATH_HASH_SIZE], key[BLOCK_KEY_SIZE], many[300];

	(void)state;
	add_device("sda", "8:0");
	add_attribute("sda", "device/wwid", "t10.ATA     ../../etc/passwd\n");
	snprintf(key, sizeof(key), "wwid-%s", path_hash("t10.ATA     ../../etc/passwd", hash));
	assert_string_equal(find(8, 0).key, key);
	memset(many, 'a', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	add_attribute("sda", "device/wwid", many);
	snprintf(key, sizeof(key), "wwid-%s", path_hash(many, hash));
	assert_string_equal(find(8, 0).key, key);
}

static void an_empty_attribute_is_none(void **state)
{
	(void)state;
	add_device("sda", "8:0");
	add_attribute("sda", "device/wwid", "   \n");
	assert_string_equal(find(8, 0).key, "dev-8:0");
}

static void a_device_that_the_kernel_does_not_know_is_an_error(void **state)
{
	struct block_device device;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(block_device_find(&sources, makedev(99, 1), &device, &err), -ENOENT);
	assert_non_null(strstr(err.text, "99:1"));
}

static int in_use(unsigned first, unsigned second, char by[static 200])
{
	struct block_device device = find(first, second);
	struct error err = { 0 };

	return block_device_in_use(&sources, &device, by, 200, &err);
}

static void a_device_that_nobody_uses_is_free(void **state)
{
	char by[200];

	(void)state;
	add_device("sda", "8:0");
	add_device("sda/sda1", "8:1");
	add_attribute("sda/sda1", "partition", "1\n");
	assert_int_equal(in_use(8, 0, by), 0);
	assert_int_equal(in_use(8, 1, by), 0);
}

static void a_mounted_file_system_is_seen_on_the_partition_and_on_the_disk(void **state)
{
	char by[200];

	(void)state;
	add_device("sda", "8:0");
	add_device("sda/sda1", "8:1");
	add_device("sda/sda2", "8:2");
	add_attribute("sda/sda1", "partition", "1\n");
	add_attribute("sda/sda2", "partition", "2\n");
	temporary_write(&place, "proc/self/mountinfo",
		"22 1 0:20 / /proc rw - proc proc rw\n"
		"36 35 8:1 / /srv/data rw,noatime shared:1 - ext4 /dev/sda1 rw\n");
	assert_int_equal(in_use(8, 1, by), 1);
	assert_string_equal(by, "mounted on /srv/data");
	assert_int_equal(in_use(8, 0, by), 1);
	assert_string_equal(by, "sda1 is mounted on /srv/data");
	assert_int_equal(in_use(8, 2, by), 0);
}

static void what_is_built_on_a_device_is_seen(void **state)
{
	char by[200];

	(void)state;
	add_device("sda", "8:0");
	add_device("sda/sda1", "8:1");
	add_attribute("sda/sda1", "partition", "1\n");
	add_attribute("sda/sda1", "holders/dm-3", "");
	assert_int_equal(in_use(8, 1, by), 1);
	assert_string_equal(by, "part of dm-3 (LVM, RAID or another mapped device)");
	assert_int_equal(in_use(8, 0, by), 1);
}

/* A real block device's node, so that its number can be asked for. */
static void nodes_in_the_tables_are_known_by_their_number(void **state)
{
	char by[200], node[256], text[512];

	(void)state;
	add_device("sda", "8:0");
	snprintf(node, sizeof(node), "%s/other-name", place.path);
	if (mknod(node, S_IFBLK | 0600, makedev(8, 0)) < 0)
		skip();
	snprintf(text, sizeof(text), "Filename Type\n%s partition 8388604 0 -2\n", node);
	temporary_write(&place, "proc/swaps", text);
	assert_int_equal(in_use(8, 0, by), 1);
	assert_string_equal(by, "swap space");
	temporary_write(&place, "proc/swaps", "");
	snprintf(text, sizeof(text), "36 35 0:99 / /srv rw shared:1 - btrfs %s rw\n", node);
	temporary_write(&place, "proc/self/mountinfo", text);
	assert_int_equal(in_use(8, 0, by), 1);
	assert_string_equal(by, "mounted on /srv");
}

/* Whatever this machine has: each device is known, by one key that no other has, each time. */
static void real_devices_have_keys_of_their_own(void **state)
{
	struct block_device device, again;
	char keys[64][BLOCK_KEY_SIZE], path[512];
	const struct dirent *entry;
	DIR *dir = opendir("/sys/class/block");
	unsigned first, second;
	size_t n = 0, i;

	(void)state;
	while (dir && n < 64 && (entry = readdir(dir))) {
		FILE *number;

		snprintf(path, sizeof(path), "/sys/class/block/%s/dev", entry->d_name);
		number = fopen(path, "re");
		if (!number)
			continue;
		assert_int_equal(fscanf(number, "%u:%u", &first, &second), 2);
		fclose(number);
		assert_int_equal(
			block_device_find(&block_sources, makedev(first, second), &device, NULL),
			0);
		assert_int_equal(
			block_device_find(&block_sources, makedev(first, second), &again, NULL), 0);
		assert_string_equal(device.name, entry->d_name);
		assert_string_equal(device.key, again.key);
		assert_null(strchr(device.key, '/'));
		for (i = 0; i < n && !device.key_is_stable; i++) /* two paths have one */
			assert_string_not_equal(device.key, keys[i]);
		strcpy(keys[n++], device.key);
	}
	if (dir)
		closedir(dir);
}

static void a_path_has_the_name_that_virtlockd_gives_it(void **state)
{
	char hash[PATH_HASH_SIZE];

	(void)state;
	/* printf %s /srv/vm/web1.img | sha256sum */
	assert_string_equal(path_hash("/srv/vm/web1.img", hash),
		"844ada51a772c29270e23252cdf34d56864f47065212f66045718679ab8a05af");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_without_a_name_is_known_by_its_number),
		TEST(hardware_and_mappers_give_stable_names),
		TEST(two_paths_to_one_unit_have_one_key),
		TEST(a_mapped_device_knows_what_it_is_made_of),
		TEST(a_partition_knows_its_disk),
		TEST(a_strange_name_cannot_leave_the_lock_directory),
		TEST(an_empty_attribute_is_none),
		TEST(a_device_that_the_kernel_does_not_know_is_an_error),
		TEST(a_device_that_nobody_uses_is_free),
		TEST(a_mounted_file_system_is_seen_on_the_partition_and_on_the_disk),
		TEST(what_is_built_on_a_device_is_seen),
		TEST(nodes_in_the_tables_are_known_by_their_number),
		TEST(real_devices_have_keys_of_their_own),
		TEST(a_path_has_the_name_that_virtlockd_gives_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
