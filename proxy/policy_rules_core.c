/*
 * From NetworkPolicies to rules. A new connection that this node forwards passes:
 *
 *	policies → map policy-egress (who sends) → pe-POD: a jump for each policy that selects it,
 *	then drop → np-out-…: what the policy lets through goes on to
 *	policy-in → map policy-ingress (who receives) → pi-POD, np-in-… in the same way.
 *
 * A pod that no policy selects stands in neither map. While there are policies, nothing goes to
 * or comes from a pod that isn't known yet (policy-from, policy-to: who starts finds his policies
 * there before his network). What the node itself sends (probes) isn't
 * forwarded and so never asked. A policy's pods are elements of sets, a change of one is one
 * element; each rule is as many lines as it has peers and ports, never their product.
 * Must never let text of a user's into a rule (see ruleset_core.c). Pure.
 */
#include "proxy/policy-internal.h"

#include "lib/base/pure.h"

struct ctx {
	struct arena *a;
	const struct policies *all;
	const struct policy *policy;
	enum policy_direction d;
	const struct policy_rule *rule;
	const char *identity; /* of policy, direction and rule */
	struct rules *out;
};

static const struct {
	const char *map, *pod, *policy; /* prefixes of the chains' names */
	const char *peer;               /* which address is the other's */
	const char *pass;               /* the verdict for what may pass */
} words[POLICY_DIRECTIONS] = {
	[POLICY_INGRESS] = {"policy-ingress", "pi", "np-in", "saddr", "accept"},
	[POLICY_EGRESS] = {"policy-egress", "pe", "np-out", "daddr", "goto policy-in"},
};

static void add(struct ctx *c, enum rule_kind kind, struct str object, struct str key,
		struct str text)
{
	rules_add(c->a, c->out, (struct rule){kind, object, key, text});
}

static struct str ip_text(struct arena *a, uint32_t ip)
{
	char text[16];

	return arena_str(a, ip4_format(ip, text));
}

static struct str policy_chain(struct arena *a, const struct policy *p, enum policy_direction d)
{
	return rules_name(
		a, words[d].policy,
		arena_printf(a, "%.*s/%.*s", STR_ARG(p->obj->namespace), STR_ARG(p->obj->name)));
}

/* ---- ports ---- */

/* Is the pod one that a connection under this rule may go to? */
static bool receives(const struct ctx *c, const struct policy_pod *pod)
{
	if (!pod->ip)
		return false;
	if (c->d == POLICY_INGRESS)
		return pod->local && policy_selects(c->policy, pod);
	for (size_t i = 0; i < c->rule->npeers; i++)
		if (policy_peer_is(c->all, c->policy->obj->namespace, &c->rule->peers[i], pod))
			return true;
	return !c->rule->npeers;
}

/* A name is another number at each pod: a set of who has which. */
static void put_named_port(struct ctx *c, const struct policy_port *p, struct buf *rules)
{
	struct str set = rules_name(c->a, "npn",
				    arena_printf(c->a, "%s/%s/%.*s", c->identity,
						 proto_name(p->proto), STR_ARG(p->name)));
	struct map_iter it = {0};

	add(c, RULE_SET, set, STR(""), STR("type ipv4_addr . inet_proto . inet_service;"));
	while (map_next(&c->all->pods, &it)) {
		uint16_t number = receives(c, it.value) ? policy_port_of(it.value, p) : 0;

		if (number)
			add(c, RULE_ELEMENT, set,
			    arena_strf(c->a, "%.*s . %s . %u",
				       STR_ARG(ip_text(c->a, ((struct policy_pod *)it.value)->ip)),
				       proto_name(p->proto), number),
			    STR(""));
	}
	buf_printf(rules, "ip daddr . meta l4proto . th dport @%.*s %s\n", STR_ARG(set),
		   words[c->d].pass);
}

