/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "launcher/option_table.h"
#include "launcher/vm/privileges.h"
#include "launcher/vm/sandbox_stage.h"

/*
 * The options of 'run' and 'check', from the command line, the config files and
 * the defaults, in this order of strength. Every option is a key of the config
 * file too, without the dashes.
 */

enum option_acquire { ACQUIRE_DEFAULT, ACQUIRE_START, ACQUIRE_RESUME };
enum option_on_lock_failure { ON_LOCK_FAILURE_PAUSE, ON_LOCK_FAILURE_POWEROFF };
enum option_start { START_DEFAULT, START_VERIFIED, START_DIRECT };
enum option_on_supervisor_death { ON_SUPERVISOR_DEATH_KEEP, ON_SUPERVISOR_DEATH_KILL };

/* Which pauses give the locks back. */
enum release_on {
	RELEASE_ON_STOP = 1 << 0,
	RELEASE_ON_WATCHDOG = 1 << 1,
	RELEASE_ON_IO_ERROR = 1 << 2,
	RELEASE_ON_ALL = RELEASE_ON_STOP | RELEASE_ON_WATCHDOG | RELEASE_ON_IO_ERROR,
};

#define VM_NAME_SIZE 65

/* Strings are the options' own; NULL: not given. */
struct options {
	char *name;      /* valid as a VM name; NULL: find one in QEMU's arguments */
	char *lock;      /* a lock driver; never NULL */
	char *lockspace; /* absolute */
	bool lockspace_by_identity;
	struct strv leases;
	enum option_acquire acquire;
	int64_t wait_ms;
	enum option_on_lock_failure on_lock_failure;
	bool release_on_given;
	unsigned release_on;
	int64_t release_after_ms;
	bool deactivate;
	bool readonly_locks;
	enum option_start start;
	char *user;
	char *group;
	bool keep_given;
	uint64_t keep_capabilities; /* capability.h */
	bool helpers_given;
	bool allow_setuid_helpers;
	struct privileges_rlimit limits[PRIVILEGES_N_LIMITS];
	int umask; /* -1: not given */
	enum option_on_supervisor_death on_supervisor_death;
	enum option_sandbox sandbox;
	bool in_place;
	char *qemu; /* absolute; a drop-in's QEMU, or the directory that it is in */
	char *qmp;  /* absolute */
	bool require_locks;
	char *host_name; /* never NULL */
	char *config;
	enum log_level log_level;
	enum log_format log_format;
	bool json;        /* check --json */
	struct strv args; /* of vm/NAME.args, if the command line names no QEMU */
	char **qemu_argv; /* main's (borrowed) or @args, NULL-terminated; [0] is QEMU */

	uint64_t on_command_line; /* a bit for each row of the table: no config file changes it */
};

void options_finish(struct options *options);

/* The rows: what can be given, for --help, completion and the config files. */
extern const struct option_table run_options;

/*
 * Parse what stands behind 'run' or 'check', and the config files: --config, or
 * vmlatch.conf and vmlatch.conf.d of the config directory (config_dir()). With a
 * --name, and no QEMU behind it, that is in vm/NAME.args (args_file.h).
 *
 * @argv	[0] is the verb; borrowed, must outlive @ret
 *
 * Returns 0 or -errno with a sentence and its exit status (64 usage, 66 or 78 config).
 */
int options_parse(char **argv, struct options *ret, struct error *err);

/*
 * The same for a drop-in, which has no options of its own: the config files, the
 * defaults, in place, and nothing said but warnings.
 *
 * @argv	QEMU's, all of it
 */
int options_of_drop_in(char **argv, struct options *ret, struct error *err);

/* The part of options_parse() that reads files: what the command line left open. */
int options_apply_global_config(struct options *options, struct error *err);

/*
 * vm/NAME.conf of the config directory: stronger than the other files, weaker
 * than the command line. For the time when the VM's name is known, which may
 * stand in QEMU's arguments. No such file: 0.
 */
int options_apply_vm_config(struct options *options, const char *name, struct error *err);

/* What a lock driver must know of them; borrowed from @options. */
struct lock_params;
void options_fill_lock_params(const struct options *options, struct lock_params *params);

/*
 * [A-Za-z0-9._-]{1,64}, not "." or "..", nor "NAME.last.json" or "NAME.last.log", which
 * VM NAME leaves in the same directory.
 */
bool vm_name_is_valid(const char *name);

/*
 * Any text as a VM name: other characters as _XX (hex), cut at 64; "a.last.json" is
 * "a_last.json". Never empty.
 */
void vm_name_escape(const char *text, char name[static VM_NAME_SIZE]);

/* NAME becomes NAME-PID, with our own pid; a long NAME is cut for it. */
void vm_name_add_pid(char name[static VM_NAME_SIZE]);
