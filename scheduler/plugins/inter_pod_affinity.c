/*
 * InterPodAffinity: near or away from other pods, by a topology label of the nodes. Looks at all
 * pods, but only for pods that ask for it or while some pod keeps others away. Pure.
 */
#include "scheduler/domains.h"
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

/* A term of the pod in question, and how many pods it picks, by the label's value. */
struct term {
	const struct affinity_term *t;
	struct domains pods;
};
struct terms {
	struct term *v;
	size_t n;
};
struct affinity {
	struct terms near, away, like;
	bool likes_itself;       /* the pod matches `near` */
	int64_t alike;           /* pods that match all of `near` */
	struct domains kept_off; /* "key=value" where a placed pod doesn't want this one */
	struct domains liked;    /* … and how much placed pods would like it there */
};

static struct terms terms_of(const struct sched_cycle *c, const struct affinity_terms *from)
{
	struct terms t = {arena_array(c->arena, from->n + 1, sizeof(struct term)), from->n};

	for (size_t i = 0; i < t.n; i++)
		t.v[i] = (struct term){&from->v[i], {.a = c->arena}};
	return t;
}

static bool namespace_matches(const struct sched_cycle *c, const struct affinity_term *t,
			      const struct sched_pod *of, struct str ns)
{
	const struct json *labels;
	struct selector s;

	if (!t->namespaces && !t->namespace_selector)
		return str_eq(of->namespace, ns);
	for (size_t i = 0; i < json_len(t->namespaces); i++)
		if (str_eq(json_str(json_item(t->namespaces, i)), ns))
			return true;
	if (!t->namespace_selector ||
	    selector_from_json(c->arena, t->namespace_selector, &s, NULL) != 0)
		return false;
	labels = json_at(sched_object_get(&c->cache->namespaces, ns), "metadata", "labels");
	if (!labels) /* not heard of yet: the one that every namespace has */
		labels = json_build(c->arena, "{s:S}", "kubernetes.io/metadata.name", ns);
	return selector_match_json(&s, labels);
}

/* of: the pod whose term it is. */
static bool term_picks(const struct sched_cycle *c, const struct affinity_term *t,
		       const struct sched_pod *of, const struct sched_pod *p)
{
	return namespace_matches(c, t, of, p->namespace) &&
	       selector_match_obj(&t->selector, p->obj);
}

static bool all_pick(const struct sched_cycle *c, const struct terms *t, const struct sched_pod *p)
{
	for (size_t i = 0; i < t->n; i++)
		if (!term_picks(c, t->v[i].t, c->pod, p))
			return false;
	return true;
}

static void count_term(struct term *t, const struct sched_node *n, int sign)
{
	struct str value = sched_node_label(n, t->t->key);

	if (value.p)
		*domains_at(&t->pods, value) += sign;
}

static struct str off_key(struct arena *a, struct str key, struct str value)
{
	return arena_strf(a, "%.*s=%.*s", STR_ARG(key), STR_ARG(value));
}

/* Where a placed pod's own anti-affinity means the pod in question. */
static void keep_off(const struct sched_cycle *c, struct affinity *s, const struct sched_pod *p,
		     const struct sched_node *n, int sign)
{
	for (size_t i = 0; i < p->away.n; i++) {
		const struct affinity_term *t = &p->away.v[i];
		struct str value = sched_node_label(n, t->key);

		if (value.p && term_picks(c, t, p, c->pod))
			*domains_at(&s->kept_off, off_key(c->arena, t->key, value)) += sign;
	}
}

/* What a placed pod prefers of others speaks for and against nodes, too; that it must have such
 * pods near counts a little. */
static void hear(const struct sched_cycle *c, struct affinity *s, const struct sched_pod *p,
		 const struct sched_node *n)
{
	for (size_t i = 0; i < p->near.n + p->like.n; i++) {
		bool must = i < p->near.n;
		const struct affinity_term *t = must ? &p->near.v[i] : &p->like.v[i - p->near.n];
		struct str value = sched_node_label(n, t->key);

		if (value.p && term_picks(c, t, p, c->pod))
			*domains_at(&s->liked, off_key(c->arena, t->key, value)) +=
				must ? 1 : t->weight;
	}
}

