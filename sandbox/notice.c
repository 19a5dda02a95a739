/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/notice.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "sandbox/program.h"

#define X32_BIT 0x40000000

/* A later kernel may have longer ones, and writes as much as it has (seccomp_unotify(2)). */
union notification {
	struct seccomp_notif notification;
	char room[512];
};

union response {
	struct seccomp_notif_resp response;
	char room[512];
};

int sandbox_notice_take(int listener, struct sandbox_notice *ret)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };
	union notification got = { 0 };

	/* the ioctl would wait for the next one */
	if (poll(&ready, 1, 0) < 0)
		return errno == EINTR ? SANDBOX_NOBODY : -errno;
	if (!(ready.revents & POLLIN))
		return ready.revents ? SANDBOX_ALL_GONE : SANDBOX_NOBODY;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &got) < 0)
		return errno == ENOENT || errno == EINTR ? SANDBOX_NOBODY : -errno;
	*ret = (struct sandbox_notice){
		.id = got.notification.id,
		.thread = got.notification.pid,
		.arch = got.notification.data.arch,
		.number = got.notification.data.nr,
	};
	return 0;
}

bool sandbox_notice_is_valid(int listener, const struct sandbox_notice *notice)
{
	uint64_t id = notice->id;

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int sandbox_notice_refuse(int listener, const struct sandbox_notice *notice)
{
	union response answer = { .response = { .id = notice->id, .error = -EPERM } };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 ? -errno : 0;
}

static bool is_native(const struct sandbox_notice *notice)
{
	bool x32 = notice->arch == AUDIT_ARCH_X86_64 && notice->number & X32_BIT;

	return notice->arch == sandbox_native_arch && !x32;
}

const char *sandbox_notice_call(
	const struct sandbox_notice *notice, char text[static SANDBOX_CALL_SIZE])
{
	const struct sandbox_call *call;

	if (!is_native(notice)) {
		snprintf(text, SANDBOX_CALL_SIZE, "a system call of another ABI (number %d)",
			notice->number & ~X32_BIT);
		return text;
	}
	snprintf(text, SANDBOX_CALL_SIZE, "system call %d", notice->number);
	for (call = sandbox_qemu_calls; call->name; call++) {
		if (call->number == notice->number)
			snprintf(text, SANDBOX_CALL_SIZE, "%s", call->name);
	}
	return text;
}
