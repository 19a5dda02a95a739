/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/exec_secret.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE      UINT64_C(4096) /* the grain of an offset; a larger page does no harm */
#define ALIGNMENT UINT64_C(16)

/* Of a process's addresses: the most that a machine may have. */
#define MOST_BITS (sizeof(void *) == 8 ? 47 : 31)

/* A sanitizer has an eighth of them, all the lower ones. */
#define TRIES_EACH 8
#define TRIES      (TRIES_EACH * 11)

/* In use, or beyond what this machine has: another one, later with fewer bits. NULL with errno. */
static void *map_somewhere(size_t size)
{
	unsigned i;

	for (i = 0; i < TRIES; i++) {
		unsigned bits = MOST_BITS - i / TRIES_EACH;
		uint64_t random;
		void *wanted, *got;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return NULL;
		random &= (UINT64_C(1) << bits) - 1;
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what is drawn */
		wanted = (void *)(uintptr_t)(random & ~(PAGE - 1));
		got = mmap(wanted, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (got == wanted)
			return (char *)got + (random & (PAGE - 1) & ~(ALIGNMENT - 1));
	}
	errno = ENOMEM;
	return NULL;
}

static void *copy_somewhere(const void *bytes, size_t size)
{
	void *copy = map_somewhere(size + PAGE);

	return copy ? memcpy(copy, bytes, size) : NULL;
}

static size_t array_size(char *const *strings)
{
	size_t n = 1;

	while (*strings++)
		n++;
	return n * sizeof(*strings);
}

int exec_secret_make(
	const char *path, char *const *argv, char *const *envp, struct exec_secret *ret)
{
	struct exec_secret secret = { .path = copy_somewhere(path, strlen(path) + 1) };

	if (secret.path)
		secret.argv = copy_somewhere(argv, array_size(argv));
	if (secret.argv)
		secret.envp = copy_somewhere(envp, array_size(envp));
	if (!secret.envp)
		return -errno;
	*ret = secret;
	return 0;
}

int exec_secret_execute(const struct exec_secret *secret)
{
	syscall(SYS_execve, secret->path, secret->argv, secret->envp);
	return -errno;
}
