/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/event_log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

void event_log_init(struct event_log *log)
{
	*log = (struct event_log){ .next = 1, .oldest = 1 };
}

static void drop_oldest(struct event_log *log)
{
	size_t slot = log->oldest % EVENT_LOG_ROOM;

	log->bytes -= log->items[slot].len;
	free(log->items[slot].text);
	log->items[slot].text = NULL;
	log->oldest++;
}

void event_log_finish(struct event_log *log)
{
	while (log->oldest < log->next)
		drop_oldest(log);
}

/* {"event": ...} -> {"vmlatch-seq": 7, "event": ...} */
static char *number_object(const char *object, size_t len, uint64_t seq, size_t *ret_len)
{
	struct str text = { 0 };
	size_t start = 0, inside;
	char *numbered;

	while (start < len && strchr(" \t\r\n", object[start]))
		start++;
	if (start == len || object[start] != '{')
		return NULL;
	inside = start + 1;
	while (inside < len && strchr(" \t\r\n", object[inside]))
		inside++;
	if (inside == len)
		return NULL;
	str_printf(&text, "{\"vmlatch-seq\": %" PRIu64, seq);
	if (object[inside] != '}')
		str_append(&text, ", ");
	while (len > inside && strchr("\r\n", object[len - 1]))
		len--;
	str_append_bytes(&text, object + inside, len - inside);
	*ret_len = text.len;
	numbered = str_take(&text);
	return numbered;
}

const char *event_log_add(struct event_log *log, const char *object, size_t len, size_t *ret_len)
{
	size_t numbered_len = 0;
	char *numbered = number_object(object, len, log->next, &numbered_len);
	size_t slot;

	if (!numbered)
		return NULL;
	while (log->oldest < log->next && (log->next - log->oldest >= EVENT_LOG_ROOM ||
						  log->bytes + numbered_len > EVENT_LOG_BYTES))
		drop_oldest(log);
	slot = log->next % EVENT_LOG_ROOM;
	log->items[slot].seq = log->next++;
	log->items[slot].text = numbered;
	log->items[slot].len = numbered_len;
	log->bytes += numbered_len;
	*ret_len = numbered_len;
	return numbered;
}

const char *event_log_get(const struct event_log *log, uint64_t seq, size_t *len)
{
	size_t slot = seq % EVENT_LOG_ROOM;

	if (seq < log->oldest || seq >= log->next)
		return NULL;
	*len = log->items[slot].len;
	return log->items[slot].text;
}
