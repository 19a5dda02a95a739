/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/str.h"
#include "launcher/drop_in.h"
#include "launcher/verbs.h"

static int say_usage(void)
{
	_cleanup_(str_finish) struct str text = { 0 };

	verbs_describe(&text);
	fputs(text.failed ? "out of memory\n" : text.text, stderr);
	return EX_USAGE;
}

static int say_version(void)
{
	puts("vmlatch " VMLATCH_VERSION);
	return 0;
}

static bool asks_for_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* "vmlatch VERB --help" is "vmlatch help VERB" */
static int dispatch(char **argv)
{
	static char help[] = "help";
	const struct verb *verb = verb_find(argv[0]);

	if (!verb)
		return verb_unknown(argv[0]);
	if (argv[1] && asks_for_help(argv[1]))
		return verb_help((char *[]){ help, argv[0], NULL });
	return verb->run(argv);
}

int main(int argc, char **argv)
{
	static char help[] = "help";
	int status;

	if (fd_keep_standard() < 0)
		return EX_OSERR; /* and nowhere to say it */
	json_set_alloc_funcs(allocation_make, free);
	if (argc > 0)
		process_remember_arguments(argv);
	if (argc > 0 && drop_in_is_name(argv[0]))
		return drop_in(argv);
	if (argc < 2)
		return say_usage();
	if (strcmp(argv[1], "--version") == 0)
		status = say_version();
	else if (asks_for_help(argv[1]))
		status = verb_help((char *[]){ help, NULL });
	else
		status = dispatch(argv + 1);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
		log_error("the result could not be written");
		status = EX_OSERR;
	}
	return status;
}
