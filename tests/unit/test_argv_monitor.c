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

#define WORDS_MAX 24

/* -readconfig NAME */
static const struct config {
	const char *name, *text;
} configs[] = {
	{ "mon", "[mon]\nchardev = \"c\"\n" },
	{ "mon-null", "[chardev \"c\"]\nbackend = \"null\"\n[mon \"m\"]\nchardev = \"c\"\n" },
	{ "mon-pty", "[mon \"m\"]\nchardev = \"c\"\n[chardev \"c\"]\nbackend = \"pty\"\n" },
	{ "mux", "[chardev \"c\"]\nbackend = \"pty\"\nmux = \"on\"\n" },
	{ "netdev", "[netdev \"n\"]\nguestfwd = \"::1-mon:pty\"\nguestfwd = \"::2-null\"\n" },
	{ "qtest", "[object \"m\"]\nqom-type = \"qtest\"\nchardev = \"c\"\n" },
	{ "spice", "[spice]\nport = \"1\"\n" },
	{ "vnc", "[vnc \"v\"]\nvnc = \":0\"\n" },
	{ "vnc-none", "[vnc \"v\"]\nvnc = \"none\"\n" },
};

static int config_read_named(const char *name, struct str *ret, struct error *err)
{
	size_t i;

	for (i = 0; i < sizeof(configs) / sizeof(*configs); i++) {
		if (strcmp(configs[i].name, name) == 0)
			str_append(ret, configs[i].text);
	}
	(void)err;
	return ret->len ? 0 : COMMAND_LINE_NO_CONFIG;
}

/* The reasons of a command line, its words split at spaces, one a line. */
static char *reasons_of(const char *words)
{
	_cleanup_(command_line_finish) struct command_line line = { 0 };
	_cleanup_(freep) char *copy = strdup(words);
	char *argv[WORDS_MAX] = { "qemu" };
	struct str text = { 0 };
	size_t n = 1, i;
	char *word;

	for (word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(n + 1 < WORDS_MAX);
		argv[n++] = word;
	}
	assert_int_equal(command_line_parse(argv, config_read_named, &line, NULL), 0);
	assert_int_equal(line.notes.n, 0);
	str_printf(&text, "%s", "");
	for (i = 0; i < line.monitors.n; i++)
		str_printf(&text, "%s%s", i ? "\n" : "", line.monitors.items[i]);
	return str_take(&text);
}

/* Does each line of @wanted (separated by '\n') begin one of @got, in order, and no more? */
static bool lines_begin(const char *got, const char *wanted)
{
	while (*got && *wanted) {
		size_t len = strcspn(wanted, "\n");

		if (strncmp(got, wanted, len) != 0)
			return false;
		got += strcspn(got, "\n");
		got += *got == '\n';
		wanted += len;
		wanted += *wanted == '\n';
	}
	return !*got && !*wanted;
}

struct row {
	const char *words;
	const char *reasons; /* how each begins, one a line; "": it is not pinned */
};

static void rows_check(const struct row *rows, size_t n, const char *before)
{
	size_t i;

	for (i = 0; i < n; i++) {
		_cleanup_(freep) char *got = NULL;
		char words[512];

		snprintf(words, sizeof(words), "%s%s", before, rows[i].words);
		got = reasons_of(words);
		if (!lines_begin(got, rows[i].reasons))
			fail_msg("%s: '%s', not '%s'", words, got, rows[i].reasons);
	}
}

#define CHECK(rows, before) rows_check(rows, sizeof(rows) / sizeof(*(rows)), before)
#define QUIET               "-nodefaults -display none "

