/*
 * PodTopologySpread: keeps the pods that a constraint's selector picks evenly over the values of
 * a node label. Pods without constraints are spread by default over nodes and zones, together
 * with those of the same owner. Pure.
 */
#include "scheduler/domains.h"
#include "scheduler/plugins/plugin.h"

#include <math.h>

#include "lib/base/pure.h"

#define ZONE STR("topology.kubernetes.io/zone")

struct constraint {
	struct str key;
	int64_t max_skew, min_domains;
	bool hard, honor_affinity, honor_taints, counts_itself;
	struct selector selector;
	struct domains pods; /* by the label's value, over the nodes that take part */
	int64_t least;
	double weight;
};
struct spread {
	struct constraint *v;
	size_t n;
	bool any_hard;
	struct domains zones; /* default spreading: pods of the same owner */
};

static bool policy(const struct json *c, const char *field, bool otherwise)
{
	struct str s = json_str(json_at(c, field));

	return s.n ? str_is(s, "Honor") : otherwise;
}

/* matchLabelKeys: the pod's own values of these labels narrow the selector. */
static void add_label_keys(const struct sched_cycle *c, const struct json *keys, struct selector *s)
{
	struct selector_term *terms =
		arena_array(c->arena, s->n + json_len(keys) + 1, sizeof(*terms));

	if (s->n)
		memcpy(terms, s->terms, s->n * sizeof(*terms));
	for (size_t i = 0; i < json_len(keys); i++) {
		struct str key = json_str(json_item(keys, i));
		struct str value = obj_label(c->pod->obj, key);

		if (!value.p)
			continue;
		terms[s->n] = (struct selector_term){key, SELECT_EQ, NULL, 1};
		terms[s->n].values = arena_array(c->arena, 1, sizeof(struct str));
		terms[s->n++].values[0] = value;
	}
	s->terms = terms;
}

static void read_constraint(const struct sched_cycle *c, const struct json *j,
			    struct constraint *ret)
{
	ret->key = json_str(json_at(j, "topologyKey"));
	ret->max_skew = json_int(json_at(j, "maxSkew"), 1);
	ret->min_domains = json_int(json_at(j, "minDomains"), 1);
	ret->hard = !str_is(json_str(json_at(j, "whenUnsatisfiable")), "ScheduleAnyway");
	ret->honor_affinity = policy(j, "nodeAffinityPolicy", true);
	ret->honor_taints = policy(j, "nodeTaintsPolicy", false);
	if (selector_from_json(c->arena, json_at(j, "labelSelector"), &ret->selector, NULL) != 0)
		ret->selector.nothing = true;
	add_label_keys(c, json_at(j, "matchLabelKeys"), &ret->selector);
	ret->counts_itself = selector_match_obj(&ret->selector, c->pod->obj);
	ret->pods.a = c->arena;
}

/* A node without the label of any constraint of the same force counts for none of them. */
static bool has_all_labels(const struct spread *s, bool hard, const struct sched_node *n)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].hard == hard && !sched_node_label(n, s->v[i].key).p)
			return false;
	return true;
}

static bool node_takes_part(const struct sched_cycle *c, const struct constraint *k,
			    const struct sched_node *n)
{
	if (k->honor_affinity && !node_matches_selector(c->pod, n))
		return false;
	for (size_t i = 0; k->honor_taints && i < n->ntaints; i++)
		if (!str_is(n->taints[i].effect, "PreferNoSchedule") &&
		    !pod_tolerates(c->pod, &n->taints[i]))
			return false;
	return true;
}

static bool counts(const struct sched_cycle *c, const struct constraint *k,
		   const struct sched_pod *p)
{
	return str_eq(p->namespace, c->pod->namespace) && !p->obj->deleted_ns &&
	       selector_match_obj(&k->selector, p->obj);
}

static int64_t count_on(const struct sched_cycle *c, const struct constraint *k,
			const struct sched_node *n)
{
	int64_t found = 0;

	for (size_t i = 0; i < n->npods; i++)
		found += counts(c, k, n->pods[i]);
	return found;
}

static void set_least(struct constraint *k)
{
	k->least = (int64_t)k->pods.n < k->min_domains ? 0 : domains_min(&k->pods);
}

