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
#include "launcher/disks/argv.h"
#include "launcher/disks/keyval.h"

#define WORDS_MAX 24

/* Split at spaces; a word may be 'in quotes' (they stay: JSON wants them). */
static void words_parse(const char *words, struct command_line *ret)
{
	_cleanup_(freep) char *copy = strdup(words);
	char *argv[WORDS_MAX] = { "qemu" };
	size_t n = 1;
	char *word;

	for (word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(n + 1 < WORDS_MAX);
		argv[n++] = word;
	}
	assert_int_equal(command_line_parse(argv, NULL, ret, NULL), 0);
}

/* All nodes of a command line as text, one a line. */
static char *nodes_text(const struct command_line *line)
{
	struct str text = { 0 };
	size_t i;

	for (i = 0; i < line->n_images; i++) {
		_cleanup_(freep) char *node =
			json_dumps(line->images[i].node, JSON_COMPACT | JSON_SORT_KEYS);

		str_printf(&text, "%s%s", i ? "\n" : "", node);
	}
	return str_take(&text);
}

/* what every -drive says unless it says something else */
#define RW "\"auto-read-only\":true,\"read-only\":false"
#define RO "\"auto-read-only\":true,\"read-only\":true"
#define AT "{\"@filename\":"

static void arguments_become_block_nodes(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" }, { "a.img", AT "\"a.img\"," RW "}" },
		{ "-m 512 a.img", AT "\"a.img\"," RW "}" }, { "-S a.img", AT "\"a.img\"," RW "}" },
		{ "-hda a,b.img", AT "\"a,b.img\"," RW "}" }, { "--hdb a", AT "\"a\"," RW "}" },
		{ "-hdc a -hdd b", AT "\"a\"," RW "}\n" AT "\"b\"," RW "}" },
		{ "-cdrom a", AT "\"a\"," RO "}" },
		{ "-fda a -fdb b", AT "\"a\"," RW "}\n" AT "\"b\"," RW "}" },
		{ "-pflash a", AT "\"a\"," RW "}" }, { "-mtdblock a", AT "\"a\"," RW "}" },
		{ "-sd a", AT "\"a\"," RW "}" }, { "-drive file=a", AT "\"a\"," RW "}" },
		{ "-drive file=a,,b", AT "\"a,b\"," RW "}" },
		{ "-drive file=a,file=b", AT "\"b\"," RW "}" },
		{ "-drive file=a,readonly=on", AT "\"a\"," RO "}" },
		{ "-drive file=a,readonly", AT "\"a\"," RO "}" },
		{ "-drive file=a,read-only=on", AT "\"a\"," RO "}" },
		{ "-drive file=a,read-only=off", AT "\"a\"," RW "}" },
		{ "-drive file=a,media=cdrom", AT "\"a\"," RO "}" },
		{ "-drive file=a,media=disk", AT "\"a\"," RW "}" },
		{ "-drive file=a,snapshot=on", AT "\"a\"," RO "}" },
		{ "-drive file=a,snapshot", AT "\"a\"," RO "}" },
		{ "-drive file=a -snapshot", AT "\"a\"," RO "}" },
		{ "-snapshot -drive file=a,snapshot=off", AT "\"a\"," RW "}" },
		{ "-snapshot -drive file=a,nosnapshot", AT "\"a\"," RW "}" },
		{ "-snapshot a", AT "\"a\"," RO "}" },
		{ "-drive file=a,format=raw", AT "\"a\",\"auto-read-only\":true,"
						 "\"driver\":\"raw\",\"read-only\":false}" },
		{ "-drive file=a,auto-read-only=off",
			AT "\"a\",\"auto-read-only\":\"off\",\"read-only\":false}" },
		{ "-drive file.filename=a,driver=qcow2",
			"{\"auto-read-only\":true,\"driver\":\"qcow2\","
			"\"file\":{\"filename\":\"a\"},\"read-only\":false}" },
		{ "-drive file=a,file.locking=off",
			AT "\"a\",\"auto-read-only\":true,\"file\":{\"locking\":\"off\"},"
			   "\"read-only\":false}" },
		{ "-drive file=a,cache=none,cache.direct=on",
			AT "\"a\",\"auto-read-only\":true,\"cache\":{\"direct\":\"on\"},"
			   "\"read-only\":false}" },
		{ "-drive if=ide,media=cdrom", "" }, { "-drive file=,if=ide", "" },
		{ "-drive id=d,file=a,if=none -set drive.d.file=b", AT "\"b\"," RW "}" },
		{ "-drive id=d,file=a,if=none -set drive.e.file=b", AT "\"a\"," RW "}" },
		{ "-drive id=d,id=e,file=a,if=none -set drive.d.file=b", AT "\"b\"," RW "}" },
		{ "-drive id=d,id=e,file=a,if=none -set drive.e.file=b", AT "\"a\"," RW "}" },
		{ "-drive id=d,file=a -set drive.d.file.filename=b",
			AT "\"a\",\"auto-read-only\":true,\"file\":{\"filename\":\"b\"},"
			   "\"read-only\":false}" },
		{ "-drive id=d,file=a -set drive.d.readonly=on", AT "\"a\"," RO "}" },
		{ "-object a,id=d -drive id=d,file=a -set object.d.file=b", AT "\"a\"," RW "}" },
		{ "-drive id=d,file=a -set drive.d.snapshot=on", AT "\"a\"," RO "}" },
		{ "-drive id=d,file=a -set chardev.d.path=b", AT "\"a\"," RW "}" },
		{ "-drive file=json:{'a':1}", AT "\"json:{'a':1}\"," RW "}" },
		{ "-blockdev driver=file,filename=a,,b,node-name=n",
			"{\"driver\":\"file\",\"filename\":\"a,b\",\"node-name\":\"n\"}" },
		{ "-blockdev driver=qcow2,file.driver=file,file.filename=a",
			"{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"a\"}"
			"}" },
		{ "-blockdev {'driver':'qcow2','file':'n','read-only':true}",
			"{\"driver\":\"qcow2\",\"file\":\"n\",\"read-only\":true}" },
		{ "-blockdev {\"driver\":\"qcow2\",\"backing\":null}",
			"{\"backing\":null,\"driver\":\"qcow2\"}" },
		{ "-blockdev driver=quorum,children.0=a,children.1=b",
			"{\"children\":{\"0\":\"a\",\"1\":\"b\"},\"driver\":\"quorum\"}" },
		{ "-append a -kernel b -initrd c -bios d -D e -pidfile f -chardev file,path=g",
			"" },
		{ "-name -S", "" }, /* an option's argument, whatever it looks like */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };
		_cleanup_(freep) char *text = NULL;

		words_parse(rows[i][0], &line);
		text = nodes_text(&line);
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(line.notes.n, 0);
		assert_true(line.starts_vm);
	}
}

