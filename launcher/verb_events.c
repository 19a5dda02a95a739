/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/event_feed.h"
#include "launcher/exit_status.h"
#include "launcher/verbs.h"
#include "launcher/vm_select.h"

/* The VMs that are listened to. */
struct feeds {
	struct event_feed **items;
	size_t n;
};

static void feeds_finish(struct feeds *feeds)
{
	size_t i;

	for (i = 0; i < feeds->n; i++)
		event_feed_free(feeds->items[i]);
	free(feeds->items);
}

static int add_feed(struct feeds *feeds, struct event_feed *feed)
{
	struct event_feed **grown = reallocarray(feeds->items, feeds->n + 1, sizeof(*grown));

	if (!grown) {
		event_feed_free(feed);
		return EX_OSERR;
	}
	feeds->items = grown;
	feeds->items[feeds->n++] = feed;
	return 0;
}

/* A VM that no word named is passed over if there is nobody to ask. */
static int listen_to(const struct vm_job *job, void *data)
{
	struct event_feed *feed;
	struct error err = { 0 };
	int ret;

	if (!job->by_name && job->vm->presence != VM_SUPERVISED)
		return 0;
	feed = event_feed_new(job->vm->name);
	if (!feed)
		return EX_OSERR;
	ret = vm_job_connect(job, event_feed_client(feed), &err);
	if (ret == 0)
		ret = event_feed_ask(feed, job->args->since, &err);
	if (ret == 0)
		return add_feed(data, feed);
	ret = vm_job_failure(ret, event_feed_client(feed), &err);
	event_feed_free(feed);
	return ret;
}

/* What the rings have, of all VMs, in the order of time. 0 or an exit status. */
static int print_past(const struct feeds *feeds)
{
	json_auto_t *all = json_array();
	size_t i;

	for (i = 0; i < feeds->n; i++) {
		if (!all || event_feed_take_past(feeds->items[i], all) < 0)
			return EX_OSERR;
	}
	return event_print_sorted(all) < 0 ? EX_OSERR : 0;
}

/* Print what has come; a VM that has ended is listened to no longer. */
static void pump(struct control_client *client)
{
	struct error err = { 0 };

	if (control_client_pump(client, 0, &err) < 0)
		control_client_close(client);
}

/* Wait for any of them; false when all have ended. */
static bool follow_once(struct feeds *feeds, struct pollfd *pollers)
{
	size_t i, open = 0;

	for (i = 0; i < feeds->n; i++) {
		pollers[i] = (struct pollfd){
			.fd = event_feed_client(feeds->items[i])->fd,
			.events = POLLIN,
		};
		open += pollers[i].fd >= 0;
	}
	if (!open || (poll(pollers, feeds->n, -1) < 0 && errno != EINTR))
		return false;
	for (i = 0; i < feeds->n; i++) {
		if (pollers[i].fd >= 0 && pollers[i].revents)
			pump(event_feed_client(feeds->items[i]));
	}
	return true;
}

static int follow(struct feeds *feeds)
{
	size_t i;
	_cleanup_(freep) struct pollfd *pollers = calloc(feeds->n + 1, sizeof(*pollers));

	if (!pollers)
		return EX_OSERR;
	/* what came together with the past is in no socket any more */
	for (i = 0; i < feeds->n; i++)
		pump(event_feed_client(feeds->items[i]));
	while (follow_once(feeds, pollers) && !ferror(stdout))
		;
	return 0;
}

int verb_events(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	_cleanup_(feeds_finish) struct feeds feeds = { 0 };
	struct error err = { 0 };
	int ret, status;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	status = vm_select(&args, args.operands.n, listen_to, &feeds);
	ret = print_past(&feeds);
	if (ret == 0 && args.follow)
		ret = follow(&feeds);
	return status ? status : ret;
}