static void a_monitor_counts_by_who_reaches_it(void **state)
{
	static const struct row rows[] = {
		{ "", "" },
		/* in short form */
		{ "-monitor stdio", "-monitor stdio: whoever" },
		{ "--monitor pty", "--monitor pty: " },
		{ "-monitor telnet::1,server", "-monitor telnet::1,server: " },
		{ "-monitor tcp::1,server=on", "-monitor tcp::1" },
		{ "-monitor udp::1", "-monitor udp" },
		{ "-monitor pipe:a", "-monitor pipe:a: " },
		{ "-monitor /dev/ttyS0", "-monitor /dev/ttyS0: " },
		{ "-monitor msmouse", "-monitor msmouse" },
		{ "-qmp unix:a,server=on,wait=off", "-qmp unix:a" },
		{ "--qmp tcp::1,server", "--qmp tcp" },
		{ "-qmp-pretty stdio", "-qmp-pretty stdio" },
		{ "-qmp stdio -monitor pty", "-qmp stdio\n-monitor pty" },
		/* what nobody can write to */
		{ "-monitor none", "" },
		{ "-monitor nonesuch", "" }, /* QEMU compares four letters */
		{ "-monitor null", "" },
		{ "-monitor file:a", "" },
		{ "-qmp null", "" },
		{ "-qmp file:a", "" },
		{ "-monitor nullify", "-monitor nullify" },
		{ "-monitor filename", "-monitor filename" },
		/* QEMU's own consoles are as good as what shows them */
		{ "-monitor vc", "" },
		{ "-monitor vc:80Cx24C", "" },
		{ "-qmp vc", "" },
		{ "-monitor vc -vnc :0", "-monitor vc: " },
		{ "-vnc :0 -monitor vc:80x24", "-monitor vc:80x24: " },
		{ "-monitor vc -vnc none", "" },
		{ "-monitor vc -display sdl", "-monitor vc: " },
		{ "-monitor vc -display egl-headless", "" },
		/* by a character device of its own */
		{ "-mon m", "-mon m: whoever" }, /* it is not there: QEMU refuses */
		{ "-chardev socket,id=m,fd=3", "" },
		{ "-chardev socket,id=m,fd=3 -mon chardev=m,mode=control", "-mon chardev=m" },
		{ "-mon m -chardev stdio,id=m", "-mon m" },
		{ "-chardev backend=pty,id=m -mon id=a,chardev=m", "-mon id=a" },
		{ "-chardev null,id=m -mon m", "" },
		{ "-chardev vc,id=m -mon m", "" },
		{ "-chardev vc,id=m -mon m -display curses", "-mon m" },
		{ "-chardev file,id=m,path=a -mon m", "" },
		{ "-chardev file,id=m,path=a,input-path=b -mon m", "-mon m" },
		{ "-chardev ringbuf,id=m -mon m", "" },
		{ "-chardev memory,id=m -mon m", "" },
		{ "-chardev spiceport,id=m,name=a -mon m", "-mon m" },
		{ "-chardev hub,id=m,chardevs.0=a -mon m", "-mon m" },
		{ "-chardev null,id=m -monitor chardev:m", "" },
		{ "-chardev stdio,id=m -monitor chardev:m", "-monitor chardev:m" },
		{ "-chardev stdio,id=m -qmp chardev:m", "-qmp chardev:m" },
		{ "-chardev null,id=a -chardev stdio,id=b -mon a", "" },
		/* -set */
		{ "-chardev null,id=a -mon a -set chardev.a.backend=pty", "-mon a" },
		{ "-chardev null,id=a -chardev pty,id=b -mon a,id=m -set mon.m.chardev=b",
			"-mon a" },
		{ "-chardev pty,id=a -mon a -set chardev.a.backend=null", "" },
		{ "-chardev pty,id=a -set chardev.a.mux=on", "-chardev pty,id=a: C-a s" },
		{ "-monitor vc -vnc :0,id=v -set vnc.v.vnc=none", "" },
		/* names that QEMU gives */
		{ "-chardev pty,id=p -monitor null -set mon.compat_monitor0.chardev=p",
			"-set mon.compat_monitor0.chardev=p: " },
		{ "-qmp null -set chardev.compat_monitor0.backend=pty", "-set chardev." },
		{ "-monitor null -set device.compat_monitor0.x=y", "" },
	};

	(void)state;
	CHECK(rows, QUIET);
}

