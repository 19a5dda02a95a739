/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "fault_each.h"
#include "launcher/disks/disks.h"
#include "tests/unit/temporary.h"

/*
 * With each call failing once: an error, or the whole set. A disk that is lost
 * on the way would run without its lock.
 */
static struct temporary place;
static const struct credentials ours;
static const struct disks_params params = { .readonly_locks = true, .credentials = &ours };

/* A qcow2 "overlay" on "base", and a raw "data". */
static int set_up(void **state)
{
	_cleanup_(closep) int fd = -1;
	uint8_t overlay[512] = "QFI\xfb\0\0\0\2";

	(void)state;
	if (temporary_make(&place) < 0 || chdir(place.path) < 0)
		return -1;
	temporary_write(&place, "base", "raw bytes");
	temporary_write(&place, "data", "raw bytes");
	temporary_write(&place, "overlay", "");
	overlay[23] = 16;
	overlay[14] = 1;
	overlay[19] = 4;
	memcpy(overlay + 256, "base", 4);
	fd = open("overlay", O_WRONLY | O_CLOEXEC);
	return write(fd, overlay, sizeof(overlay)) == sizeof(overlay) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	temporary_remove(&place);
	return chdir("/");
}

static const struct resource *find(const struct disks *disks, const char *name)
{
	size_t i;

	for (i = 0; i < disks->set.n; i++) {
		if (strcmp(strrchr(disks->set.items[i].path, '/') + 1, name) == 0)
			return &disks->set.items[i];
	}
	fail_msg("%s is not in the set", name);
	return NULL;
}

static int from_argv(struct error *err)
{
	static char *argv[] = { "qemu-system-x86_64", "-no-user-config", "-name", "guest=web1",
		"-m", "64", "-drive", "file=overlay,if=virtio,id=first,share-rw=on", "-blockdev",
		("{\"driver\":\"raw\",\"node-name\":\"d\",\"auto-read-only\":true,"
		 "\"file\":{\"driver\":\"file\",\"filename\":\"data\"}}"),
		"-device", "virtio-blk-pci,drive=d", "-drive", "file=nbd:localhost:1,if=none",
		"-monitor", "stdio", "-unknown", NULL };
	_cleanup_(disks_finish) struct disks disks = { 0 };
	int ret = disks_from_argv(argv, &params, &disks, err);

	if (ret != 0)
		return ret;
	assert_int_equal(disks.set.n, 3);
	assert_int_equal(find(&disks, "overlay")->mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(find(&disks, "data")->mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(find(&disks, "base")->mode, RESOURCE_READER);
	assert_int_equal(disks.notes.n, 2); /* the network image, the unknown option */
	assert_true(disks.line.monitors.n > 0);
	assert_string_equal(disks.line.name, "web1");
	return 0;
}

static void a_command_line_gives_all_its_disks_or_an_error(void **state)
{
	(void)state;
	assert_true(fault_each(from_argv) > 100);
}

static int from_path(struct error *err)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	int ret = disks_from_path("overlay", RESOURCE_EXCLUSIVE, &params, &disks, err);

	if (ret != 0)
		return ret;
	assert_int_equal(disks.set.n, 2);
	assert_int_equal(find(&disks, "overlay")->mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(find(&disks, "base")->mode, RESOURCE_READER);
	return 0;
}

static void a_path_gives_its_chain_or_an_error(void **state)
{
	(void)state;
	assert_true(fault_each(from_path) > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_line_gives_all_its_disks_or_an_error),
		cmocka_unit_test(a_path_gives_its_chain_or_an_error),
	};

	fault_watch_jansson();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
