/*
 * Limits on disk, and the order in which pods leave a node that runs out of memory or disk. What
 * isn't known counts as nothing: nobody is evicted for a guess. Pure; owns nothing.
 */
#include "kubelet/evict_core.h"

#include "lib/base/quantity.h"

#include "lib/base/pure.h"

#define SYSTEM_CRITICAL 2000000000

static int64_t amount(const struct json *v)
{
	struct quantity q;

	return quantity_parse(json_str(v), &q) ? 0 : quantity_value(q);
}

static const struct json *volume(const struct pod_spec *s, size_t i)
{
	return json_item(json_at(s->spec, "volumes"), i);
}

static size_t volumes(const struct pod_spec *s)
{
	return json_len(json_at(s->spec, "volumes"));
}

bool disk_volume(const struct json *v)
{
	const struct json *e = json_at(v, "emptyDir");

	return json_is(e, JSON_OBJECT) && !str_is(json_str(json_at(e, "medium")), "Memory");
}

static int64_t limit_of(const struct pod_spec *s, size_t i)
{
	return amount(json_at(s->c[i].json, "resources", "limits", "ephemeral-storage"));
}

bool disk_limited(const struct pod_spec *s)
{
	for (size_t i = 0; i < volumes(s); i++) {
		if (disk_volume(volume(s, i)) &&
		    amount(json_at(volume(s, i), "emptyDir", "sizeLimit")) > 0)
			return true;
	}
	for (size_t i = s->ninit; i < s->nmain; i++) {
		if (limit_of(s, i) > 0)
			return true;
	}
	return false;
}

int64_t disk_sum(const struct pod_spec *s, const struct disk_use *u)
{
	int64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += MAX(u->containers[i], 0);
	for (size_t i = 0; i < volumes(s); i++)
		sum += MAX(u->volumes[i], 0);
	return sum;
}

static bool volume_exceeded(const struct pod_spec *s, const struct disk_use *u, struct buf *message)
{
	for (size_t i = 0; i < volumes(s); i++) {
		struct str text = json_str(json_at(volume(s, i), "emptyDir", "sizeLimit"));
		int64_t limit = amount(json_at(volume(s, i), "emptyDir", "sizeLimit"));
		if (!disk_volume(volume(s, i)) || limit <= 0 || u->volumes[i] <= limit)
			continue;
		buf_printf(message,
			   "Usage of EmptyDir volume \"%.*s\" exceeds the limit \"%.*s\". ",
			   STR_ARG(json_str(json_at(volume(s, i), "name"))), STR_ARG(text));
		return true;
	}
	return false;
}

/* Its containers' limits together bound all that it writes. */
static bool pod_exceeded(const struct pod_spec *s, const struct disk_use *u, struct buf *message)
{
	int64_t limit = 0;

	for (size_t i = s->ninit; i < s->nmain; i++)
		limit += limit_of(s, i);
	if (limit <= 0 || disk_sum(s, u) <= limit)
		return false;
	buf_puts(message,
		 "Pod ephemeral local storage usage exceeds the total limit of containers ");
	buf_printf(message, "%lld. ", (long long)limit);
	return true;
}

bool disk_exceeded(const struct pod_spec *s, const struct disk_use *u, struct buf *message)
{
	if (volume_exceeded(s, u, message) || pod_exceeded(s, u, message))
		return true;
	for (size_t i = s->ninit; i < s->nmain; i++) {
		const struct json *text =
			json_at(s->c[i].json, "resources", "limits", "ephemeral-storage");
		if (limit_of(s, i) <= 0 || u->containers[i] <= limit_of(s, i))
			continue;
		buf_printf(message,
			   "Container %.*s exceeded its local ephemeral storage limit \"%.*s\". ",
			   STR_ARG(s->c[i].name), STR_ARG(json_str(text)));
		return true;
	}
	return false;
}

/* ---- who goes ---- */

static int64_t priority(const struct evict_candidate *c)
{
	return json_int(json_at(c->pod->spec, "priority"), 0);
}

/* Does a go before b? */
static bool before(const struct evict_candidate *a, const struct evict_candidate *b)
{
	bool a_over = a->usage > a->request, b_over = b->usage > b->request;

	if (a_over != b_over)
		return a_over;
	if (priority(a) != priority(b))
		return priority(a) < priority(b);
	return a->usage - a->request > b->usage - b->request;
}

ptrdiff_t evict_choose(const struct evict_candidate *v, size_t n)
{
	ptrdiff_t best = -1;

	for (size_t i = 0; i < n; i++) {
		if (priority(&v[i]) >= SYSTEM_CRITICAL)
			continue;
		if (best < 0 || before(&v[i], &v[best]))
			best = (ptrdiff_t)i;
	}
	return best;
}

int64_t evict_request(const struct pod_spec *s, const char *resource)
{
	int64_t sum = 0;

	for (size_t i = s->ninit; i < s->nmain; i++)
		sum += amount(json_at(s->c[i].json, "resources", "requests", resource));
	return sum;
}
