/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/event_feed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "launcher/json_text.h"
#include "launcher/vm/rundir.h"

struct event_feed {
	struct control_client client;
	char vm[VM_NAME_SIZE];
	json_t *past; /* NULL: it has been taken, print what comes */
	json_int_t last_seq;
};

/* The event with the VM's name before it; the caller's. NULL: seen before, or no memory. */
static json_t *take_event(struct event_feed *feed, const json_t *event)
{
	const json_t *seq = json_object_get(event, "vmlatch-seq");
	json_auto_t *line = NULL;

	if (json_is_integer(seq) && json_integer_value(seq) <= feed->last_seq)
		return NULL;
	line = json_pack("{s:s}", "vm", feed->vm);
	if (!line || json_object_update_missing(line, (json_t *)event) < 0)
		return NULL;
	if (json_is_integer(seq))
		feed->last_seq = json_integer_value(seq);
	return json_incref(line);
}

static void print_event(const json_t *line)
{
	_cleanup_(freep) char *text = json_text_dump(line);

	if (!text)
		return;
	puts(text);
	fflush(stdout);
}

/* The client's callback: kept until the past has been told. */
static void hear(void *data, const json_t *event)
{
	struct event_feed *feed = data;
	json_auto_t *line = NULL;

	if (feed->past) {
		json_array_append(feed->past, (json_t *)event);
		return;
	}
	line = take_event(feed, event);
	if (line)
		print_event(line);
}

struct event_feed *event_feed_new(const char *vm)
{
	struct event_feed *feed = calloc(1, sizeof(*feed));

	if (!feed)
		return NULL;
	feed->client = (struct control_client)CONTROL_CLIENT_INIT;
	feed->client.on_event = hear;
	feed->client.event_data = feed;
	feed->last_seq = -1;
	feed->past = json_array();
	snprintf(feed->vm, sizeof(feed->vm), "%s", vm);
	if (feed->past)
		return feed;
	event_feed_free(feed);
	return NULL;
}

void event_feed_free(struct event_feed *feed)
{
	if (!feed)
		return;
	control_client_close(&feed->client);
	json_decref(feed->past);
	free(feed);
}

struct control_client *event_feed_client(struct event_feed *feed)
{
	return &feed->client;
}

int event_feed_ask(struct event_feed *feed, uint64_t since, struct error *err)
{
	return control_client_call(&feed->client, "vmlatch-events",
		json_pack("{s:I}", "since", (json_int_t)since), err);
}

static int append_all(struct event_feed *feed, const json_t *events, json_t *all)
{
	size_t i;

	for (i = 0; i < json_array_size(events); i++) {
		json_t *line = take_event(feed, json_array_get(events, i));

		if (line && json_array_append_new(all, line) < 0)
			return -ENOMEM;
	}
	return 0;
}

int event_feed_take_past(struct event_feed *feed, json_t *all)
{
	json_auto_t *arrived = feed->past;
	int ret;

	feed->past = NULL;
	ret = append_all(feed, json_object_get(feed->client.reply, "events"), all);
	return ret < 0 ? ret : append_all(feed, arrived, all);
}

struct timed {
	json_int_t time_us;
	size_t position;
	const json_t *line;
};

static int by_time(const void *a, const void *b)
{
	const struct timed *x = a, *y = b;

	if (x->time_us != y->time_us)
		return x->time_us < y->time_us ? -1 : 1;
	return x->position < y->position ? -1 : 1;
}

static json_int_t time_of(const json_t *line)
{
	const json_t *timestamp = json_object_get(line, "timestamp");
	json_int_t s = json_integer_value(json_object_get(timestamp, "seconds"));
	json_int_t us = json_integer_value(json_object_get(timestamp, "microseconds")), time;

	if (__builtin_mul_overflow(s, 1000000, &time) || __builtin_add_overflow(time, us, &time))
		return 0;
	return time;
}

int event_print_sorted(const json_t *events)
{
	size_t n = json_array_size(events), i;
	_cleanup_(freep) struct timed *order = calloc(n + 1, sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		order[i].line = json_array_get(events, i);
		order[i].time_us = time_of(order[i].line);
		order[i].position = i;
	}
	qsort(order, n, sizeof(*order), by_time);
	for (i = 0; i < n; i++)
		print_event(order[i].line);
	return 0;
}