/* ORIGIN, and whether there is another accelerator too. */
static void who_asks_for_kvm_is_told(void **state)
{
	static const struct {
		const char *words, *origin;
		bool or_other;
	} rows[] = {
		{ "-accel kvm", "-accel kvm" },
		{ "--accel accel=kvm,dirty-ring-size=4096",
			"--accel accel=kvm,dirty-ring-size=4096" },
		{ "-accel kvm -accel tcg", "-accel kvm", true },
		{ "-accel kvm -accel kvm", "-accel kvm" },
		{ "-enable-kvm", "-enable-kvm" },
		{ "-machine accel=kvm", "-machine accel=kvm" },
		{ "-machine accel=kvm -M q35", "-machine accel=kvm" },
		{ "-M q35,accel=kvm:tcg", "-M q35,accel=kvm:tcg", true },
		{ "-machine accel=tcg -enable-kvm", "-enable-kvm" },
		{ "-M accel=kvm:tcg -enable-kvm", "-enable-kvm" },
		{ "-M accel=tcg -M accel=kvm", "-M accel=kvm" },
		{ "-M pc", NULL },
		{ "-enable-kvm -machine accel=tcg", NULL },
		{ "-accel tcg -accel kvm", NULL },
		{ "-machine accel=tcg:kvm", NULL },
		{ "-accel kvm,device=/dev/fdset/1", NULL },
		{ "-accel kvmm", NULL },
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };

		words_parse(rows[i].words, &line);
		assert_string_equal(line.kvm_origin ? line.kvm_origin : "",
			rows[i].origin ? rows[i].origin : "");
		if (rows[i].origin)
			assert_int_equal(line.kvm_or_other, rows[i].or_other);
	}
}

