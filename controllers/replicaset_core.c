/*
 * Ranking and naming of a ReplicaSet's pods. Pure, in the view's arena.
 */
#include "controllers/replicaset_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

enum {
	SUFFIX_LEN = 5,
	SUFFIXES = 27 * 27 * 27 * 27 * 27,
	/* Any number without the factor 3 permutes the suffixes; this one looks random. */
	STRIDE = 8875121,
	NAME_BASE_MAX = 63 - SUFFIX_LEN,
};

static uint32_t offset_of(const struct json *owner)
{
	return str_fnv32(meta_uid(owner)) % SUFFIXES;
}

/* Kubernetes cuts what it generates names from, so that the result stays a DNS label. */
static struct str name_base(struct arena *a, const struct json *rs)
{
	struct str s = arena_strf(a, "%.*s-", STR_ARG(meta_name(rs)));

	return str_sub(s, 0, NAME_BASE_MAX);
}

struct str replicaset_pod_name(struct arena *a, const struct json *rs, uint32_t number)
{
	struct str base = name_base(a, rs);
	uint64_t code = ((uint64_t)number * STRIDE + offset_of(rs)) % SUFFIXES;
	char suffix[SUFFIX_LEN];

	for (size_t i = 0; i < SUFFIX_LEN; i++, code /= 27)
		suffix[i] = name_alphabet[code % 27];
	return arena_strf(a, "%.*s%.*s", STR_ARG(base), SUFFIX_LEN, suffix);
}

/* ---- ranking ---- */

struct ranked {
	const struct json *pod;
	bool assigned, ready;
	int phase;
	int64_t cost, doubled, ready_bucket, restarts, created_bucket;
};

static int phase_order(const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	if (!phase.n || str_is(phase, "Pending"))
		return 0;
	if (str_is(phase, "Unknown"))
		return 1;
	return 2;
}

/* Kubernetes compares ages by order of magnitude, so that not always the same pods die. */
static int64_t age_bucket(int64_t since_ns, int64_t now_ns)
{
	int64_t bucket = 0;

	if (!since_ns)
		return -1;
	for (int64_t age = (now_ns - since_ns) / NS_PER_S; age > 0; age /= 2)
		bucket++;
	return bucket;
}

static int64_t restarts_of(const struct json *pod)
{
	const struct json *all = json_at(pod, "status", "containerStatuses");
	int64_t most = 0;

	for (size_t i = 0; i < json_len(all); i++)
		most = MAX(most, json_int(json_at(json_item(all, i), "restartCount"), 0));
	return most;
}

static struct ranked rank_of(const struct view *v, const struct json *pod,
			     const struct trees *related)
{
	struct str node = json_str(json_at(pod, "spec", "nodeName"));
	struct ranked r = {.pod = pod, .assigned = node.n > 0, .ready = pod_ready(pod)};

	r.phase = phase_order(pod);
	if (str_to_i64(meta_annotation(pod, "controller.kubernetes.io/pod-deletion-cost"),
		       &r.cost) != 0)
		r.cost = 0;
	for (size_t i = 0; node.n && i < related->n; i++)
		if (str_eq(json_str(json_at(related->v[i], "spec", "nodeName")), node) &&
		    pod_active(related->v[i]))
			r.doubled++;
	r.ready_bucket = age_bucket(
		meta_time_ns(json_at(condition_find(pod, "Ready"), "lastTransitionTime")),
		v->now_ns);
	r.restarts = restarts_of(pod);
	r.created_bucket = age_bucket(meta_created_ns(pod), v->now_ns);
	return r;
}

static int order(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int rank_cmp(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;
	int c;

	if ((c = order(a->assigned, b->assigned)) || (c = order(a->phase, b->phase)) ||
	    (c = order(a->ready, b->ready)) || (c = order(a->cost, b->cost)) ||
	    (c = order(b->doubled, a->doubled)))
		return c;
	if (a->ready && (c = order(a->ready_bucket, b->ready_bucket)))
		return c;
	if ((c = order(b->restarts, a->restarts)) ||
	    (c = order(a->created_bucket, b->created_bucket)))
		return c;
	return str_cmp(meta_uid(a->pod), meta_uid(b->pod));
}

void replicaset_rank(const struct view *v, struct trees *pods, const struct trees *related)
{
	struct ranked *r = arena_array(v->arena, pods->n + 1, sizeof(*r));

	for (size_t i = 0; i < pods->n; i++)
		r[i] = rank_of(v, pods->v[i], related);
	qsort(r, pods->n, sizeof(*r), rank_cmp);
	for (size_t i = 0; i < pods->n; i++)
		pods->v[i] = r[i].pod;
}