static void put_port(struct ctx *c, const struct policy_port *p, struct buf *rules)
{
	const char *pass = words[c->d].pass, *proto = proto_name(p->proto);

	if (p->name.n)
		put_named_port(c, p, rules);
	else if (!p->from)
		buf_printf(rules, "meta l4proto %s %s\n", proto, pass);
	else if (p->to == p->from)
		buf_printf(rules, "meta l4proto %s th dport %u %s\n", proto, p->from, pass);
	else if (p->to > p->from)
		buf_printf(rules, "meta l4proto %s th dport %u-%u %s\n", proto, p->from, p->to,
			   pass);
}

/* What happens to packets of the right peer. */
static const char *then(struct ctx *c)
{
	AUTO(buf) struct buf rules = {0};
	struct str chain;

	if (!c->rule->nports)
		return words[c->d].pass;
	chain = rules_name(c->a, "npp", c->identity);
	for (size_t i = 0; i < c->rule->nports; i++)
		put_port(c, &c->rule->ports[i], &rules);
	add(c, RULE_CHAIN, chain, STR(""), arena_str(c->a, buf_view(&rules)));
	return arena_printf(c->a, "jump %.*s", STR_ARG(chain));
}

/* ---- peers ---- */

static void put_net(struct buf *rules, const char *peer, const char *op, struct cidr net)
{
	char text[16];
	uint32_t mask = net.bits ? UINT32_MAX << (32 - net.bits) : 0;

	buf_printf(rules, "ip %s %s%.*s/%u ", peer, op, STR_ARG(ip4_format(net.addr & mask, text)),
		   net.bits);
}

static void put_block(struct ctx *c, const struct policy_peer *p, const char *verdict,
		      struct buf *rules)
{
	const char *peer = words[c->d].peer;

	if (p->block.bits > 32)
		return;
	for (size_t i = 0; i < p->nexcept; i++)
		if (!p->except[i].bits)
			return;
	if (p->block.bits)
		put_net(rules, peer, "", p->block);
	for (size_t i = 0; i < p->nexcept; i++)
		put_net(rules, peer, "!= ", p->except[i]);
	buf_printf(rules, "%s\n", verdict);
}

static void add_pods_of(struct ctx *c, struct str set, const struct policy_peer *peer,
			const struct policy_namespace *n)
{
	if (!n)
		return;
	LIST_FOREACH (it, &n->pods) {
		const struct policy_pod *pod = CONTAINER_OF(it, struct policy_pod, node);

		if (policy_peer_is(c->all, c->policy->obj->namespace, peer, pod))
			add(c, RULE_ELEMENT, set, ip_text(c->a, pod->ip), STR(""));
	}
}

static void add_peer(struct ctx *c, struct str set, const struct policy_peer *peer)
{
	struct map_iter it = {0};

	if (!peer->has_namespaces) {
		add_pods_of(c, set, peer, map_get(&c->all->namespaces, c->policy->obj->namespace));
		return;
	}
	while (map_next(&c->all->namespaces, &it)) {
		const struct policy_namespace *n = it.value;

		if (n->obj && selector_match_obj(&peer->namespaces, n->obj))
			add_pods_of(c, set, peer, n);
	}
}

static void put_rule(struct ctx *c, struct buf *rules)
{
	const char *verdict = then(c);
	struct str set = STR_NONE;

	if (!c->rule->npeers)
		buf_printf(rules, "%s\n", verdict);
	for (size_t i = 0; i < c->rule->npeers; i++) {
		const struct policy_peer *peer = &c->rule->peers[i];

		if (peer->is_block) {
			put_block(c, peer, verdict, rules);
			continue;
		}
		if (!set.n) {
			set = rules_name(c->a, "nps", c->identity);
			add(c, RULE_SET, set, STR(""), STR("type ipv4_addr;"));
			buf_printf(rules, "ip %s @%.*s %s\n", words[c->d].peer, STR_ARG(set),
				   verdict);
		}
		add_peer(c, set, peer);
	}
}

void policy_rules(struct arena *a, const struct policies *all, const struct policy *p,
		  struct rules *ret)
{
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		struct ctx c = {.a = a, .all = all, .policy = p, .d = d, .out = ret};
		AUTO(buf) struct buf rules = {0};