static void count(const struct sched_cycle *c, const struct spread *s, struct constraint *k)
{
	for (size_t i = 0; i < c->cache->n; i++) {
		const struct sched_node *n = c->cache->nodes[i];

		if (has_all_labels(s, k->hard, n) && node_takes_part(c, k, n))
			*domains_at(&k->pods, sched_node_label(n, k->key)) += count_on(c, k, n);
	}
	set_least(k);
	/* The more domains, the fewer pods in each: without this, zones would outweigh nodes. */
	k->weight = log((double)k->pods.n + 2);
}

static void *prepare(const struct sched_cycle *c)
{
	struct spread *s = arena_alloc(c->arena, sizeof(*s));

	s->zones.a = c->arena;
	s->n = json_len(c->pod->spread);
	s->v = arena_array(c->arena, s->n + 1, sizeof(*s->v));
	for (size_t i = 0; i < s->n; i++) {
		read_constraint(c, json_item(c->pod->spread, i), &s->v[i]);
		s->any_hard |= s->v[i].hard;
	}
	for (size_t i = 0; i < s->n; i++)
		count(c, s, &s->v[i]);
	if (s->n || !c->pod->owner_uid.n || c->filters_only)
		return s;
	for (size_t i = 0; i < c->cache->n; i++) {
		const struct sched_node *n = c->cache->nodes[i];
		struct str zone = sched_node_label(n, ZONE);

		if (zone.p)
			*domains_at(&s->zones, zone) +=
				(int64_t)sched_node_pods_of(n, c->pod->owner_uid);
	}
	return s;
}

static void moved(const struct sched_cycle *c, void *state, const struct sched_pod *p,
		  const struct sched_node *n, int sign)
{
	struct spread *s = state;

	for (size_t i = 0; i < s->n; i++) {
		struct constraint *k = &s->v[i];

		if (!counts(c, k, p) || !has_all_labels(s, k->hard, n) || !node_takes_part(c, k, n))
			continue;
		*domains_at(&k->pods, sched_node_label(n, k->key)) += sign;
		set_least(k);
	}
}

static bool skip(const struct sched_cycle *c UNUSED, const void *state)
{
	return !((const struct spread *)state)->any_hard;
}

static bool filter(const struct sched_cycle *c UNUSED, const void *state,
		   const struct sched_node *n, struct reasons *why)
{
	const struct spread *s = state;

	for (size_t i = 0; i < s->n; i++) {
		const struct constraint *k = &s->v[i];
		struct str value = sched_node_label(n, k->key);

		if (!k->hard)
			continue;
		if (!value.p) {
			reasons_add_for_good(why,
					     "node(s) didn't match pod topology spread constraints "
					     "(missing required label)");
			return false;
		}
		if (domains_get(&k->pods, value) + k->counts_itself - k->least > k->max_skew) {
			reasons_add(why, "node(s) didn't match pod topology spread constraints");
			return false;
		}
	}
	return true;
}

/* How crowded the node is: less is better, turned round by normalize. */
static int64_t score(const struct sched_cycle *c, const void *state, const struct sched_node *n)
{
	const struct spread *s = state;
	double crowd = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct constraint *k = &s->v[i];

		if (!k->hard)
			crowd += (double)domains_get(&k->pods, sched_node_label(n, k->key)) *
					 k->weight +
				 (double)(k->max_skew - 1);
	}
	if (s->n || !c->pod->owner_uid.n)
		return (int64_t)(crowd + 0.5);
	crowd = (double)sched_node_pods_of(n, c->pod->owner_uid) * log((double)c->cache->n + 2);
	if (s->zones.n > 1)
		crowd += (double)domains_get(&s->zones, sched_node_label(n, ZONE)) *
			 log((double)s->zones.n + 2);
	return (int64_t)(crowd + 0.5);
}

static void normalize(const struct sched_cycle *c UNUSED, const void *state UNUSED, int64_t *scores,
		      size_t n)
{
	int64_t most = 0, least = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		most = MAX(most, scores[i]);
		least = MIN(least, scores[i]);
	}
	for (size_t i = 0; i < n; i++)
		scores[i] = most ? SCORE_MAX * (most + least - scores[i]) / most : SCORE_MAX;
}

const struct plugin plugin_pod_topology_spread = {
	.name = "PodTopologySpread",
	.order = 70,
	.weight = 2,
	.prepare = prepare,
	.moved = moved,
	.skip = skip,
	.filter = filter,
	.score = score,
	.normalize = normalize,
	.helped_by = SCHED_NODE_CHANGED | SCHED_POD_ADDED | SCHED_POD_GONE,
};
