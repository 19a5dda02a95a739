/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/json_list.h"

#include <stdlib.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/json_text.h"

void json_list_begin(struct json_list *list, bool wanted, FILE *out)
{
	*list = (struct json_list){ .wanted = wanted, .out = out };
	if (wanted)
		fputs("[", out);
}

int json_list_add(struct json_list *list, json_t *member)
{
	_cleanup_(freep) char *text = NULL;
	json_auto_t *owned = member;

	text = owned ? json_text_dump(owned) : NULL;
	if (!text)
		return EX_OSERR;
	fprintf(list->out, "%s%s", list->any ? ",\n" : "\n", text);
	list->any = true;
	return 0;
}

void json_list_end(struct json_list *list)
{
	if (list->wanted)
		fputs(list->any ? "\n]\n" : "]\n", list->out);
}
