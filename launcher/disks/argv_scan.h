/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/disks/argv.h"

/*
 * Within the scanner: what its handlers share while they go through argv.
 * Options that later ones may still change (-set, -snapshot) are kept as they
 * stand and understood at the end.
 */

enum scan_group {
	SCAN_DRIVE,
	SCAN_DEVICE,
	SCAN_OBJECT,
	SCAN_CHARDEV,
	SCAN_MONITOR,
	SCAN_VNC,
	SCAN_N_GROUPS
};

struct scan_item {
	json_t *options; /* flat */
	char *origin;
};

struct scan_items {
	struct scan_item *items;
	size_t n;
	size_t size;
};

/* Of a list of accelerators, the first that works being QEMU's. */
struct scan_accel {
	char *kvm_origin; /* NULL: KVM is not what it tries first */
	bool others;
};

struct scan {
	struct command_line *line;
	command_line_read_fn *read_config;
	struct error *err;  /* for what read_config says */
	const char *option; /* as given: "-drive", "--drive" */
	struct scan_items groups[SCAN_N_GROUPS];
	bool exits;  /* -version, -help: whatever else there is */
	bool prints; /* some "help": exits too, but images may be opened before */
	bool nographic;
	bool no_default_monitor;
	bool spice;    /* the option */
	char *display; /* the type of the last -display; NULL: none given */
	char *display_origin;
	struct scan_accel accels, machine_accel;
};

/* One of QEMU's options. */
struct qemu_option {
	const char *name;
	bool takes_argument;
	int (*handle)(struct scan *scan, const struct qemu_option *option, const char *arg);
	size_t field;      /* for on_flag and on_text: where in struct command_line */
	const char *extra; /* the handler's */
	/* not NULL: a bare "help" or "?" in the argument makes QEMU print and exit, and so does
	 * KEY=help for this key ("": for none) */
	const char *help_key;
};

/* NULL: none of that name. Without the dashes. */
const struct qemu_option *qemu_option_find(const char *name);

/* All handlers: 0 or -ENOMEM; on_config() also -errno with the sentence in scan->err. */
int on_exit_at_once(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_printing(struct scan *scan, const struct qemu_option *option, const char *arg);

/* argv_fact.c */
int on_flag(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_text(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_name(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_action(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_run_with(struct scan *scan, const struct qemu_option *option, const char *arg);

/*
 * The same for options that are read already, flat: of an argument, or of a
 * section of a config file. @options is borrowed; @arg is for people.
 */
typedef int scan_options_fn(struct scan *scan, json_t *options, const char *arg);
scan_options_fn scan_add_name, scan_add_action;

/* argv_config.c */
int on_config(struct scan *scan, const struct qemu_option *option, const char *arg);
int scan_default_config(struct scan *scan);

/* argv_image.c; @extra of on_file: the drive's other options */
int on_drive(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_file(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_blockdev(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_device(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_global(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_machine(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_set(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_object(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_drive, scan_add_device, scan_add_object, scan_add_global, scan_add_machine;

/* argv_memory.c: of what on_object() has collected; 0 or -ENOMEM */
int scan_finish_memories(struct scan *scan);

/* argv_fd.c */
int on_add_fd(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_fd;

/* argv_node.c: all of these return 0 or -ENOMEM */

/* Takes @node over, also on failure; @id may be NULL. */
int scan_add_image(struct command_line *line, json_t *node, const char *id, const char *origin);

/* Something uses a drive of that name, and we cannot tell more. */
int scan_add_unknown_use(struct command_line *line, const char *name);

/* What on_drive() and on_device() have collected. */
int scan_finish_images(struct scan *scan);

/* argv_chardev.c */
int on_chardev(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_chardev;

/* Who can write to a character device. */
enum reach {
	REACH_NOBODY,
	REACH_VIEWER, /* who sees QEMU's own text consoles */
	REACH_SOMEBODY,
};

/* Of one in short form, and of a -chardev's options (NULL: there is none of that ID). */
enum reach scan_device_reach(const char *short_form);
enum reach scan_chardev_reach(const struct scan *scan, const json_t *options);
const json_t *scan_find_chardev(const struct scan *scan, const char *id);
bool scan_chardev_is_shared(const json_t *options); /* it has escape commands: C-a ... */

/* argv_monitor.c; @extra of on_serial: "default" if it replaces the default serial port */
int on_mon(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_monitor(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_serial(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_debugger(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_xen(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_mon;
int scan_finish_monitors(struct scan *scan);
void scan_finish_display(struct scan *scan);

/* A port on @device, a character device in short form, that a monitor shares. 0 or -ENOMEM. */
int scan_add_shared_port(struct scan *scan, const char *arg, const char *device);

/* A way to make the guest run that we do not see, whoever reaches it. 0 or -ENOMEM. */
int scan_add_monitor(struct scan *scan, const char *arg, const char *why);

/* argv_network.c; scan_add_forwards: of any text in which there may be such a setting */
int on_network(struct scan *scan, const struct qemu_option *option, const char *arg);
int scan_add_forwards(struct scan *scan, const char *arg);
scan_options_fn scan_add_network;

/* argv_need.c; @scan_finish_needs: of what on_device() has collected; 0 or -ENOMEM */
int on_overcommit(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_share(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_overcommit, scan_add_share;
int scan_finish_needs(struct scan *scan);

/* argv_accel.c; @arg may be NULL */
int on_accel(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_enable_kvm(struct scan *scan, const struct qemu_option *option, const char *arg);
int scan_add_machine_accel(struct scan *scan, const char *names, const char *arg);
scan_options_fn scan_add_accel;
void scan_finish_accel(struct scan *scan);

/* argv_network_need.c; @scan_add_program: this argument makes QEMU start one. 0 or -ENOMEM */
int scan_add_program(struct scan *scan, const char *arg);
scan_options_fn scan_add_network_need;

/* argv_display.c; @extra of on_display_short: the type */
int on_display(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_display_short(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_sound(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_spice(struct scan *scan, const struct qemu_option *option, const char *arg);
int on_vnc(struct scan *scan, const struct qemu_option *option, const char *arg);
scan_options_fn scan_add_vnc;

/* What shows QEMU's own text consoles, the default monitor among them. NULL: nothing. */
const char *scan_console_viewer(const struct scan *scan);

/* Why what shows the VM can itself make the guest run. NULL: it cannot. */
const char *scan_window_menu(const struct scan *scan);

/* Keep an argument for the end. Takes @options over, also on failure. 0 or -ENOMEM. */
int scan_group_add(struct scan *scan, enum scan_group group, json_t *options, const char *arg);

/* "-drive file=a": what people have typed. NULL: no memory. */
char *scan_origin(const struct scan *scan, const char *arg);

/* Something in this argument is beyond us. 0 or -ENOMEM. */
int scan_not_understood(struct scan *scan, const char *arg, const char *why);
