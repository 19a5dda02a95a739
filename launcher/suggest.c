/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/suggest.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 32
#define FAR      100

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Insertions, deletions and replacements from one word to the other. */
static unsigned edit_distance(const char *a, const char *b)
{
	size_t len_a = strlen(a), len_b = strlen(b), i, j;
	unsigned row[WORD_MAX + 1], diagonal, above;

	if (len_a > WORD_MAX || len_b > WORD_MAX)
		return FAR;
	for (j = 0; j <= len_b; j++)
		row[j] = j;
	for (i = 1; i <= len_a; i++) {
		diagonal = row[0];
		row[0] = i;
		for (j = 1; j <= len_b; j++) {
			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[len_b];
}

struct suggestion suggestion_for(const char *given)
{
	size_t len = strlen(given);

	/* a third of the letters may be wrong, and one of three */
	return (struct suggestion){ .given = given, .distance = len < 3 ? 1 : len / 3 + 1 };
}

void suggestion_offer(struct suggestion *suggestion, const char *word)
{
	unsigned distance = edit_distance(suggestion->given, word);

	if (distance >= suggestion->distance)
		return;
	suggestion->distance = distance;
	suggestion->word = word;
}