static void a_port_that_a_monitor_shares_counts(void **state)
{
	static const struct row rows[] = {
		{ "-serial stdio", "" },
		{ "-serial mon:stdio", "-serial mon:stdio: a monitor shares this port" },
		{ "-parallel mon:stdio", "-parallel mon:stdio" },
		{ "-debugcon mon:stdio", "-debugcon mon:stdio" },
		{ "-serial mon:unix:a,server=on", "-serial mon:unix:a" },
		{ "-serial mon:null", "" },
		{ "-serial mon:vc", "" },
		{ "-serial mon:vc -vnc :0", "-serial mon:vc" },
		{ "-chardev stdio,id=c -serial chardev:c", "" },
		{ "-chardev stdio,id=c -serial chardev:c -mon c", "-mon c" },
		/* its escape commands write to the disks, monitor or not */
		{ "-chardev stdio,id=c,mux=on -serial chardev:c",
			"-chardev stdio,id=c,mux=on: C-a s" },
		{ "-chardev socket,id=c,path=a,mux=on -serial chardev:c -mon c",
			"-mon c\n-chardev socket" },
		{ "-chardev null,id=c,mux=on -serial chardev:c -mon c", "" },
		{ "-chardev stdio,id=c,mux=off -serial chardev:c", "" },
		{ "-chardev vc,id=c,mux=on -serial chardev:c", "" },
		{ "-chardev stdio,id=b -chardev mux,id=c,chardev=b -serial chardev:c",
			"-chardev mux,id=c,chardev=b: C-a s" },
		{ "-chardev null,id=b -chardev mux,id=c,chardev=b -serial chardev:c -mon c", "" },
		{ "-chardev mux,id=a,chardev=b -chardev mux,id=b,chardev=c -chardev null,id=c",
			"" },
		{ "-chardev mux,id=c,chardev=c", "-chardev mux,id=c,chardev=c: C-a s" },
	};

	(void)state;
	CHECK(rows, QUIET);
}

/* guestfwd=tcp:ADDRESS:PORT-mon:DEVICE is a port too. */
static void a_network_may_forward_to_a_monitor(void **state)
{
	static const struct row rows[] = {
		{ "-netdev user,id=n", "" },
		{ "-netdev user,id=n,guestfwd=tcp:10.0.2.100:80-stdio", "" },
		{ "-netdev user,id=n,guestfwd=tcp:10.0.2.100:80-cmd:echo-mon:x", "" },
		{ "-netdev user,id=n,guestfwd=tcp:10.0.2.100:80-mon:stdio",
			"-netdev user,id=n,guestfwd=tcp:10.0.2.100:80-mon:stdio: a monitor shares "
			"this port; leave out 'mon:'" },
		{ "-nic user,guestfwd=::80-mon:pty", "-nic user,guestfwd=::80-mon:pty" },
		{ "-net user,guestfwd=::80-mon:unix:a,,server=on", "-net user" },
		{ "-netdev user,id=n,guestfwd=::80-mon:null", "" },
		{ "-netdev user,id=n,guestfwd=::80-mon:vc", "" },
		{ "-netdev user,id=n,guestfwd=::80-mon:vc -vnc :0", "-netdev user" },
		/* each of several counts */
		{ "-netdev user,id=n,guestfwd=::80-mon:pty,guestfwd=::81-null", "-netdev user" },
		{ "-netdev user,id=n,guestfwd=::80-null,guestfwd=::81-mon:pty", "-netdev user" },
		{ "-netdev user,id=n -set netdev.n.guestfwd=::80-mon:pty", "-set netdev.n" },
		{ "-netdev "
		  "{'type':'user','id':'n','guestfwd':[{'str':'::80-null'},{'str':'::81-mon:pty'}]"
		  "}",
			"-netdev {'type'" },
		{ "-netdev {'type':'user','id':'n','guestfwd':[{'str':'::80-null'}]}", "" },
		{ "-netdev {'type':'user'", "-netdev {'type':'user': may open a monitor" },
		{ "-readconfig netdev", "-readconfig netdev [netdev \"n\"]: its guestfwd" },
	};

	(void)state;
	CHECK(rows, QUIET);
}