static void who_starts_a_program_is_told(void **state)
{
	static const struct {
		const char *words, *told;
	} rows[] = {
		{ "-netdev user,id=n,smb=/x", "-netdev user,id=n,smb=/x" },
		{ "-nic user,guestfwd=tcp:1:2-cmd:x", "-nic user,guestfwd=tcp:1:2-cmd:x" },
		{ "-net "
		  "user,guestfwd=tcp:1:2-null,guestfwd=tcp:1:3-cmd:x,smb=/,guestfwd=tcp:1:4-cmd:y",
			"-net "
			"user,guestfwd=tcp:1:2-null,guestfwd=tcp:1:3-cmd:x,smb=/"
			",guestfwd=tcp:1:4-cmd:y" },
		{ "-netdev "
		  "{\"type\":\"user\",\"id\":\"n\",\"guestfwd\":[{\"str\":\"tcp:1:2-cmd:x\"}]}",
			"-netdev "
			"{\"type\":\"user\",\"id\":\"n\",\"guestfwd\":[{\"str\":\"tcp:1:2-cmd:x\"}]"
			"}" },
		{ "-netdev bridge,id=n", "-netdev bridge,id=n" },
		{ "-netdev tap,id=n,br=b", "-netdev tap,id=n,br=b" },
		{ "-netdev tap,id=n", "-netdev tap,id=n" },
		{ "-netdev tap,id=n,script=/x -nic passt",
			"-netdev tap,id=n,script=/x -nic passt" },
		{ "-netdev tap,id=n,script=no", "" },
		{ "-netdev tap,id=n,script=", "" },
		{ "-netdev tap,id=n,fd=3", "" },
		{ "-netdev user,id=n,hostfwd=tcp::1-:2,guestfwd=tcp:1:2-tcp:cmd:3", "" },
		{ "-serial cmd:x", "" },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };
		_cleanup_(str_finish) struct str told = { 0 };

		words_parse(rows[i].words, &line);
		for (k = 0; k < line.programs.n; k++)
			str_printf(&told, k ? " %s" : "%s", line.programs.items[k]);
		assert_string_equal(told.text ? told.text : "", rows[i].told);
	}
}

static void people_see_the_argument_as_they_gave_it(void **state)
{
	_cleanup_(command_line_finish) struct command_line line = { 0 };

	(void)state;
	words_parse("--drive file=a,if=virtio b -hdb c", &line);
	assert_int_equal(line.n_images, 3);
	assert_string_equal(line.images[0].origin, "--drive file=a,if=virtio");
	assert_string_equal(line.images[1].origin, "b");
	assert_string_equal(line.images[2].origin, "-hdb c");
}

static void devices_say_how_an_image_is_used(void **state)
{
	enum { D = ARGV_USE_DEVICE, S = ARGV_USE_NO_SHARING, C = ARGV_USE_NO_CDROM };
	static const struct {
		const char *words;
		unsigned uses; /* of d */
	} rows[] = {
		{ "-drive if=none,id=d,file=a", 0 },
		{ "-drive id=d,file=a", D | S | C },
		{ "-drive if=virtio,id=d,file=a", D | S | C },
		{ "-device virtio-blk-pci,drive=d", D | S | C },
		{ "-device virtio-blk-pci,drive=d,share-rw=on", D | C },
		{ "-device virtio-blk-pci,drive=d,share-rw", D | C },
		{ "-device {'driver':'virtio-blk-pci','drive':'d','share-rw':true}", D | C },
		{ "-device driver=ide-hd,drive=d,share-rw=off", D | S | C },
		{ "-device a,drive=d,share-rw=on -device b,drive=d", D | S | C },
		{ "-device a,drive=d,share-rw=on -device b,drive=d,share-rw=on", D | C },
		{ "-device a,drive=d,share-rw=on -global b.drive=d", D | S | C },
		{ "-global driver=b,property=drive,value=d", D | S | C },
		{ "-global driver=b,property=serial,value=d", 0 },
		{ "-global b.serial=d", 0 },
		{ "-device ide-cd,drive=d", D | S },
		{ "-device scsi-cd,drive=d,share-rw=on", D },
		{ "-device ide-cd,drive=d -device ide-hd,drive=d", D | S | C },
		{ "-device a,drive=e", 0 },
		{ "-device a,id=x -set device.x.drive=d", D | S | C },
		{ "-machine pc,pflash0=d", D | S | C },
		{ "-M pflash1=d", D | S | C },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };

		words_parse(rows[i].words, &line);
		assert_int_equal(command_line_uses(&line, "d"), rows[i].uses);
	}
}

static void calls_that_only_print_start_no_vm(void **state)
{
	static const char *const printing[] = { "-version", "--version", "-h", "-help",
		"-machine help", "-M ?", "-machine type=help", "-machine pc,help", "-cpu help",
		"-cpu ?", "-device help", "-device virtio-blk-pci,help", "-device driver=help",
		"-drive format=help", "-drive if=none,format=?", "-netdev help", "-nic model=help",
		"-net nic,model=?", "-object help", "-object iothread,help", "-chardev help",
		"-accel help", "-audiodev help", "-audio-help", "-display help", "-vga help",
		"-boot help", "-smp help", "-L help", "-trace help", "-d help", "-d trace:x,help",
		"-dump-vmstate a", "-tpmdev help", "-action help", "-hda a -version" };
	static const char *const starting[] = { "-name help", "-hda help", "-drive file=help",
		"help", "-append help", "-machine pc", "-device a,id=helper",
		"-drive file=a,id=help",
		/* QEMU opens the image before it prints */
		"-hda a -device help", "-drive file=a -drive format=help" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(printing) / sizeof(*printing); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };

		words_parse(printing[i], &line);
		assert_false(line.starts_vm);
	}
	for (i = 0; i < sizeof(starting) / sizeof(*starting); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };

		words_parse(starting[i], &line);
		assert_true(line.starts_vm);
	}
}

