/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/disks/argv_scan.h"

/*
 * QEMU's options, those of all targets, from 6.0 to 10.0. An option that is not
 * here cannot be passed over: nobody knows whether the next word belongs to it.
 */
#define FLAG(name)          \
	{                   \
		name, false \
	}
#define FLAG_TO(name, field)                                               \
	{                                                                  \
		name, false, on_flag, offsetof(struct command_line, field) \
	}
#define ARG(name)          \
	{                  \
		name, true \
	}
#define ARG_TO(name, field)                                               \
	{                                                                 \
		name, true, on_text, offsetof(struct command_line, field) \
	}
#define ARG_HELP(name, key)                   \
	{                                     \
		name, true, .help_key = (key) \
	}
#define ON(name, fn, ...)                     \
	{                                     \
		name, true, fn, ##__VA_ARGS__ \
	}
#define ON_FLAG(name, fn, ...)                 \
	{                                      \
		name, false, fn, ##__VA_ARGS__ \
	}

/* clang-format off */
static const struct qemu_option options[] = {
	/* images */
	ON("add-fd", on_add_fd),
	ON("blockdev", on_blockdev),
	ON("cdrom", on_file, .extra = "media=cdrom"),
	ON("device", on_device, .help_key = "driver"),
	ON("drive", on_drive, .help_key = "format"),
	ON("fda", on_file, .extra = "if=floppy"),
	ON("fdb", on_file, .extra = "if=floppy"),
	ON("global", on_global),
	ON("hda", on_file),
	ON("hdb", on_file),
	ON("hdc", on_file),
	ON("hdd", on_file),
	ON("machine", on_machine, .help_key = "type"),
	ON("M", on_machine, .help_key = "type"),
	ON("mtdblock", on_file, .extra = "if=mtd"),
	ON("object", on_object, .help_key = "qom-type"),
	ON("pflash", on_file, .extra = "if=pflash"),
	ON("readconfig", on_config),
	ON("sd", on_file, .extra = "if=sd"),
	ON("set", on_set),
	FLAG_TO("snapshot", snapshot),

	/* ways to make the guest run without us */
	ON("chardev", on_chardev, .help_key = "backend"),
	ON_FLAG("curses", on_display_short, .extra = "curses"),
	ON("debugcon", on_serial),
	ON("display", on_display, .help_key = ""),
	ON("gdb", on_debugger),
	ON("mon", on_mon),
	ON("monitor", on_monitor),
	ON("net", on_network, .help_key = "model"),
	ON("netdev", on_network, .help_key = "type"),
	ON("nic", on_network, .help_key = "model"),
	ON_FLAG("nographic", on_display_short, .extra = "none"),
	ON("parallel", on_serial, .extra = "default"),
	ON("qmp", on_monitor),
	ON("qmp-pretty", on_monitor),
	ON("qtest", on_debugger),
	ON_FLAG("s", on_debugger),
	ON_FLAG("sdl", on_display_short, .extra = "sdl"),
	ON("serial", on_serial, .extra = "default"),
	ON("spice", on_spice),
	ON("vnc", on_vnc),
	ON_FLAG("xen-attach", on_xen),
	ON("xen-domid", on_xen),

	/* facts */
	ON("action", on_action, .help_key = ""),
	ON("audio", on_sound, .help_key = "driver"),
	ON("audiodev", on_sound, .help_key = "driver"),
	ARG_TO("chroot", chroot_dir),
	FLAG_TO("daemonize", daemonize),
	ON("fsdev", on_share),
	ARG_TO("incoming", incoming),
	ARG_TO("loadvm", loadvm),
	ON("name", on_name),
	FLAG_TO("no-shutdown", shutdown_pauses),
	FLAG_TO("no-user-config", no_user_config),
	FLAG_TO("nodefaults", nodefaults),
	ON("overcommit", on_overcommit),
	ON("accel", on_accel, .help_key = "accel"),
	ON_FLAG("enable-kvm", on_enable_kvm),
	ARG_TO("pidfile", pidfile),
	FLAG_TO("preconfig", preconfig),
	ARG_TO("runas", runas),
	ARG_TO("sandbox", sandbox),
	ON("run-with", on_run_with),
	FLAG_TO("S", user_stopped),
	ARG_TO("uuid", uuid),
	ON("virtfs", on_share),

	/* it prints and exits */
	ON_FLAG("audio-help", on_exit_at_once),
	ON_FLAG("h", on_exit_at_once),
	ON_FLAG("help", on_exit_at_once),
	ON_FLAG("version", on_exit_at_once),
	ARG_HELP("boot", ""),
	ARG_HELP("cpu", ""),
	ARG_HELP("d", ""),
	ARG_HELP("L", ""),
	ARG_HELP("smp", ""),
	ARG_HELP("soundhw", ""),
	ARG_HELP("tpmdev", "type"),
	ARG_HELP("trace", ""),
	ARG_HELP("vga", ""),
	ON("dump-vmstate", on_printing),

	/* no business of ours */
	ARG("acpitable"),
	FLAG("alt-grab"),
	ARG("append"),
	FLAG("async-teardown"),
	ARG("balloon"),
	ARG("bios"),
	ARG("compat"),
	FLAG("ctrl-grab"),
	ARG("D"),
	ARG("dfilter"),
	ARG("dtb"),
	ARG("echr"),
	FLAG("enable-fips"),
	FLAG("enable-sync-profile"),
	FLAG("full-screen"),
	ARG("fw_cfg"),
	ARG("g"),
	ARG("icount"),
	ARG("initrd"),
	ARG("iscsi"),
	ARG("k"),
	ARG("kernel"),
	ARG("m"),
	ARG("mem-path"),
	FLAG("mem-prealloc"),
	ARG("msg"),
	FLAG("no-acpi"),
	FLAG("no-fd-bootchk"),
	FLAG("no-hpet"),
	FLAG("no-quit"),
	FLAG("no-reboot"),
	ARG("numa"),
	FLAG("old-param"),
	FLAG("one-insn-per-tick"),
	FLAG("only-migratable"),
	ARG("option-rom"),
	FLAG("perfmap"),
	FLAG("jitdump"),
	ARG("plugin"),
	FLAG("portrait"),
	ARG("prom-env"),
	ARG("qtest-log"),
	ARG("rotate"),
	ARG("rtc"),
	ARG("seed"),
	FLAG("semihosting"),
	ARG("semihosting-config"),
	ARG("shim"),
	FLAG("singlestep"),
	ARG("smbios"),
	FLAG("usb"),
	ARG("usbdevice"),
	ARG("watchdog"),
	ARG("watchdog-action"),
	FLAG("win2k-hack"),
	ARG("writeconfig"),
	FLAG("xen-domid-restrict"),
};
/* clang-format on */

const struct qemu_option *qemu_option_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}