static void debuggers_and_test_drivers_count(void **state)
{
	static const struct row rows[] = {
		{ "-s", "-s: a debugger can resume the guest; leave it out" },
		{ "-gdb tcp::1234", "-gdb tcp::1234" },
		{ "-gdb stdio", "-gdb stdio" },
		{ "-gdb none", "" },
		{ "-gdb null", "" },
		{ "-gdb nonesuch", "-gdb nonesuch" }, /* here QEMU compares the whole word */
		{ "-chardev null,id=g -gdb chardev:g", "" },
		{ "-chardev pty,id=g -gdb chardev:g", "-gdb chardev:g" },
		{ "-qtest unix:a", "-qtest unix:a: a test driver can write" },
		{ "-qtest null", "" },
		{ "-accel qtest", "" }, /* it takes no commands by itself */
		{ "-object qtest,id=q,chardev=c -chardev pty,id=c", "-object qtest" },
		{ "-object qom-type=qtest,chardev=c", "-object qom-type=qtest" },
		{ "-object {'qom-type':'qtest','chardev':'c'}", "-object {'qom-type'" },
		{ "-object qtest,id=q,chardev=c -chardev null,id=c", "" },
		{ "-object x-remote-object,id=r,devid=d,fd=3", "-object x-remote-object" },
		{ "-object x-vfio-user-server,id=r,device=d", "-object x-vfio-user-server" },
		{ "-object iothread,id=qtest", "" },
		{ "-xen-domid 3", "-xen-domid 3: Xen runs this guest" },
		{ "-xen-attach", "-xen-attach: Xen" },
		{ "-chardev null,id=c -object qtest,id=m,chardev=c -chardev pty,id=p "
		  "-mon c,id=m -set mon.m.chardev=p",
			"-mon c" },
	};

	(void)state;
	CHECK(rows, QUIET);
}

static void what_shows_the_vm_may_have_a_menu(void **state)
{
	static const struct row rows[] = {
		{ "", "no -display: QEMU opens a window" },
		{ "-display none", "" },
		{ "-display gtk", "-display gtk: the window's menu" },
		{ "-display gtk,gl=on", "-display gtk,gl=on: " },
		{ "-display type=gtk", "-display type=gtk: " },
		{ "-display {'type':'gtk'}", "-display {'type':'gtk'}: " },
		{ "-display cocoa", "-display cocoa" },
		{ "-display default", "-display default: QEMU opens a window" },
		{ "-display default -vnc :0", "" },
		{ "-display unheard-of", "-display unheard-of: vmlatch does not know" },
		{ "-display gtk -vnc :0", "-display gtk" },
		{ "-display gtk -display none", "" },
		{ "-display none -display gtk", "-display gtk" },
		{ "-display gtk -nographic", "" },
		{ "-nographic -display gtk", "-display gtk" },
		{ "-nographic", "" },
		{ "-display sdl", "" },
		{ "-sdl", "" },
		{ "-display curses", "" },
		{ "-curses", "" },
		{ "-display egl-headless", "" },
		{ "-display dbus,p2p=on", "" },
		{ "-display vnc=:0", "" },
		{ "-vnc :0", "" },
		{ "-vnc none", "" },
		{ "-spice port=1", "" },
		{ "-display spice-app", "-display spice-app: the viewer gets a QMP monitor" },
		{ "-spice port=1 -display spice-app", "-display spice-app" },
	};

	(void)state;
	CHECK(rows, "-nodefaults ");
}

