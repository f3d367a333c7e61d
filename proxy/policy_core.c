/*
 * What NetworkPolicies are about, and what hangs on what: a pod that changes touches its own chain
 * and the policies that speak of it, a policy touches its chains and the pods it selects here.
 * Must never look at status beyond address and phase, so that heartbeats cost nothing. Pure; every
 * entry is on the heap with an arena of its own and holds a reference to its object.
 */
#include "proxy/policy-internal.h"

#include <stdlib.h>

#include "lib/base/pure.h"

/* Owners of rules: no Service's key has two slashes. */
static struct str owner_key(struct arena *a, const char *what, const struct obj *o)
{
	return arena_strf(a, "%s/%.*s/%.*s", what, STR_ARG(o->namespace), STR_ARG(o->name));
}

struct policies *policies_new(struct ruleset *r, struct str node)
{
	struct policies *p = xalloc(sizeof(*p));

	p->rules = r;
	p->node = xstrndup(node.p, node.n);
	return p;
}

static void pod_free(struct policy_pod *pod)
{
	list_remove(&pod->node);
	obj_unref(pod->obj);
	arena_release(&pod->a);
	free(pod);
}

static void policy_free(struct policy *policy)
{
	list_remove(&policy->node);
	obj_unref(policy->obj);
	arena_release(&policy->a);
	free(policy);
}

void policies_free(struct policies *p)
{
	struct map_iter it = {0};

	if (!p)
		return;
	while (map_next(&p->pods, &it))
		pod_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&p->policies, &it))
		policy_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&p->namespaces, &it)) {
		obj_unref(((struct policy_namespace *)it.value)->obj);
		free(it.value);
	}
	map_release(&p->pods);
	map_release(&p->policies);
	map_release(&p->namespaces);
	free(p->node);
	free(p);
}

/* ---- who is who ---- */

static struct policy_namespace *namespace_of(struct policies *p, struct str name)
{
	struct policy_namespace *n = map_get(&p->namespaces, name);

	if (n)
		return n;
	n = xalloc(sizeof(*n));
	list_init(&n->pods);
	list_init(&n->policies);
	map_set(&p->namespaces, name, n);
	return n;
}

bool policy_selects(const struct policy *p, const struct policy_pod *pod)
{
	return pod->ip && str_eq(p->obj->namespace, pod->obj->namespace) &&
	       selector_match_obj(&p->selector, pod->obj);
}

bool policy_peer_is(const struct policies *all, struct str own, const struct policy_peer *peer,
		    const struct policy_pod *pod)
{
	const struct policy_namespace *n;

	if (peer->is_block || !pod->ip)
		return false;
	if (!peer->has_namespaces) {
		if (!str_eq(own, pod->obj->namespace))
			return false;
	} else {
		n = map_get(&all->namespaces, pod->obj->namespace);
		if (!n || !n->obj || !selector_match_obj(&peer->namespaces, n->obj))
			return false;
	}
	return !peer->has_pods || selector_match_obj(&peer->pods, pod->obj);
}

uint16_t policy_port_of(const struct policy_pod *pod, const struct policy_port *port)
{
	for (size_t i = 0; i < json_len(pod->containers); i++) {
		const struct json *ports = json_get(json_item(pod->containers, i), STR("ports"));

		for (size_t j = 0; j < json_len(ports); j++) {
			const struct json *v = json_item(ports, j);
			struct str proto = json_str_or(json_get(v, STR("protocol")), STR("TCP"));
			int64_t number = json_int(json_get(v, STR("containerPort")), 0);
			uint8_t have = str_is(proto, "UDP")    ? IPPROTO_UDP
				       : str_is(proto, "SCTP") ? IPPROTO_SCTP
							       : IPPROTO_TCP;

			if (have == port->proto && number > 0 && number <= UINT16_MAX &&
			    str_eq(json_str(json_get(v, STR("name"))), port->name))
				return (uint16_t)number;
		}
	}
	return 0;
}

/* Does any rule's text depend on this pod? */
static bool concerns(const struct policies *all, const struct policy *p,
		     const struct policy_pod *pod)
{
	if (!pod || !pod->ip)
		return false;
	if (policy_selects(p, pod))
		return true;
	for (int d = 0; d < POLICY_DIRECTIONS; d++)
		for (size_t i = 0; i < p->nrules[d]; i++) {
			const struct policy_rule *r = &p->rules[d][i];

			for (size_t j = 0; j < r->npeers; j++)
				if (policy_peer_is(all, p->obj->namespace, &r->peers[j], pod))
					return true;
			/* To anybody, at the port of a name: whoever has it counts. */
			for (size_t j = 0; d == POLICY_EGRESS && !r->npeers && j < r->nports; j++)
				if (r->ports[j].name.n && policy_port_of(pod, &r->ports[j]))
					return true;
		}
	return false;
}

static void touch_policies(struct policies *all, const struct policy_pod *pod)
{
	struct map_iter it = {0};

	while (map_next(&all->policies, &it)) {
		struct policy *p = it.value;

		p->dirty = p->dirty || concerns(all, p, pod);
	}
}

static void touch_pods(struct policies *all, const struct policy *p)
{
	struct policy_namespace *n = namespace_of(all, p->obj->namespace);

	LIST_FOREACH (it, &n->pods) {
		struct policy_pod *pod = CONTAINER_OF(it, struct policy_pod, node);

		pod->dirty = pod->dirty || (pod->local && policy_selects(p, pod));
	}
}

