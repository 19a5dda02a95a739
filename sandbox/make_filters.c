/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * make_filters ARCHITECTURE NAME=LIST[,LIST]...: a C source with a struct
 * sandbox_program sandbox_NAME for each, made of its lists. Runs at build time.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sandbox/filter_list.h"
#include "sandbox/program.h"

#define LIST_MAX_SIZE (64 * 1024)
#define CODE_MAX      4096 /* the kernel's BPF_MAXINSNS */
#define API_LEVEL     3    /* of libseccomp: knows KILL_PROCESS, whatever kernel builds */

static uint32_t action_of(enum filter_action action)
{
	static const uint32_t actions[FILTER_N_ACTIONS] = {
		[FILTER_ALLOW] = SCMP_ACT_ALLOW,
		[FILTER_KILL] = SCMP_ACT_KILL_PROCESS,
		[FILTER_EPERM] = SCMP_ACT_ERRNO(EPERM),
		[FILTER_ENOSYS] = SCMP_ACT_ERRNO(ENOSYS),
	};

	return actions[action];
}

/* One rule for each bit: libseccomp knows "all of these bits" only. */
static int add_bits(scmp_filter_ctx ctx, const struct filter_line *line, int number)
{
	uint64_t bit;
	int ret = 0;

	for (bit = 1; ret == 0 && bit; bit <<= 1) {
		if (line->value & bit)
			ret = seccomp_rule_add_exact(ctx, action_of(line->action), number, 1,
				SCMP_CMP(line->argument, SCMP_CMP_MASKED_EQ, bit, bit));
	}
	return ret;
}

/* Whatever is not the secret in any of the three. */
static int add_foreign_exec(scmp_filter_ctx ctx, const struct filter_line *line, int number)
{
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < SANDBOX_N_SECRETS; i++) {
		uint64_t secret = (uint64_t)SANDBOX_SECRET(i, 0) << 32 | SANDBOX_SECRET(i, 1);

		if (sizeof(void *) < sizeof(secret))
			secret = SANDBOX_SECRET(i, 1);
		ret = seccomp_rule_add_exact(
			ctx, action_of(line->action), number, 1, SCMP_CMP(i, SCMP_CMP_NE, secret));
	}
	return ret;
}

static int add_rule(scmp_filter_ctx ctx, const struct filter_line *line, int number)
{
	switch (line->condition) {
	case FILTER_EQUALS: /* the kernel takes an int: what is above it is nothing */
		return seccomp_rule_add_exact(ctx, action_of(line->action), number, 1,
			SCMP_CMP(line->argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, line->value));
	case FILTER_ANY_BIT:
		return add_bits(ctx, line, number);
	case FILTER_NO_BIT:
		return seccomp_rule_add_exact(ctx, action_of(line->action), number, 1,
			SCMP_CMP(line->argument, SCMP_CMP_MASKED_EQ, line->value, 0));
	case FILTER_FOREIGN_EXEC:
		return add_foreign_exec(ctx, line, number);
	case FILTER_ALWAYS:
		break;
	}
	return seccomp_rule_add_exact(ctx, action_of(line->action), number, 0);
}

/* Its number; negative: this machine has no such call; __NR_SCMP_ERROR: nobody knows it. */
static int number_of(uint32_t arch, const struct filter_line *line)
{
	int number = seccomp_syscall_resolve_name_arch(arch, line->name);

	return number == __NR_SCMP_ERROR && line->number >= 0 ? line->number : number;
}

/* There clone() has its flags second. */
static struct filter_line as_on(uint32_t arch, const struct filter_line *line)
{
	struct filter_line adapted = *line;

	if (strcmp(line->name, "clone") == 0 && (arch == SCMP_ARCH_S390X || arch == SCMP_ARCH_S390))
		adapted.argument = !line->argument;
	return adapted;
}