static void qemus_default_monitor_counts_where_somebody_sees_it(void **state)
{
	static const struct row rows[] = {
		{ "", "no -display: \nQEMU's window or VNC server: shows QEMU's monitor" },
		{ "-monitor none", "no -display: " },
		{ "-nodefaults", "no -display: " },
		{ "-display none", "" },
		{ "-display none -monitor none", "" },
		{ "-display none -daemonize", "" },
		{ "-display none -vnc :0", "VNC: shows QEMU's monitor; add '-monitor none'" },
		{ "-vnc :0", "VNC: " },
		{ "-display vnc=:0", "VNC: " },
		{ "-vnc :0,id=a,password=on", "VNC: " },
		{ "-vnc unix:a", "VNC: " },
		{ "-vnc nonesuch:0", "VNC: " },
		{ "-vnc :0 -vnc none", "VNC: " },
		{ "-vnc none -vnc :0", "VNC: " },
		{ "-vnc :0 -monitor none", "" },
		{ "-vnc :0 -monitor null", "" },
		{ "-vnc :0 -nodefaults", "" },
		{ "-vnc :0 -qmp null", "" },
		{ "-vnc :0 -serial mon:null", "" },
		{ "-vnc :0 -debugcon mon:null", "VNC: " },
		{ "-vnc none", "" },
		{ "-vnc none,id=a", "" },
		{ "-vnc none -display none", "" },
		{ "-spice port=1", "" }, /* it shows the guest's displays only */
		{ "-spice port=1 -display egl-headless", "" },
		{ "-spice port=1 -vnc :0", "VNC: " },
		{ "-spice port=1 -display gtk", "-display gtk: \nQEMU's window: " },
		{ "-display spice-app", "-display spice-app: \nthe SPICE viewer: " },
		{ "-display sdl", "QEMU's window: " },
		{ "-display curses", "curses on the terminal: " },
		{ "-display dbus", "D-Bus: " },
		{ "-display egl-headless", "" },
		{ "-display gtk", "-display gtk: \nQEMU's window: " },
		{ "-display gtk -display none", "" },
		{ "-nographic", "-nographic: puts QEMU's monitor on the terminal; add '-monitor "
				"none'" },
		{ "-nographic -monitor none", "" },
		{ "-nographic -monitor vc", "" },
		{ "-nographic -nodefaults", "" },
		{ "-nographic -serial none", "-nographic: " },
		{ "-nographic -serial null -parallel null", "-nographic: " },
		{ "-nographic -serial mon:stdio", "-serial mon:stdio: " },
		{ "-nographic -qmp unix:a", "-qmp unix:a: " },
		{ "-nographic -display gtk", "-display gtk: \n-nographic: " },
		{ "-nographic -vnc :0", "-nographic: " },
	};

	(void)state;
	CHECK(rows, "");
}

static void a_config_file_counts_as_its_options_do(void **state)
{
	static const struct row quiet[] = {
		{ "-readconfig mon", "-readconfig mon [mon]: whoever has this monitor" },
		{ "-readconfig mon -chardev null,id=c", "" },
		{ "-readconfig mon-null", "" },
		{ "-readconfig mon-null -set chardev.c.backend=pty",
			"-readconfig mon-null [mon \"m\"]: " },
		{ "-readconfig mon-null -chardev pty,id=p -set mon.m.chardev=p",
			"-readconfig mon-null [mon \"m\"]: " },
		{ "-readconfig mon-pty", "-readconfig mon-pty [mon \"m\"]: " },
		{ "-readconfig mux", "-readconfig mux [chardev \"c\"]: C-a s" },
		{ "-readconfig qtest", "-readconfig qtest [object \"m\"]: a test driver" },
		{ "-readconfig qtest -chardev null,id=c", "" },
	};
	static const struct row defaults[] = {
		/* other than -mon it leaves QEMU its default monitor */
		{ "-display none -readconfig mon-null", "" },
		{ "-display sdl -readconfig mon-null", "QEMU's window: " },
		{ "-vnc none -readconfig mon-null", "" },
		{ "-vnc :0 -readconfig mon-null", "VNC: " },
		{ "-readconfig vnc", "VNC: " },
		{ "-readconfig vnc -set vnc.v.vnc=none", "" },
		{ "-readconfig vnc-none", "" },
		{ "-display none -readconfig vnc", "VNC: " },
		{ "-monitor none -readconfig vnc", "" },
		/* other than -spice it does not keep a window from opening */
		{ "-monitor none -readconfig spice", "no -display: " },
	};

	(void)state;
	CHECK(quiet, QUIET);
	CHECK(defaults, "");
}