static void facts_are_noted(void **state)
{
	_cleanup_(command_line_finish) struct command_line line = { 0 };

	(void)state;
	words_parse(
		"-name a,process=b -uuid u -incoming tcp:0:1 -incoming defer -pidfile p -runas r "
		"-chroot c -loadvm l",
		&line);
	assert_string_equal(line.name, "a");
	assert_string_equal(line.uuid, "u");
	assert_string_equal(line.incoming, "defer");
	assert_string_equal(line.pidfile, "p");
	assert_string_equal(line.runas, "r");
	assert_string_equal(line.chroot_dir, "c");
	assert_string_equal(line.loadvm, "l");
	command_line_finish(&line);
	words_parse("-name process=b,guest=g,,h -S --daemonize --preconfig -snapshot -nodefaults "
		    "-no-user-config -no-shutdown",
		&line);
	assert_string_equal(line.name, "g,h");
	assert_true(line.user_stopped && line.daemonize && line.preconfig && line.snapshot);
	assert_true(line.nodefaults && line.no_user_config && line.shutdown_pauses);
	command_line_finish(&line);
	words_parse("-run-with async-teardown=on,chroot=c,user=u -chroot d", &line);
	assert_string_equal(line.chroot_dir, "d");
	assert_string_equal(line.runas, "u");
	command_line_finish(&line);
	words_parse(
		"-no-shutdown -action panic=none,shutdown=poweroff -name debug-threads=on", &line);
	assert_false(line.shutdown_pauses);
	assert_null(line.name);
	command_line_finish(&line);
	words_parse("-action shutdown=pause -action reboot=reset", &line);
	assert_true(line.shutdown_pauses);
}

static void displays_and_sound_whose_libraries_start_programs_are_known(void **state)
{
	static const char *const start[] = { "", "-display gtk", "-sdl", "-display dbus",
		"-display spice-app", "-display default", "-display {'type':'gtk'}",
		"-display unheard-of", "-display none -audiodev pa,id=a",
		"-display none -audiodev {'driver':'sdl','id':'a'}", "-nographic -audio driver=sdl",
		"-nographic -audio jack,model=hda", "-vnc :0 -display sdl" };
	static const char *const others[] = { "-display none", "-nographic", "-curses", "-vnc :0",
		"-spice port=1", "-display egl-headless", "-display gtk -display none",
		"-display none -audiodev alsa,id=pa", "-display none -audiodev {'driver':" };
	_cleanup_(command_line_finish) struct command_line line = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(start) / sizeof(*start); i++) {
		words_parse(start[i], &line);
		assert_true(line.starts_helpers);
		command_line_finish(&line);
	}
	for (i = 0; i < sizeof(others) / sizeof(*others); i++) {
		words_parse(others[i], &line);
		assert_false(line.starts_helpers);
		command_line_finish(&line);
	}
}

static void what_is_not_understood_is_noted(void **state)
{
	static const char *const rows[] = { "-no-such-option", "-no-such-option argument", "-hda=a",
		"-snap", "-", "--", "-blockdev {'driver':", "-blockdev driver=file,driver.x=y",
		"-drive file.driver=raw,file.driver.x=y", "-device {", "-readconfig a",
		"-set drive.d", "-set drive.d.id=e", "-drive", "-hda" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };

		words_parse(rows[i], &line);
		assert_int_equal(line.notes.n, 1);
		assert_int_equal(line.notes.items[0].kind, DISKS_NOTE_NOT_UNDERSTOOD);
		assert_int_equal(line.n_images, 0);
	}
}

static void no_arguments_at_all_are_no_disks(void **state)
{
	char *none[] = { NULL };
	_cleanup_(command_line_finish) struct command_line line = { 0 };

	(void)state;
	assert_int_equal(command_line_parse(none, NULL, &line, NULL), 0);
	assert_int_equal(line.n_images, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_become_block_nodes),
		cmocka_unit_test(who_asks_for_kvm_is_told),
		cmocka_unit_test(who_starts_a_program_is_told),
		cmocka_unit_test(people_see_the_argument_as_they_gave_it),
		cmocka_unit_test(devices_say_how_an_image_is_used),
		cmocka_unit_test(calls_that_only_print_start_no_vm),
		cmocka_unit_test(facts_are_noted),
		cmocka_unit_test(displays_and_sound_whose_libraries_start_programs_are_known),
		cmocka_unit_test(what_is_not_understood_is_noted),
		cmocka_unit_test(no_arguments_at_all_are_no_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