static void moved(const struct sched_cycle *c, void *state, const struct sched_pod *p,
		  const struct sched_node *n, int sign)
{
	struct affinity *s = state;

	if (!s)
		return;
	keep_off(c, s, p, n, sign);
	if (!c->filters_only)
		hear(c, s, p, n);
	if (s->near.n && all_pick(c, &s->near, p)) {
		s->alike += sign;
		for (size_t i = 0; i < s->near.n; i++)
			count_term(&s->near.v[i], n, sign);
	}
	for (size_t i = 0; i < s->away.n; i++)
		if (term_picks(c, s->away.v[i].t, c->pod, p))
			count_term(&s->away.v[i], n, sign);
	for (size_t i = 0; i < s->like.n; i++)
		if (term_picks(c, s->like.v[i].t, c->pod, p))
			count_term(&s->like.v[i], n, sign);
}

static void *prepare(const struct sched_cycle *c)
{
	struct affinity *s;

	if (!sched_pod_has_affinity(c->pod) && !c->cache->with_affinity)
		return NULL;
	s = arena_alloc(c->arena, sizeof(*s));
	s->kept_off.a = s->liked.a = c->arena;
	s->near = terms_of(c, &c->pod->near);
	s->away = terms_of(c, &c->pod->away);
	s->like = terms_of(c, &c->pod->like);
	s->likes_itself = all_pick(c, &s->near, c->pod);
	for (size_t i = 0; i < c->cache->n; i++)
		for (size_t j = 0; j < c->cache->nodes[i]->npods; j++)
			moved(c, s, c->cache->nodes[i]->pods[j], c->cache->nodes[i], 1);
	return s;
}

static bool skip(const struct sched_cycle *c UNUSED, const void *state)
{
	return !state;
}

static bool kept_off(const struct sched_cycle *c, const struct affinity *s,
		     const struct sched_node *n)
{
	if (!s->kept_off.n)
		return false;
	for (uint32_t i = 0; i < n->obj->nlabels; i++)
		if (domains_get(&s->kept_off,
				off_key(c->arena, n->obj->labels[i].key, n->obj->labels[i].value)))
			return true;
	return false;
}

/* The first of its kind may go anywhere where the label is. */
static bool near_holds(const struct affinity *s, const struct sched_node *n)
{
	bool first = s->likes_itself && !s->alike;

	for (size_t i = 0; i < s->near.n; i++) {
		const struct term *t = &s->near.v[i];
		struct str value = sched_node_label(n, t->t->key);

		if (!value.p || (!first && !domains_get(&t->pods, value)))
			return false;
	}
	return true;
}

static bool away_holds(const struct affinity *s, const struct sched_node *n)
{
	for (size_t i = 0; i < s->away.n; i++) {
		struct str value = sched_node_label(n, s->away.v[i].t->key);

		if (value.p && domains_get(&s->away.v[i].pods, value))
			return false;
	}
	return true;
}

static bool filter(const struct sched_cycle *c, const void *state, const struct sched_node *n,
		   struct reasons *why)
{
	const struct affinity *s = state;

	if (!near_holds(s, n))
		reasons_add_for_good(why, "node(s) didn't match pod affinity rules");
	else if (!away_holds(s, n))
		reasons_add(why, "node(s) didn't match pod anti-affinity rules");
	else if (kept_off(c, s, n))
		reasons_add(why, "node(s) didn't satisfy existing pods anti-affinity rules");
	return why->n == 0;
}

static int64_t score(const struct sched_cycle *c, const void *state, const struct sched_node *n)
{
	const struct affinity *s = state;
	int64_t sum = 0;

	for (size_t i = 0; s && i < s->like.n; i++) {
		struct str value = sched_node_label(n, s->like.v[i].t->key);

		if (value.p)
			sum += s->like.v[i].t->weight * domains_get(&s->like.v[i].pods, value);
	}
	for (uint32_t i = 0; s && s->liked.n && i < n->obj->nlabels; i++)
		sum += domains_get(&s->liked, off_key(c->arena, n->obj->labels[i].key,
						      n->obj->labels[i].value));
	return sum;
}

static void normalize(const struct sched_cycle *c UNUSED, const void *state UNUSED, int64_t *scores,
		      size_t n)
{
	int64_t most = INT64_MIN, least = INT64_MAX;

	for (size_t i = 0; i < n; i++) {
		most = MAX(most, scores[i]);
		least = MIN(least, scores[i]);
	}
	for (size_t i = 0; i < n; i++)
		scores[i] = most > least ? SCORE_MAX * (scores[i] - least) / (most - least) : 0;
}

const struct plugin plugin_inter_pod_affinity = {
	.name = "InterPodAffinity",
	.order = 80,
	.weight = 2,
	.prepare = prepare,
	.moved = moved,
	.skip = skip,
	.filter = filter,
	.score = score,
	.normalize = normalize,
	.helped_by = SCHED_NODE_CHANGED | SCHED_POD_ADDED | SCHED_POD_GONE,
};
