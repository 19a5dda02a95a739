/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sandbox/filter_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS  " \t"
#define N_WORDS 3 /* name, condition, action */

void filter_list_finish(struct filter_list *list)
{
	free(list->lines);
	*list = (struct filter_list){ 0 };
}

const struct filter_line *filter_list_find(const struct filter_list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		if (strcmp(list->lines[i].name, name) == 0)
			return &list->lines[i];
	}
	return NULL;
}

static int read_number(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	return errno || end == text || *end || *text == '-' ? -EINVAL : 0;
}

static int read_name(char *word, struct filter_line *line)
{
	char *slash = strchr(word, '/');
	uint64_t number = 0;

	line->number = -1;
	if (slash) {
		*slash = '\0';
		if (read_number(slash + 1, &number) < 0 || number >= 4096)
			return -EINVAL;
		line->number = number;
	}
	if (!*word || strlen(word) >= sizeof(line->name) ||
		strspn(word, "@_abcdefghijklmnopqrstuvwxyz0123456789") != strlen(word))
		return -EINVAL;
	memcpy(line->name, word, strlen(word) + 1);
	return 0;
}

static int read_condition(const char *word, struct filter_line *line)
{
	if (strcmp(word, "foreign-exec") == 0) {
		line->condition = FILTER_FOREIGN_EXEC;
		return 0;
	}
	if (strncmp(word, "arg", 3) != 0 || word[3] < '0' || word[3] > '5')
		return -EINVAL;
	line->argument = word[3] - '0';
	if (word[4] == '=')
		line->condition = FILTER_EQUALS;
	else if (word[4] == '&')
		line->condition = FILTER_ANY_BIT;
	else if (word[4] == '!')
		line->condition = FILTER_NO_BIT;
	else
		return -EINVAL;
	if (read_number(word + 5, &line->value) < 0)
		return -EINVAL;
	/* one rule for each bit: none would be no rule, and what is equal is compared in 32 bits */
	if (line->condition != FILTER_EQUALS)
		return line->value ? 0 : -EINVAL;
	return line->value >> 32 ? -EINVAL : 0;
}

static int read_action(const char *word, enum filter_action *ret)
{
	static const char *const names[FILTER_N_ACTIONS] = {
		[FILTER_ALLOW] = "allow",
		[FILTER_KILL] = "kill",
		[FILTER_EPERM] = "eperm",
		[FILTER_ENOSYS] = "enosys",
	};
	int i;

	for (i = 0; i < FILTER_N_ACTIONS; i++) {
		if (strcmp(word, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

/* What is wrong with the line; NULL: nothing. @text is cut to pieces. */
static const char *read_line(char *text, struct filter_line *ret)
{
	struct filter_line line = { 0 };
	char *save, *word = strtok_r(text, BLANKS, &save);

	if (read_name(word, &line) < 0)
		return "no name of a system call";
	word = strtok_r(NULL, BLANKS, &save);
	if (word && read_action(word, &line.action) < 0) {
		if (read_condition(word, &line) < 0)
			return "neither a condition nor an action";
		word = strtok_r(NULL, BLANKS, &save);
		if (word && read_action(word, &line.action) < 0)
			return "no action";
	}
	if (!word)
		return "no action";
	if (!strtok_r(NULL, BLANKS, &save))
		return "not a word about why";
	if (line.name[0] == '@' && (line.condition != FILTER_ALWAYS || line.number >= 0))
		return "no condition can be here";
	*ret = line;
	return NULL;
}

/* Two actions for one call, or the same line twice. */
static bool contradicts(const struct filter_list *list, const struct filter_line *line)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct filter_line *other = &list->lines[i];

		if (strcmp(other->name, line->name) == 0 &&
			(other->condition == FILTER_ALWAYS || line->condition == FILTER_ALWAYS ||
				other->action != line->action))
			return true;
	}
	return false;
}

static int add_line(struct filter_list *list, const struct filter_line *line)
{
	struct filter_line *lines = reallocarray(list->lines, list->n + 1, sizeof(*list->lines));

	if (!lines)
		return -ENOMEM;
	lines[list->n++] = *line;
	list->lines = lines;
	return 0;
}

static int parse_line(char *text, int number, struct filter_list *list, struct error *err)
{
	struct filter_line line;
	const char *wrong;

	text[strcspn(text, "#")] = '\0';
	text += strspn(text, BLANKS);
	if (!*text)
		return 0;
	wrong = read_line(text, &line);
	if (wrong)
		return error_set(err, -EINVAL, "line %d: %s", number, wrong);
	if (contradicts(list, &line))
		return error_set(err, -EINVAL, "line %d: %s has a line already", number, line.name);
	if (add_line(list, &line) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

int filter_list_parse(const char *text, struct filter_list *list, struct error *err)
{
	char *copy = strdup(text), *at = copy, *line;
	int number = 0, ret = 0;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	while (ret == 0 && (line = strsep(&at, "\n")))
		ret = parse_line(line, ++number, list, err);
	free(copy);
	return ret;
}
