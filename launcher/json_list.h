/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

/*
 * What --json prints on @out: an array, one member a line. Where it is not wanted
 * (@wanted is false) begin and end print nothing.
 */
struct json_list {
	bool wanted;
	bool any;
	FILE *out;
};

void json_list_begin(struct json_list *list, bool wanted, FILE *out);

/* Takes @member over; NULL is no memory. Returns an exit status. */
int json_list_add(struct json_list *list, json_t *member);

void json_list_end(struct json_list *list);
