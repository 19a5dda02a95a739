/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filters of system calls, in the kernel: each try is a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/load.h"
#include "sandbox/notice.h"

#define HIGH_BITS 0x100000000L

/* A call that changes nothing, whoever makes it: its arguments are wrong. */
struct
try {
	const char *name;
	long number, arguments[6];
	int status; /* what it ends with: an errno, 0, or -SIGSYS */
};

static long attempt(const struct try *try)
{
	const long *a = try->arguments;

	return syscall(try->number, a[0], a[1], a[2], a[3], a[4], a[5]) < 0 ? errno : 0;
}

static void be_quiet(void)
{
	struct rlimit no_core = { 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int status_of(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(const struct sandbox_program *program, long (*what)(const void *), const void *data)
{
	static const struct exec_secret nobody_knows = { (void *)16, (void *)32, (void *)48 };
	struct error err = { 0 };
	pid_t pid = fork();

	if (pid == 0) {
		be_quiet();
		if (sandbox_load(program, &nobody_knows, NULL, &err) < 0)
			_exit(255);
		_exit(what(data));
	}
	return status_of(pid);
}

static long attempt_it(const void *data)
{
	return attempt(data);
}

static void check_tries(const struct sandbox_program *program, const struct try *tries, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int status = run(program, attempt_it, &tries[i]);

		if (status != tries[i].status)
			fail_msg("%s: %d instead of %d", tries[i].name, status, tries[i].status);
	}
}

#define TRY(call, wanted, ...)                             \
	{                                                  \
#call, SYS_##call, { __VA_ARGS__ }, wanted \
	}
#define CHECK(program, tries) check_tries(program, tries, sizeof(tries) / sizeof(*tries))

/* Never one that could have an effect: who runs this may be root. */
static const struct try always_blocked[] = {
	TRY(kexec_load, -SIGSYS, 0, -1, 0, -1),
	TRY(init_module, -SIGSYS, 0, 0, 0),
	TRY(finit_module, -SIGSYS, -1, 0, 0),
	TRY(delete_module, -SIGSYS, 0, 0),
	TRY(reboot, -SIGSYS, 0, 0, 0, 0),
	TRY(swapon, -SIGSYS, 0, 0),
	TRY(mount, -SIGSYS, 0, 0, 0, 0, 0),
	TRY(umount2, -SIGSYS, 0, 0),
	TRY(pivot_root, -SIGSYS, 0, 0),
	TRY(open_tree, -SIGSYS, -1, 0, 0),
	TRY(fsopen, -SIGSYS, 0, 0),
	TRY(mount_setattr, -SIGSYS, -1, 0, 0, 0, 0),
	{ "open_tree_attr", 467, { -1, 0, 0, 0, 0 }, -SIGSYS },
	TRY(acct, -SIGSYS, -1),
	TRY(bpf, EPERM, -1, 0, 0),
	TRY(add_key, EPERM, 0, 0, 0, 0, 0),
	TRY(keyctl, EPERM, -1),
	TRY(perf_event_open, EPERM, 0, 0, 0, 0, 0),
	TRY(clock_settime, EPERM, -1, 0),
	TRY(settimeofday, EPERM, -1, -1),
	TRY(adjtimex, EPERM, 0),
	TRY(quotactl, EPERM, -1, 0, 0, 0),
	TRY(sethostname, EPERM, 0, -1),
	TRY(open_by_handle_at, EPERM, -1, 0, 0),
	TRY(pidfd_getfd, EPERM, -1, 0, 0),
	TRY(ioctl, EPERM, -1, 0x5412, 0),
	/* the kernel does not look at the upper half, so neither may the filter */
	TRY(ioctl, EPERM, -1, 0x5412 | HIGH_BITS, 0),
};

static void what_no_qemu_needs_is_blocked(void **state)
{
	(void)state;
	CHECK(&sandbox_qemu_default, always_blocked);
	CHECK(&sandbox_qemu_strict, always_blocked);
}

static const struct try features[] = {
	TRY(clone, EINVAL, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0),
	TRY(unshare, EINVAL, -1),
	TRY(setns, EBADF, -1, 0),
	TRY(ptrace, ESRCH, PTRACE_CONT, 0x7fffffff, 0, 0),
	TRY(process_vm_readv, EINVAL, 0, 0, 0, 0, 0, -1),
	TRY(userfaultfd, EINVAL, -1),
	TRY(ioctl, EBADF, -1, 0xaa00, 0), /* USERFAULTFD_IOC_NEW */
	TRY(clone3, EINVAL, 0, 0),
	TRY(execve, EFAULT, 1, 0, 0),
};

static const struct try strictly_blocked[] = {
	TRY(clone, EPERM, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0),
	TRY(clone, EPERM, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0),
	TRY(unshare, EPERM, -1),
	TRY(setns, EPERM, -1, 0),
	TRY(ptrace, EPERM, PTRACE_CONT, 0x7fffffff, 0, 0),
	TRY(process_vm_readv, EPERM, 0, 0, 0, 0, 0, -1),
	TRY(userfaultfd, EPERM, -1),
	TRY(ioctl, EPERM, -1, 0xaa00, 0),
	TRY(ioctl, EPERM, -1, 0xaa00 | HIGH_BITS, 0),
	TRY(ioctl, EPERM, -1, 0x5412, 0),
	TRY(clone3, ENOSYS, 0, 0),
	TRY(execve, EPERM, 1, 0, 0),
	TRY(execve, EPERM, 16, 32, 0),
	TRY(execve, EPERM, 16, 0, 48),
	TRY(execve, EPERM, 0, 32, 48),
	TRY(execve, EPERM, 16 | HIGH_BITS, 32, 48),
	TRY(execveat, EPERM, -1, 16, 32, 48, 0),
	/* the secret itself, which the real one's owner has forgotten */
	TRY(execve, EFAULT, 16, 32, 48),
};

/*
 * What devices of the host need, which few kernels of test machines have: vhost (net, vsock, vdpa),
 * vfio, tap devices. None of these tries has an effect, and none of the kernel's own errors is
 * EPERM.
 */
static const struct try host_devices[] = {
	TRY(ioctl, EBADF, -1, 0xaf01, 0),     /* VHOST_SET_OWNER */
	TRY(ioctl, EBADF, -1, 0x4008af03, 0), /* VHOST_SET_MEM_TABLE */
	TRY(ioctl, EBADF, -1, 0x4008af20, 0), /* VHOST_SET_VRING_KICK */
	TRY(ioctl, EBADF, -1, 0x4008af30, 0), /* VHOST_NET_SET_BACKEND */
	TRY(ioctl, EBADF, -1, 0x4008af60, 0), /* VHOST_VSOCK_SET_GUEST_CID */
	TRY(ioctl, EBADF, -1, 0x3b64, 0),     /* VFIO_GET_API_VERSION */
	TRY(ioctl, EBADF, -1, 0x3b6e, 0),     /* VFIO_DEVICE_SET_IRQS */
	TRY(ioctl, EBADF, -1, 0x3b71, 0),     /* VFIO_IOMMU_MAP_DMA */
	TRY(ioctl, EBADF, -1, 0x3b81, 0),     /* IOMMU_IOAS_ALLOC */
	TRY(ioctl, EBADF, -1, 0x400454ca, 0), /* TUNSETIFF */
	TRY(ioctl, EBADF, -1, 0xae03, 0),     /* KVM_CHECK_EXTENSION */
	TRY(eventfd2, EINVAL, 0, -1),
	TRY(epoll_create1, EINVAL, -1),
	TRY(memfd_create, EFAULT, 0, 0),
	TRY(mmap, EBADF, 0, 4096, 3, 1, -1, 0),
	TRY(mlock, 0, 0, 0),
	TRY(munlock, 0, 0, 0),
	TRY(mlockall, EINVAL, -1),
	TRY(madvise, EINVAL, 0, 4096, -1),
	TRY(fallocate, EBADF, -1, 0, 0, 1),
	TRY(sendmsg, EBADF, -1, 0, 0),
	TRY(recvmsg, EBADF, -1, 0, 0),
	TRY(pread64, EBADF, -1, 0, 0, 0),
	TRY(pwrite64, EBADF, -1, 0, 0, 0),
};

static void the_default_leaves_what_a_feature_needs(void **state)
{
	(void)state;
	CHECK(&sandbox_qemu_default, features);
}

static void devices_of_the_host_work_with_either(void **state)
{
	(void)state;
	CHECK(&sandbox_qemu_default, host_devices);
	CHECK(&sandbox_qemu_strict, host_devices);
}

static void strict_blocks_exec_namespaces_and_other_processes(void **state)
{
	(void)state;
	CHECK(&sandbox_qemu_strict, strictly_blocked);
}

static const struct try intruders[] = {
	TRY(execve, -SIGSYS, 0, 0, 0),
	TRY(execveat, -SIGSYS, -1, 0, 0, 0, 0),
	TRY(mount, -SIGSYS, 0, 0, 0, 0, 0),
	TRY(fsopen, -SIGSYS, 0, 0),
	TRY(init_module, -SIGSYS, 0, 0, 0),
	TRY(kexec_load, -SIGSYS, 0, -1, 0, -1),
	TRY(keyctl, -SIGSYS, -1),
	TRY(bpf, -SIGSYS, -1, 0, 0),
	TRY(unshare, -SIGSYS, -1),
	TRY(setns, -SIGSYS, -1, 0),
	TRY(clone, ENOSYS, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0),
	TRY(socket, ENOSYS, AF_INET, SOCK_STREAM, 0),
	TRY(socket, ENOSYS, AF_PACKET, SOCK_RAW, 0),
	TRY(socketpair, ENOSYS, AF_TIPC, SOCK_STREAM, 0, 0),
	TRY(io_uring_setup, ENOSYS, 0, 0),
	TRY(socket, 0, AF_UNIX, SOCK_STREAM, 0),
	TRY(openat, EFAULT, -100, 0, 0),
	TRY(fcntl, EBADF, -1, 0),
	TRY(ptrace, ESRCH, PTRACE_CONT, 0x7fffffff, 0, 0),
};

static void a_supervisor_never_executes_or_mounts(void **state)
{
	(void)state;
	CHECK(&sandbox_supervisor, intruders);
}

#ifdef __x86_64__
/* getpid() by the 32-bit entry: where the kernel has none the signal is SIGSEGV, and no call was
 * made. */
static long call_32_bit(const void *data)
{
	long number = 20;

	(void)data;
	__asm__ volatile("int $0x80" : "+a"(number) : : "memory", "r8", "r9", "r10", "r11");
	return 0;
}

static void calls_of_another_abi_kill(void **state)
{
	static const struct try x32[] = { { "x32", SYS_getpid | 0x40000000, { 0 }, -SIGSYS } };
	int status;

	(void)state;
	CHECK(&sandbox_qemu_default, x32);
	CHECK(&sandbox_qemu_strict, x32);
	CHECK(&sandbox_supervisor, x32);
	status = run(&sandbox_qemu_default, call_32_bit, NULL);
	assert_true(status == -SIGSYS || status == -SIGSEGV);
}
#endif

/* Load with a listener, send it to the parent, then try. */
static pid_t start_listened(const struct try *try, int *listener)
{
	size_t n = 1;
	int pair[2];
	char byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		struct error err = { 0 };
		int fd;

		be_quiet();
		if (sandbox_load(&sandbox_qemu_default, NULL, &fd, &err) < 0 || fd < 0 ||
			fd_send(pair[1], "", 1, &fd, 1) < 0)
			_exit(255);
		close(fd);
		close(pair[0]);
		fd_receive(pair[1], &byte, 1, NULL, &(size_t){ 0 }); /* until we go on */
		_exit(attempt(try));
	}
	close(pair[1]);
	assert_int_equal(fd_receive(pair[0], &byte, 1, listener, &n), 1);
	close(pair[0]);
	return pid;
}

/* The first that comes. */
static void take_notice(int listener, struct sandbox_notice *ret)
{
	struct pollfd ready = { .fd = listener, .events = POLLIN };

	assert_int_equal(poll(&ready, 1, 10000), 1);
	assert_int_equal(sandbox_notice_take(listener, ret), 0);
}

static const struct try kexec = TRY(kexec_load, -SIGSYS, 0, -1, 0, -1);

static void the_call_and_the_caller_are_named(void **state)
{
	struct sandbox_notice notice;
	char text[SANDBOX_CALL_SIZE];
	_cleanup_(closep) int listener = -1;
	pid_t pid = start_listened(&kexec, &listener);

	(void)state;
	take_notice(listener, &notice);
	assert_int_equal(notice.thread, pid);
	assert_string_equal(sandbox_notice_call(&notice, text), "kexec_load");
	assert_true(sandbox_notice_is_valid(listener, &notice));
	assert_int_equal(
		sandbox_notice_take(listener, &notice), SANDBOX_NOBODY); /* does not wait */
	kill(pid, SIGKILL);
	assert_int_equal(status_of(pid), -SIGKILL);
	assert_false(sandbox_notice_is_valid(listener, &notice));
	assert_int_equal(sandbox_notice_take(listener, &notice), SANDBOX_ALL_GONE);
}

static void a_call_that_is_not_answered_by_death_is_refused(void **state)
{
	struct sandbox_notice notice;
	_cleanup_(closep) int listener = -1;
	pid_t pid = start_listened(&kexec, &listener);

	(void)state;
	take_notice(listener, &notice);
	assert_int_equal(sandbox_notice_refuse(listener, &notice), 0);
	assert_int_equal(status_of(pid), EPERM);
}

static void with_nobody_to_tell_there_is_no_such_call(void **state)
{
	int listener = -1;
	pid_t pid = start_listened(&kexec, &listener);

	(void)state;
	close(listener);
	assert_int_equal(status_of(pid), ENOSYS);
}

/* As in a container that has a listener itself: the second one is refused, the kernel kills. */
static long load_and_try(const void *data)
{
	struct error err = { 0 };
	int first, second = 0;

	if (sandbox_load(&sandbox_qemu_default, NULL, &first, &err) < 0 || first < 0 ||
		sandbox_load(&sandbox_qemu_default, NULL, &second, &err) < 0 || second != -1)
		return 255;
	return attempt(data);
}

static long just_run(const void *data)
{
	(void)data;
	return 0;
}

static void beneath_another_listener_the_kernel_kills(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		be_quiet();
		_exit(load_and_try(&kexec));
	}
	assert_int_equal(status_of(pid), -SIGSYS);
}