static void what_is_not_understood_may_open_a_monitor(void **state)
{
	static const char *const rows[] = { "-unheard-of", "-unheard-of word", "-object {",
		"-display {", "-display none -display {" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };
		char *argv[WORDS_MAX] = { "qemu", "-nodefaults", "-display", "none" };
		_cleanup_(freep) char *copy = strdup(rows[i]);
		size_t n = 4;
		char *word;

		for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
			argv[n++] = word;
		assert_int_equal(command_line_parse(argv, NULL, &line, NULL), 0);
		assert_int_equal(line.notes.n, 1);
		assert_int_equal(line.monitors.n, 1);
	}
}

static void a_reason_names_the_way_out(void **state)
{
	_cleanup_(freep) char *got =
		reasons_of("-nodefaults -display none -mon m -serial mon:stdio -s -qtest unix:a "
			   "-chardev stdio,id=m,mux=on");

	(void)state;
	assert_string_equal(got,
		"-mon m: whoever has this monitor can resume the guest; use '-monitor none' and "
		"vmlatch's own commands and QMP socket instead\n"
		"-serial mon:stdio: a monitor shares this port; leave out 'mon:', add '-monitor "
		"none'\n"
		"-s: a debugger can resume the guest; leave it out\n"
		"-qtest unix:a: a test driver can write to the disks; leave it out\n"
		"-chardev stdio,id=m,mux=on: C-a s on a shared port writes a snapshot or an "
		"overlay into the disk beneath, C-a x ends QEMU; give each user its own port");
}

/* Whoever does what it says in one step is not told the next. */
static void the_way_out_is_one(void **state)
{
	static const struct {
		const char *words, *instead;
	} rows[] = {
		{ "-vnc :0 -monitor stdio", "-vnc :0 -monitor none" },
		{ "-vnc :0 -serial mon:stdio", "-vnc :0 -serial stdio -monitor none" },
		{ "-nographic", "-nographic -monitor none" },
		{ "", "-display none" },
		{ "", "-vnc :0 -monitor none" },
		{ "-display gtk", "-display none" },
		{ "-display gtk", "-vnc :0 -monitor none" },
		{ "-display unheard-of", "-display none" },
		{ "-spice port=1 -display spice-app", "-spice port=1 -display none" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(freep) char *before = reasons_of(rows[i].words);
		_cleanup_(freep) char *after = reasons_of(rows[i].instead);

		assert_string_not_equal(before, "");
		assert_string_equal(after, "");
		if (strstr(rows[i].instead, "-monitor none"))
			assert_non_null(strstr(before, "'-monitor none'"));
		else
			assert_non_null(strstr(before, "'-display none"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_monitor_counts_by_who_reaches_it),
		cmocka_unit_test(a_port_that_a_monitor_shares_counts),
		cmocka_unit_test(a_network_may_forward_to_a_monitor),
		cmocka_unit_test(debuggers_and_test_drivers_count),
		cmocka_unit_test(what_shows_the_vm_may_have_a_menu),
		cmocka_unit_test(qemus_default_monitor_counts_where_somebody_sees_it),
		cmocka_unit_test(a_config_file_counts_as_its_options_do),
		cmocka_unit_test(what_is_not_understood_may_open_a_monitor),
		cmocka_unit_test(a_reason_names_the_way_out),
		cmocka_unit_test(the_way_out_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
