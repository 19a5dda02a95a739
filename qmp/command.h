/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A command that somebody has sent to us. */
struct command {
	const char *name;  /* in @tree */
	json_t *arguments; /* never NULL; borrowed from @tree or from the struct itself */
	char *id;          /* the client's id, byte for byte, on one line; NULL: none */
	json_t *tree;
};

/*
 * Understand a message as a command: an object with "execute", perhaps
 * "arguments" (an object) and "id" (anything), and no more.
 *
 * @ret	end it with command_finish(), on failure too: the id is set if it could
 *	be read, since an error must carry it
 *
 * Returns 0, -EINVAL with a sentence for the client, or -ENOMEM.
 */
int command_parse(const char *bytes, size_t len, struct command *ret, struct error *err);
void command_finish(struct command *command);

/*
 * Before the capabilities are negotiated nothing else is possible, and after it
 * they are not negotiated again. We offer none, so none can be enabled.
 *
 * @class	the error's class
 *
 * Returns words for the client, or NULL: the command may pass.
 */
const char *command_refuse(const struct command *command, bool negotiated, const char **class);
bool command_is_negotiation(const struct command *command);
