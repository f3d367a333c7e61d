/*
 * status.history: what was built, how often and how it ended. Decides nothing from it. Pure;
 * memory: the caller's arena.
 */
#include "reconciler/history.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

static bool same(const struct json *entry, const struct history_entry *e)
{
	return str_eq(json_str(json_get(entry, STR("digest"))), e->digest) &&
	       str_eq(json_str(json_get(entry, STR("lastReconciledStatus"))), e->status);
}

static struct json *entry_new(struct arena *a, const struct json *earlier,
			      const struct history_entry *e)
{
	AUTO(buf) struct buf took = {0};
	char text[TIME_TEXT_MAX];
	struct str now = arena_str(a, time_format(e->now_ns, text));
	struct json *v = json_build(a, "{s:S,s:S,s:S}", "digest", e->digest, "firstReconciled",
				    json_str_or(json_get(earlier, STR("firstReconciled")), now),
				    "lastReconciled", now),
		    *metadata;

	/* Milliseconds are enough to read, and keep equal runs equal. */
	duration_format(e->took_ns - e->took_ns % NS_PER_MS, &took);
	json_set_str(a, v, "lastReconciledDuration", buf_view(&took));
	json_set_str(a, v, "lastReconciledStatus", e->status);
	json_set_int(a, v, "totalReconciliations",
		     json_int(json_get(earlier, STR("totalReconciliations")), 0) + 1);
	metadata = json_set_object(a, v, "metadata");
	json_set_str(a, metadata, "revision", e->revision);
	if (e->origin.n)
		json_set_str(a, metadata, "originRevision", e->origin);
	return v;
}

struct json *history_add(struct arena *a, const struct json *old, const struct history_entry *e)
{
	struct json *list = json_new(a, JSON_ARRAY);
	const struct json *earlier = NULL;

	for (size_t i = 0; i < json_len(old) && !earlier; i++) {
		if (same(json_item(old, i), e))
			earlier = json_item(old, i);
	}
	json_append(a, list, entry_new(a, earlier, e));
	for (size_t i = 0; i < json_len(old) && json_len(list) < HISTORY_MAX; i++) {
		if (json_item(old, i) != earlier)
			json_append(a, list, json_item(old, i));
	}
	return list;
}
