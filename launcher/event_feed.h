/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "launcher/control_client.h"

/*
 * One VM's events, each once and in order: first what its supervisor has kept
 * (the ring), then what comes. While the ring is asked for, new events may
 * arrive and may be in its answer too; their numbers (vmlatch-seq) tell.
 */
struct event_feed;

struct event_feed *event_feed_new(const char *vm); /* NULL: no memory */
void event_feed_free(struct event_feed *feed);     /* NULL is fine */

/* To be connected by the caller. */
struct control_client *event_feed_client(struct event_feed *feed);

/* Ask for the ring. As control_client_call(). */
int event_feed_ask(struct event_feed *feed, uint64_t since, struct error *err);

/*
 * Append the past, as lines to print, to @all. From now on what comes is printed
 * as it comes. 0 or -ENOMEM.
 */
int event_feed_take_past(struct event_feed *feed, json_t *all);

/* Print them by time; of equal times in the order that they have. 0 or -ENOMEM. */
int event_print_sorted(const json_t *events);
