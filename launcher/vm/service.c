/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/vm.h"

#define AGAIN_MS 50

/* What a start may take behind --wait: as much as systemd gives by default. */
#define START_MS 90000

/* There are four at most, and words around them. */
#define TEXT_SHOWN (NOTIFY_MAX / 5)

bool service_is_ready(const struct service_view *view)
{
	switch (view->sup) {
	case SUP_RUNNING:
	case SUP_DRAINING: /* it ran, and was stopped before we have seen it running */
		return true;
	case SUP_PAUSED:
		return view->stay;
	case SUP_RELEASED:
		return view->incoming;
	default:
		return false;
	}
}

/* Words for states that are not what QEMU says of itself. */
static const char *passing(enum supervisor_state sup)
{
	static const char *const words[SUP_N_STATES] = {
		[SUP_STARTING] = "starting: it takes its locks",
		[SUP_BOOTING] = "starting: QEMU's disks are compared with what is locked",
		[SUP_DRAINING] = "pausing, locks held: its last write is awaited",
		[SUP_RESUMING] = "resuming, locks held",
		[SUP_ENDING] = "ending",
		[SUP_DONE] = "QEMU has ended",
	};

	return words[sup];
}

static void append_pair(struct str *out, const char *before, const char *text)
{
	char shown[TEXT_SHOWN];

	if (text && text[0])
		str_printf(out, "%s%s", before, str_printable(text, shown, sizeof(shown)));
}

void service_describe(const struct service_view *view, struct str *out)
{
	const struct vm_state *state = view->state;

	if (view->refusal) {
		append_pair(out, "not started: ", view->refusal);
		return;
	}
	if (passing(view->sup)) {
		str_append(out, passing(view->sup));
		return;
	}
	append_pair(out, "", state->frozen ? "frozen" : state->run_state);
	str_printf(out, ", locks %s", vm_lock_state_name(state->lock_state));
	if (state->cause == CAUSE_NONE)
		return;
	str_printf(out, " (%s", vm_cause_name(state->cause));
	append_pair(out, ": ", state->cause_detail);
	str_append(out, ")");
	append_pair(out, "; they stay: ", state->held_because);
	append_pair(out, "; ", state->remedy);
}

static void on_again(uv_timer_t *timer)
{
	service_tell(timer->data);
}

/* From the loop, so that it stops if that hangs. One that is not delivered is followed by the next.
 */
static void on_beat(uv_timer_t *timer)
{
	const struct vm *vm = timer->data;

	notify_send(vm->service.notify, "WATCHDOG=1\n");
}

void service_start(struct vm *vm, const struct notify *notify)
{
	struct service *service = &vm->service;

	service->notify = notify;
	uv_timer_init(&vm->loop, &service->again);
	uv_timer_init(&vm->loop, &service->beat);
	uv_unref((uv_handle_t *)&service->beat);
	service->again.data = service->beat.data = vm;
	if (notify && notify->beat_ms)
		uv_timer_start(&service->beat, on_beat, notify->beat_ms, notify->beat_ms);
}

/* What a moment of the VM has to say; the flags tell which of it was not said yet. */
struct news {
	struct str lines;
	bool ready, stopping;
	char *status;
};

static void news_finish(struct news *news)
{
	str_finish(&news->lines);
	free(news->status);
}

static void collect(const struct vm *vm, bool ready, const char *status, struct news *news)
{
	const struct service *told = &vm->service;

	news->ready = ready && !told->ready;
	news->stopping = (vm->sup == SUP_ENDING || vm->sup == SUP_DONE) && !told->stopping;
	if (!told->status && vm->plan->options->wait_ms)
		str_printf(&news->lines, "EXTEND_TIMEOUT_USEC=%" PRId64 "\n",
			(vm->plan->options->wait_ms + START_MS) * 1000);
	if (news->ready)
		str_append(&news->lines, "READY=1\n");
	if (news->ready && vm->plan->in_place)
		str_printf(&news->lines, "MAINPID=%d\n", vm->child.pid);
	if (news->stopping)
		str_append(&news->lines, "STOPPING=1\n");
	if (!str_equal(status, told->status)) {
		str_printf(&news->lines, "STATUS=%s\n", status);
		news->status = strdup(status);
	}
}

static void note_told(struct service *service, struct news *news)
{
	service->ready |= news->ready;
	service->stopping |= news->stopping;
	if (news->status) {
		free(service->status);
		service->status = take_ptr(news->status);
	}
}

void service_tell(struct vm *vm)
{
	const struct service_view view = {
		.sup = vm->sup,
		.stay = vm->stay,
		.incoming = vm->plan->incoming,
		.state = &vm->state,
		.refusal = vm->exit_status ? vm->refusal.text : NULL,
	};
	_cleanup_(news_finish) struct news news = { 0 };
	_cleanup_(str_finish) struct str status = { 0 };
	int ret;

	if (!vm->service.notify || vm->service.notify->fd < 0)
		return;
	service_describe(&view, &status);
	if (!status.failed)
		collect(vm, service_is_ready(&view), status.text, &news);
	if (status.failed || news.lines.failed || !news.lines.len)
		return; /* out of memory: the next time */
	ret = notify_send(vm->service.notify, news.lines.text);
	if (ret == 0)
		note_told(&vm->service, &news);
	else if (ret == -EAGAIN || ret == -ENOBUFS)
		uv_timer_start(&vm->service.again, on_again, AGAIN_MS, 0);
	else if (!vm->service.complained)
		log_warning("the service manager cannot be told of it: %s", strerror(-ret));
	vm->service.complained |= ret < 0 && ret != -EAGAIN && ret != -ENOBUFS;
}
