/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/capability.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_SIZE 32

/* The capability that these @len characters name, or -1. */
static int find(const char *name, size_t len)
{
	char text[NAME_SIZE];

	if (len >= sizeof(text))
		return -1;
	memcpy(text, name, len);
	text[len] = '\0';
	return capng_name_to_capability(strncasecmp(text, "cap_", 4) == 0 ? text + 4 : text);
}

int capability_parse(const char *list, uint64_t *ret, const char **unknown, size_t *len)
{
	uint64_t set = 0;

	if (strcmp(list, "none") == 0 || strcmp(list, "all") == 0) {
		*ret = list[0] == 'a' ? CAPABILITY_ALL : 0;
		return 0;
	}
	for (;; list += *len + 1) {
		int capability;

		*unknown = list;
		*len = strcspn(list, ",");
		capability = find(list, *len);
		if (capability < 0)
			return -EINVAL;
		set |= capability_bit(capability);
		if (!list[*len])
			break;
	}
	*ret = set;
	return 0;
}

void capability_print(uint64_t set, struct str *out)
{
	const char *comma = "";
	unsigned i;

	for (i = 0; i <= CAP_LAST_CAP; i++) {
		const char *name = set & capability_bit(i) ? capng_capability_to_name(i) : NULL;

		if (!name)
			continue;
		str_printf(out, "%s%s", comma, name);
		comma = ", ";
	}
}

static void write_set(capng_type_t types, uint64_t set)
{
	unsigned i;

	for (i = 0; i <= CAP_LAST_CAP; i++)
		capng_update(set & capability_bit(i) ? CAPNG_ADD : CAPNG_DROP, types, i);
}

/*
 * What there is, the kernel is asked itself: libcap-ng reads /proc/PID/status twice for
 * it, which is too much for each start and each image that is opened.
 */
struct thread_sets {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct halves[2];
};

static int read_thread(struct thread_sets *ret)
{
	ret->header = (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
	return syscall(SYS_capget, &ret->header, ret->halves) < 0 ? -errno : 0;
}

static uint64_t whole(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

uint64_t capability_permitted(void)
{
	struct thread_sets own;

	if (read_thread(&own) < 0)
		return 0;
	return whole(own.halves[0].permitted, own.halves[1].permitted);
}

int capability_use(uint64_t set, uint64_t *previous)
{
	struct thread_sets own;
	int ret = read_thread(&own);

	if (ret < 0)
		return ret;
	if (previous)
		*previous = whole(own.halves[0].effective, own.halves[1].effective);
	own.halves[0].effective = set & own.halves[0].permitted;
	own.halves[1].effective = set >> 32 & own.halves[1].permitted;
	return syscall(SYS_capset, &own.header, own.halves) < 0 ? -errno : 0;
}

/* Those that the kernel knows and says yes of, by a prctl() with a capability's number. */
static uint64_t ask(int (*is_set)(int capability))
{
	uint64_t set = 0;
	int i, answer = 0;

	for (i = 0; i < 64 && answer >= 0; i++) {
		answer = is_set(i);
		set |= answer > 0 ? capability_bit(i) : 0;
	}
	return set;
}

static int is_bounding(int capability)
{
	return prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
}

static int is_ambient(int capability)
{
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0);
}

uint64_t capability_ambient(void)
{
	return ask(is_ambient);
}

/* What libcap-ng has been told to do it has tried to: not each failure is told. */
int capability_bound(uint64_t set)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;
	struct thread_sets own;
	int current, ret = read_thread(&own);

	if (ret < 0 || !(own.halves[0].effective & capability_bit(CAP_SETPCAP)))
		return ret;
	set &= ask(is_bounding);
	capng_clear(CAPNG_SELECT_ALL); /* also what is newer than we are */
	write_set(CAPNG_BOUNDING_SET, set);
	capng_apply(CAPNG_SELECT_BOUNDS);
	if (ask(is_bounding) != set)
		return -EPERM;
	current = prctl(PR_GET_SECUREBITS);
	if (current < 0 || prctl(PR_SET_SECUREBITS, current | bits) < 0)
		return -errno;
	return 0;
}

static int apply(uint64_t set, capng_type_t types)
{
	capng_clear(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT);
	write_set(types, set);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0 || capng_apply(CAPNG_SELECT_AMBIENT) < 0)
		return -EPERM;
	return ask(is_ambient) == (types & CAPNG_AMBIENT ? set : 0) ? 0 : -EPERM;
}

int capability_keep(uint64_t set)
{
	return apply(set, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE | CAPNG_AMBIENT);
}

int capability_retain(uint64_t set)
{
	return apply(set, CAPNG_EFFECTIVE | CAPNG_PERMITTED);
}
