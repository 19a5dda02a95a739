/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * "did you mean …?": of the words offered the nearest one, if it is near enough
 * to be a slip of the fingers.
 */
struct suggestion {
	const char *given;
	const char *word; /* NULL: nothing is near */
	unsigned distance;
};

struct suggestion suggestion_for(const char *given);
void suggestion_offer(struct suggestion *suggestion, const char *word);
