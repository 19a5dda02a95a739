/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_call.h"

#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "launcher/binary.h"
#include "launcher/drop_in.h"

#define SHOWN 4096

static bool has_option_of_run(const struct options *options)
{
	uint64_t checks = 0;
	size_t i;

	for (i = 0; i < run_options.n; i++) {
		if (run_options.specs[i].rules & OPTION_CHECK_ONLY)
			checks |= option_bit(&run_options, &run_options.specs[i]);
	}
	return options->on_command_line & ~checks;
}

/* Would who executes this, by path or along PATH, execute a drop-in? */
static bool leads_to_drop_in(const char *qemu)
{
	_cleanup_(freep) char *path = NULL;

	return drop_in_is_name(qemu) && binary_find(qemu, &path, NULL) == 0 && binary_is_ours(path);
}

static int become_drop_ins(struct preparation *p, struct error *err)
{
	struct options options;
	int ret = options_of_drop_in(p->options.qemu_argv, &options, err);

	if (ret < 0)
		return ret;
	options.json = p->options.json;
	options_finish(&p->options);
	p->options = options;
	p->drop_in = true;
	return 0;
}

int check_call_prepare(char **argv, size_t keep_open, struct preparation *ret, struct error *err)
{
	int code;

	*ret = (struct preparation){ 0 };
	code = options_parse(argv, &ret->options, err);
	if (code == 0 && !has_option_of_run(&ret->options) &&
		leads_to_drop_in(ret->options.qemu_argv[0]))
		code = become_drop_ins(ret, err);
	return code < 0 ? code : prepare_with_options(ret, keep_open, err);
}

/* Copies of vmlatch between the two hand the call on. */
static int find_real(const struct preparation *p, char **ret, struct error *err)
{
	_cleanup_(strv_finish) struct strv tried = { 0 };
	_cleanup_(freep) char *path = NULL;
	int code;

	for (;;) {
		code = binary_find_real(
			drop_in_name(p->plan.argv[0]), p->options.qemu, &tried, &path, err);
		if (code < 0)
			return code;
		if (p->options.qemu || !binary_is_ours(path))
			break;
		if (strv_add(&tried, path) < 0)
			return -ENOMEM;
		freep(&path);
		path = NULL;
	}
	*ret = take_ptr(path);
	return 0;
}

int check_call_find_qemu(struct preparation *p, char **ret)
{
	struct error err = { 0 };
	int code;

	if (!p->drop_in) {
		binary_find(p->plan.argv[0], ret, NULL);
		return 0;
	}
	code = find_real(p, ret, &err);
	p->plan.binary = *ret;
	if (code == 0 || code == -ENOMEM)
		return code;
	return strv_add(&p->warnings, err.text);
}

/* How its caller calls it is how it is explained; and this is how to ask for the other one. */
static void print_whose(const struct preparation *p)
{
	const char *real = p->plan.binary;
	char called[SHOWN], shown[SHOWN];

	printf("explained as a drop-in's call, since %s leads to vmlatch; for that of 'vmlatch "
	       "run' give an option of its own, such as --name",
		str_printable(p->plan.argv[0], called, sizeof(called)));
	if (real)
		printf(", or %s, the real one", str_printable(real, shown, sizeof(shown)));
	printf("\n");
}

void check_print_call(const struct preparation *p)
{
	char shown[SHOWN];
	size_t i;

	if (!p->drop_in)
		return;
	print_whose(p);
	printf(p->plan.unnamed ? "name: vm-PID with its own pid: QEMU's arguments have none\n"
			       : "name: %s, or %s-PID with its own pid where that is in use\n",
		p->name, p->name);
	for (i = 0; i < p->left_to_qemu.n; i++)
		printf("left to QEMU to tell: %s\n",
			str_printable(p->left_to_qemu.items[i], shown, sizeof(shown)));
}