static int add_lines(scmp_filter_ctx ctx, uint32_t arch, const struct filter_list *list)
{
	const struct filter_line *rest = filter_list_find(list, "@default");
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct filter_line line = as_on(arch, &list->lines[i]);
		int number, ret;

		if (line.name[0] == '@' || line.action == rest->action)
			continue;
		number = number_of(arch, &line);
		if (number == __NR_SCMP_ERROR) {
			fprintf(stderr, "%s: no such system call\n", line.name);
			return -ENOENT;
		}
		ret = number < 0 ? 0 : add_rule(ctx, &line, number);
		if (ret < 0) {
			fprintf(stderr, "%s: %s\n", line.name, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int check_specials(const struct filter_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const char *name = list->lines[i].name;

		if (name[0] == '@' && strcmp(name, "@default") != 0 &&
			strcmp(name, "@foreign") != 0)
			return -EINVAL;
	}
	return filter_list_find(list, "@default") && filter_list_find(list, "@foreign") ? 0
											: -EINVAL;
}

static int set_up(scmp_filter_ctx ctx, uint32_t arch, const struct filter_list *list)
{
	uint32_t foreign = action_of(filter_list_find(list, "@foreign")->action);
	int ret = 0;

	if (arch != seccomp_arch_native()) {
		ret = seccomp_arch_add(ctx, arch);
		if (ret == 0)
			ret = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
	}
	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, foreign);
	if (ret == 0)
		ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree */
	return ret == 0 ? add_lines(ctx, arch, list) : ret;
}

static ssize_t export(scmp_filter_ctx ctx, struct sock_filter code[static CODE_MAX])
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

	if (n == 0)
		n = pread(fd, code, CODE_MAX * sizeof(*code), 0);
	if (fd >= 0)
		close(fd);
	return n < 0 ? n : n / (ssize_t)sizeof(*code);
}

static ssize_t make(uint32_t arch, const struct filter_list *list, struct sock_filter *code)
{
	scmp_filter_ctx ctx;
	ssize_t ret;

	if (check_specials(list) < 0) {
		fprintf(stderr, "each filter has one @default, one @foreign and no other '@'\n");
		return -EINVAL;
	}
	ctx = seccomp_init(action_of(filter_list_find(list, "@default")->action));
	if (!ctx)
		return -ENOMEM;
	ret = set_up(ctx, arch, list);
	if (ret == 0)
		ret = export(ctx, code);
	seccomp_release(ctx);
	return ret;
}

static int read_list(const char *path, struct filter_list *list)
{
	static char text[LIST_MAX_SIZE];
	struct error err = { 0 };
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	text[n] = '\0';
	if (n == 0 || n == sizeof(text) - 1) {
		fprintf(stderr, "%s: cannot be read, is empty or too long\n", path);
		return -EIO;
	}
	if (filter_list_parse(text, list, &err) < 0) {
		fprintf(stderr, "%s: %s\n", path, err.text);
		return -EINVAL;
	}
	return 0;
}

static void print_program(const char *name, const struct sock_filter *code, ssize_t n)
{
	ssize_t i;

	printf("\nstatic const struct sock_filter %s_code[] = {\n", name);
	for (i = 0; i < n; i++)
		printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf,
			code[i].k);
	printf("};\nconst struct sandbox_program sandbox_%s = { %s_code, %zd };\n", name, name, n);
}

/* What QEMU can be killed for: every filter of QEMU's has these lines. */
static void print_calls(uint32_t arch, const struct filter_list *list)
{
	size_t i;

	printf("\nconst struct sandbox_call sandbox_qemu_calls[] = {\n");
	for (i = 0; i < list->n; i++) {
		int number = number_of(arch, &list->lines[i]);

		if (list->lines[i].action == FILTER_KILL && number >= 0)
			printf("\t{ %d, \"%s\" },\n", number, list->lines[i].name);
	}
	printf("\t{ -1, NULL },\n};\n");
}

/* "NAME=LIST,LIST" */
static int print_filter(uint32_t arch, char *argument)
{
	static struct sock_filter code[CODE_MAX];
	struct filter_list list = { 0 };
	char *paths = argument, *name = strsep(&paths, "="), *path;
	ssize_t n = 0;

	while (n == 0 && (path = strsep(&paths, ",")))
		n = read_list(path, &list);
	if (n == 0)
		n = make(arch, &list, code);
	if (n > 0)
		print_program(name, code, n);
	if (n > 0 && strcmp(name, "qemu_strict") == 0)
		print_calls(arch, &list);
	filter_list_finish(&list);
	if (n > 0)
		return 0;
	fprintf(stderr, "no filter '%s': %s\n", name, strerror(-n));
	return -EINVAL;
}

int main(int argc, char **argv)
{
	uint32_t arch = argc > 2 ? seccomp_arch_resolve_name(argv[1]) : 0;
	int i;

	if (!arch || seccomp_api_set(API_LEVEL) < 0) {
		fprintf(stderr, "make_filters ARCHITECTURE NAME=LIST[,LIST]...\n");
		return EXIT_FAILURE;
	}
	printf("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
	       "/* made by sandbox/make_filters.c */\n"
	       "#include \"sandbox/program.h\"\n\n"
	       "const uint32_t sandbox_native_arch = 0x%08x;\n",
		arch);
	for (i = 2; i < argc; i++) {
		if (print_filter(arch, argv[i]) < 0)
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