/* ---- changes ---- */

static struct policy_pod *pod_read(struct policies *p, const struct obj *o)
{
	struct policy_pod *pod = xalloc(sizeof(*pod));
	const struct json *tree, *spec;
	struct str phase;

	pod->obj = obj_ref(o);
	list_init(&pod->node);
	tree = obj_tree(o, &pod->a);
	spec = json_get(tree, STR("spec"));
	phase = json_str(json_at(tree, "status", "phase"));
	pod->containers = json_get(spec, STR("containers"));
	pod->local = str_is(json_str(json_get(spec, STR("nodeName"))), p->node);
	if (!json_bool(json_get(spec, STR("hostNetwork")), false) && !str_is(phase, "Succeeded") &&
	    !str_is(phase, "Failed") &&
	    ip4_parse(json_str(json_at(tree, "status", "podIP")), &pod->ip))
		pod->ip = 0;
	return pod;
}

static bool same_labels(const struct obj *a, const struct obj *b)
{
	if (!a || !b || a->nlabels != b->nlabels)
		return false;
	for (uint32_t i = 0; i < a->nlabels; i++)
		if (!str_eq(a->labels[i].key, b->labels[i].key) ||
		    !str_eq(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

/* Ports of a pod never change, so what is left is where it is and what it is called. */
static bool same_pod(const struct policy_pod *a, const struct policy_pod *b)
{
	return a->ip == b->ip && a->local == b->local && str_eq(a->obj->uid, b->obj->uid) &&
	       same_labels(a->obj, b->obj);
}

void policies_pod(struct policies *p, struct str namespace, struct str name, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct str key = obj_key(&a, namespace, name);
	struct policy_pod *old = map_get(&p->pods, key), *new = o ? pod_read(p, o) : NULL;

	if (old && new &&same_pod(old, new)) {
		pod_free(new);
		return;
	}
	p->due = true;
	if (old) {
		touch_policies(p, old);
		if (!new)
			ruleset_put_rules(p->rules, owner_key(&a, "pod", old->obj), NULL);
		map_del(&p->pods, key);
		pod_free(old);
	}
	if (!new)
		return;
	new->dirty = true;
	list_append(&namespace_of(p, namespace)->pods, &new->node);
	map_set(&p->pods, key, new);
	touch_policies(p, new);
}

void policies_namespace(struct policies *p, struct str name, const struct obj *o)
{
	struct policy_namespace *n = namespace_of(p, name);
	bool same = n->obj && o && same_labels(n->obj, o);
	struct map_iter it = {0};

	p->due = p->due || !same;
	obj_unref(n->obj);
	n->obj = o ? obj_ref(o) : NULL;
	while (!same && map_next(&p->policies, &it))
		((struct policy *)it.value)->dirty = true;
	if (!o && list_empty(&n->pods) && list_empty(&n->policies)) {
		map_del(&p->namespaces, name);
		free(n);
	}
}

/* With the first policy come the doors, with the last they go. */
static void touch_doors(struct policies *p)
{
	AUTO(arena) struct arena a = {0};
	struct rules rules = {0};
	struct map_iter it = {0};

	policy_door_rules(&a, p, &rules);
	ruleset_put_rules(p->rules, STR("doors//"), &rules);
	while (map_next(&p->pods, &it))
		((struct policy_pod *)it.value)->dirty = true;
}

void policies_policy(struct policies *p, struct str namespace, struct str name, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct str key = obj_key(&a, namespace, name);
	struct policy *old = map_get(&p->policies, key), *new;
	size_t had = p->policies.n;

	p->due = true;
	if (old) {
		touch_pods(p, old);
		if (!o)
			ruleset_put_rules(p->rules, owner_key(&a, "policy", old->obj), NULL);
		map_del(&p->policies, key);
		policy_free(old);
	}
	if (!o) {
		if (had && !p->policies.n)
			touch_doors(p);
		return;
	}
	new = xalloc(sizeof(*new));
	new->obj = obj_ref(o);
	policy_read(new, obj_tree(o, &new->a));
	new->dirty = true;
	list_init(&new->node);
	list_append(&namespace_of(p, namespace)->policies, &new->node);
	map_set(&p->policies, key, new);
	touch_pods(p, new);
	if (!had)
		touch_doors(p);
}

bool policies_due(const struct policies *p)
{
	return p->due;
}

void policies_render(struct policies *p)
{
	struct map_iter it = {0};

	p->due = false;
	while (map_next(&p->policies, &it)) {
		AUTO(arena) struct arena a = {0};
		struct policy *policy = it.value;
		struct rules rules = {0};

		if (!policy->dirty)
			continue;
		policy->dirty = false;
		policy_rules(&a, p, policy, &rules);
		ruleset_put_rules(p->rules, owner_key(&a, "policy", policy->obj), &rules);
	}
	it = (struct map_iter){0};
	while (map_next(&p->pods, &it)) {
		AUTO(arena) struct arena a = {0};
		struct policy_pod *pod = it.value;
		struct rules rules = {0};

		if (!pod->dirty)
			continue;
		pod->dirty = false;
		policy_pod_rules(&a, p, pod, &rules);
		ruleset_put_rules(p->rules, owner_key(&a, "pod", pod->obj), &rules);
	}
}
