/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/argv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"

int on_exit_at_once(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option, (void)arg;
	scan->exits = true;
	return 0;
}

int on_printing(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option, (void)arg;
	scan->prints = true;
	return 0;
}

char *scan_origin(const struct scan *scan, const char *arg)
{
	struct str origin = { 0 };

	str_reserve(&origin, strlen(scan->option) + (arg ? strlen(arg) : 0) + 1);
	str_append(&origin, scan->option);
	if (*scan->option && arg) /* no option: a bare word */
		str_append(&origin, " ");
	if (arg)
		str_append(&origin, arg);
	return str_take(&origin);
}

int scan_not_understood(struct scan *scan, const char *arg, const char *why)
{
	_cleanup_(freep) char *origin = scan_origin(scan, arg);

	if (!origin)
		return -ENOMEM;
	return disks_notes_add(
		&scan->line->notes, DISKS_NOTE_NOT_UNDERSTOOD, "%s: %s", origin, why);
}

static bool is_help(const char *text, size_t len)
{
	return (len == 1 && *text == '?') || (len == 4 && memcmp(text, "help", 4) == 0);
}

/* Does this argument make QEMU print something and exit? */
static bool asks_for_help(const struct qemu_option *option, const char *arg)
{
	size_t key_len = option->help_key ? strlen(option->help_key) : 0;

	if (!option->help_key)
		return false;
	while (arg) {
		size_t len = strcspn(arg, ",");

		if (is_help(arg, len))
			return true;
		if (key_len && len > key_len && arg[key_len] == '=' &&
			memcmp(arg, option->help_key, key_len) == 0 &&
			is_help(arg + key_len + 1, len - key_len - 1))
			return true;
		arg = arg[len] ? arg + len + 1 : NULL;
	}
	return false;
}

/* One option with its argument; returns how many words of @argv it took, or -ENOMEM. */
static int scan_option(struct scan *scan, char **argv)
{
	const char *name = argv[0] + (argv[0][1] == '-' ? 2 : 1);
	const struct qemu_option *option = qemu_option_find(name);
	const char *arg = NULL;
	int code = 0;

	scan->option = argv[0];
	if (!option) {
		/* a word that follows is more likely its argument than a disk */
		bool skip = argv[1] && argv[1][0] != '-';

		code = scan_not_understood(scan, NULL, "an option that vmlatch does not know");
		if (code == 0)
			code = scan_add_monitor(scan, NULL, "may open a monitor; leave it out");
		return code < 0 ? code : skip ? 2 : 1;
	}
	if (option->takes_argument) {
		arg = argv[1];
		if (!arg) {
			code = scan_not_understood(scan, NULL, "its argument is missing");
			return code < 0 ? code : 1;
		}
		scan->prints |= asks_for_help(option, arg);
	}
	if (option->handle)
		code = option->handle(scan, option, arg);
	return code < 0 ? code : arg ? 2 : 1;
}

static int scan_words(struct scan *scan, char **argv)
{
	static const struct qemu_option bare_word = { "", true, on_file };
	int taken;

	if (!argv[0])
		return 0;
	for (argv++; *argv; argv += taken) {
		if (argv[0][0] == '-') {
			taken = scan_option(scan, argv);
			if (taken < 0)
				return taken;
			continue;
		}
		scan->option = "";
		if (on_file(scan, &bare_word, argv[0]) < 0)
			return -ENOMEM;
		taken = 1;
	}
	return 0;
}

/* Is that option given? QEMU looks for some before it heeds the others. */
static bool words_have(char **argv, const char *name)
{
	const struct qemu_option *option;

	if (!argv[0])
		return false;
	for (argv++; *argv; argv++) {
		if (argv[0][0] != '-')
			continue;
		option = qemu_option_find(argv[0] + (argv[0][1] == '-' ? 2 : 1));
		if (option && strcmp(option->name, name) == 0)
			return true;
		if (option && option->takes_argument && argv[1])
			argv++;
	}
	return false;
}

static int scan_all(struct scan *scan, char **argv)
{
	int code = words_have(argv, "no-user-config") ? 0 : scan_default_config(scan);

	if (code == 0)
		code = scan_words(scan, argv);
	if (code == 0)
		code = scan_finish_images(scan);
	if (code == 0)
		code = scan_finish_memories(scan);
	if (code == 0)
		code = scan_finish_needs(scan);
	scan_finish_accel(scan);
	scan_finish_display(scan);
	return code < 0 ? code : scan_finish_monitors(scan);
}

static void scan_finish(struct scan *scan)
{
	size_t group, i;

	for (group = 0; group < SCAN_N_GROUPS; group++) {
		for (i = 0; i < scan->groups[group].n; i++) {
			json_decref(scan->groups[group].items[i].options);
			free(scan->groups[group].items[i].origin);
		}
		free(scan->groups[group].items);
	}
	free(scan->display);
	free(scan->display_origin);
	free(scan->accels.kvm_origin);
	free(scan->machine_accel.kvm_origin);
}

int command_line_parse(
	char **argv, command_line_read_fn *read, struct command_line *ret, struct error *err)
{
	struct command_line line = { .uses = json_object() };
	struct error words = { 0 };
	_cleanup_(scan_finish) struct scan scan = {
		.line = &line,
		.read_config = read,
		.err = &words,
	};
	int code = line.uses ? scan_all(&scan, argv) : -ENOMEM;

	if (code < 0) {
		command_line_finish(&line);
		error_status(err, code, words.status);
		return error_set(err, code, "%s", *words.text ? words.text : "out of memory");
	}
	/* a help text may come after the images were opened */
	line.starts_vm = !scan.exits && !(scan.prints && line.n_images == 0);
	*ret = line;
	return 0;
}

void command_line_finish(struct command_line *line)
{
	size_t i;

	for (i = 0; i < line->n_images; i++) {
		json_decref(line->images[i].node);
		free(line->images[i].id);
		free(line->images[i].origin);
	}
	free(line->images);
	free(line->fds);
	for (i = 0; i < line->n_memories; i++) {
		free(line->memories[i].path);
		free(line->memories[i].origin);
	}
	free(line->memories);
	json_decref(line->uses);
	strv_finish(&line->monitors);
	disks_notes_finish(&line->notes);
	free(line->name);
	free(line->uuid);
	free(line->incoming);
	free(line->pidfile);
	free(line->runas);
	free(line->sandbox);
	free(line->chroot_dir);
	free(line->loadvm);
	free(line->helper_origin);
	free(line->interface_origin);
	free(line->locking_origin);
	free(line->owners_origin);
	free(line->smb_origin);
	free(line->kvm_origin);
	strv_finish(&line->programs);
	*line = (struct command_line){ 0 };
}

unsigned command_line_uses(const struct command_line *line, const char *name)
{
	return name ? json_integer_value(json_object_get(line->uses, name)) : 0;
}