		if (!p->applies[d])
			continue;
		for (size_t i = 0; i < p->nrules[d]; i++) {
			c.rule = &p->rules[d][i];
			c.identity = arena_printf(a, "%.*s/%.*s/%d/%zu", STR_ARG(p->obj->namespace),
						  STR_ARG(p->obj->name), d, i);
			put_rule(&c, &rules);
		}
		add(&c, RULE_CHAIN, policy_chain(a, p, d), STR(""), arena_str(a, buf_view(&rules)));
	}
}

/* ---- pods ---- */

static void pod_direction(struct ctx *c, const struct policy_pod *pod,
			  const struct policy_namespace *n)
{
	struct str ip = ip_text(c->a, pod->ip), chain;
	AUTO(buf) struct buf rules = {0};
	bool isolated = false;

	/* A pod always reaches itself, by its Service, too. */
	buf_printf(&rules, "ip %s %.*s %s\n", words[c->d].peer, STR_ARG(ip), words[c->d].pass);
	LIST_FOREACH (it, &n->policies) {
		const struct policy *p = CONTAINER_OF(it, struct policy, node);

		if (!p->applies[c->d] || !policy_selects(p, pod))
			continue;
		isolated = true;
		buf_printf(&rules, "jump %.*s\n", STR_ARG(policy_chain(c->a, p, c->d)));
	}
	if (!isolated)
		return;
	buf_puts(&rules, "drop\n");
	chain = rules_name(c->a, words[c->d].pod,
			   arena_printf(c->a, "%.*s/%.*s", STR_ARG(pod->obj->namespace),
					STR_ARG(pod->obj->name)));
	add(c, RULE_CHAIN, chain, STR(""), arena_str(c->a, buf_view(&rules)));
	add(c, RULE_ELEMENT, str_c(words[c->d].map), ip,
	    arena_strf(c->a, "goto %.*s", STR_ARG(chain)));
}

void policy_pod_rules(struct arena *a, const struct policies *all, const struct policy_pod *pod,
		      struct rules *ret)
{
	const struct policy_namespace *n = map_get(&all->namespaces, pod->obj->namespace);

	if (!n || !pod->local || !pod->ip || !all->policies.n)
		return;
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		struct ctx c = {.a = a, .all = all, .d = d, .out = ret};

		pod_direction(&c, pod, n);
	}
	rules_add(a, ret,
		  (struct rule){RULE_ELEMENT, STR("policy-pods"), ip_text(a, pod->ip), STR("")});
}

void policy_door_rules(struct arena *a, const struct policies *all, struct rules *ret)
{
	if (!all->policies.n)
		return;
	rules_add(a, ret,
		  (struct rule){RULE_ELEMENT, STR("policy-from-doors"), STR(POLICY_BRIDGE),
				STR("jump policy-from")});
	rules_add(a, ret,
		  (struct rule){RULE_ELEMENT, STR("policy-to-doors"), STR(POLICY_BRIDGE),
				STR("jump policy-to")});
}

void policy_base(struct buf *out)
{
	buf_puts(out, "table ip " RULESET_TABLE " {\n"
		      "	map policy-ingress { type ipv4_addr : verdict; }\n"
		      "	map policy-egress { type ipv4_addr : verdict; }\n"
		      "	set policy-pods { type ipv4_addr; }\n"
		      "	map policy-from-doors { type ifname : verdict; }\n"
		      "	map policy-to-doors { type ifname : verdict; }\n"
		      "	chain policy-from {\n"
		      "		ip saddr @policy-pods return\n"
		      "		drop\n"
		      "	}\n"
		      "	chain policy-to {\n"
		      "		ip daddr @policy-pods return\n"
		      "		drop\n"
		      "	}\n"
		      "	chain policy-in {\n"
		      "		ip daddr vmap @policy-ingress\n"
		      "		accept\n"
		      "	}\n"
		      "	chain policies {\n"
		      "		type filter hook forward priority filter + 10\n"
		      "		ct state established,related accept\n"
		      "		iifname vmap @policy-from-doors\n"
		      "		oifname vmap @policy-to-doors\n"
		      "		ip saddr vmap @policy-egress\n"
		      "		goto policy-in\n"
		      "	}\n"
		      "}\n");
}