/* The strict filter with a real secret: our exec works, and what it starts can start nothing. */
static int run_strict_shell(char *script)
{
	char *argv[] = { "sh", "-c", script, NULL };
	struct exec_secret secret;
	struct error err = { 0 };
	pid_t pid = fork();

	if (pid == 0) {
		be_quiet();
		if (exec_secret_make("/bin/sh", argv, environ, &secret) < 0 ||
			sandbox_load(&sandbox_qemu_strict, &secret, NULL, &err) < 0)
			_exit(255);
		if (fork() == 0) /* the same path, but not our copy of it */
			_exit(execve("/bin/sh", argv, environ) < 0 ? 0 : 254);
		exec_secret_execute(&secret);
		_exit(254);
	}
	return status_of(pid);
}

static void strict_lets_our_own_exec_through_and_no_other(void **state)
{
	(void)state;
	assert_int_equal(run_strict_shell("exit 17"), 17);
	assert_int_equal(run_strict_shell("/bin/true 2>/dev/null && exit 1; exit 18"), 18);
}

static void each_secret_is_another(void **state)
{
	char *none[] = { NULL };
	struct exec_secret a, b;
	int i;

	(void)state;
	for (i = 0; i < 1000; i++) /* there is room for each */
		assert_int_equal(exec_secret_make("/bin/sh", none, none, &a), 0);
	assert_int_equal(exec_secret_make("/bin/sh", none, none, &a), 0);
	assert_int_equal(exec_secret_make("/bin/sh", none, none, &b), 0);
	assert_string_equal(a.path, "/bin/sh");
	assert_true(a.path != b.path && a.argv != b.argv && a.envp != b.envp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_qemu_needs_is_blocked),
		cmocka_unit_test(a_supervisor_never_executes_or_mounts),
		cmocka_unit_test(the_default_leaves_what_a_feature_needs),
		cmocka_unit_test(devices_of_the_host_work_with_either),
		cmocka_unit_test(strict_blocks_exec_namespaces_and_other_processes),
#ifdef __x86_64__
		cmocka_unit_test(calls_of_another_abi_kill),
#endif
		cmocka_unit_test(the_call_and_the_caller_are_named),
		cmocka_unit_test(a_call_that_is_not_answered_by_death_is_refused),
		cmocka_unit_test(with_nobody_to_tell_there_is_no_such_call),
		cmocka_unit_test(beneath_another_listener_the_kernel_kills),
		cmocka_unit_test(strict_lets_our_own_exec_through_and_no_other),
		cmocka_unit_test(each_secret_is_another),
	};

	if (run(&sandbox_qemu_default, just_run, NULL) != 0)
		return 77; /* no filters here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
