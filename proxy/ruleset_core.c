/*
 * From a Service to the chains, map elements and sets that make it work. A packet's way:
 *
 *	prerouting/output → services → map service-ips (address . protocol . port) or, for the
 *	node's own addresses, map nodeports → ext-… (policies, masquerading) → svc-… (choice) →
 *	dnat, by way of ep-… where the choice is to be remembered (sessionAffinity).
 *	What has no endpoints stands in the maps no-endpoint-*, looked at by the filter hooks.
 *	What no Service has and a pod asked for on its host: host-ports (hostport_core.c).
 *
 * Must never put text that came from a user into a rule: names are hashed or cut down to letters,
 * digits and dashes, addresses and ports are numbers. Pure; memory in the caller's arena.
 */
#include "proxy/ruleset.h"

#include "lib/base/codec.h"

#include "lib/base/pure.h"

#define T "ip " RULESET_TABLE

struct ctx {
	struct arena *a;
	const struct ruleset_opts *o;
	const struct service *s;
	struct rules *out;
};

/* The endpoints that one kind of traffic may go to. */
struct picked {
	const struct endpoint **v;
	size_t n;
};

void rules_add(struct arena *a, struct rules *r, struct rule rule)
{
	if (r->n == r->cap) {
		struct rule *more = arena_array(a, r->cap ? r->cap * 2 : 16, sizeof(*more));

		for (size_t i = 0; i < r->n; i++)
			more[i] = r->v[i];
		r->v = more;
		r->cap = r->cap ? r->cap * 2 : 16;
	}
	r->v[r->n++] = rule;
}

static void add(struct ctx *c, enum rule_kind kind, struct str object, struct str key,
		struct str text)
{
	rules_add(c->a, c->out, (struct rule){kind, object, key, text});
}

struct str rules_name(struct arena *a, const char *prefix, const char *identity)
{
	char hash[65], plain[41];
	size_t n = 0;

	sha256_hex(str_c(identity), hash);
	for (struct str s = str_c(identity); s.n && n < sizeof(plain) - 1; s = str_sub(s, 1, s.n)) {
		char ch = *s.p;
		bool letter = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-';

		plain[n++] = letter ? ch : '_';
	}
	plain[n] = '\0';
	return arena_strf(a, "%s-%.12s-%s", prefix, hash, plain);
}

static struct str chain_name(struct ctx *c, const char *prefix, const char *identity)
{
	return rules_name(c->a, prefix, identity);
}

static const char *port_identity(struct ctx *c, const struct service_port *p)
{
	return arena_printf(c->a, "%.*s/%.*s/%s/%u", STR_ARG(c->s->namespace), STR_ARG(c->s->name),
			    proto_name(p->proto), p->port);
}

static struct str ip_text(struct ctx *c, uint32_t ip)
{
	char text[16];

	return arena_str(c->a, ip4_format(ip, text));
}

/* Ready endpoints, of our zone where they are meant for zones; when there are none, those that end
 * but still serve. */
static struct picked pick(struct ctx *c, const struct service_port *p, bool local)
{
	struct picked ret = {arena_array(c->a, p->nendpoints + 1, sizeof(*ret.v)), 0};

	for (size_t i = 0; i < p->nendpoints; i++)
		if (p->endpoints[i].ready &&
		    (local ? p->endpoints[i].local : !p->only_near || p->endpoints[i].near))
			ret.v[ret.n++] = &p->endpoints[i];
	for (size_t i = 0; i < p->nendpoints && (!ret.n || !ret.v[0]->ready); i++)
		if (p->endpoints[i].serving && p->endpoints[i].terminating &&
		    (!local || p->endpoints[i].local))
			ret.v[ret.n++] = &p->endpoints[i];
	return ret;
}

/* "dnat to one of them, by lot": a single rule, so changing it changes all at once. */
static void put_choice(struct ctx *c, const struct service_port *p, const struct picked *to,
		       struct buf *rules)
{
	buf_printf(rules, "meta l4proto %s dnat ip to numgen random mod %zu map { ",
		   proto_name(p->proto), to->n);
	for (size_t i = 0; i < to->n; i++)
		buf_printf(rules, "%s%zu : %.*s . %u", i ? ", " : "", i,
			   STR_ARG(ip_text(c, to->v[i]->ip)), to->v[i]->port);
	buf_puts(rules, " }\n");
}

/* A chain and a set of clients for an endpoint; returns the chain's name. */
static struct str add_sticky(struct ctx *c, const struct service_port *p, const struct endpoint *e,
			     struct str *ret_set)
{
	struct str ip = ip_text(c, e->ip);
	const char *identity = arena_printf(c->a, "%s/%.*s/%u/%lld", port_identity(c, p),
					    STR_ARG(ip), e->port, (long long)c->s->affinity_s);
	struct str chain = chain_name(c, "ep", identity);

	*ret_set = chain_name(c, "aff", identity);
	add(c, RULE_SET, *ret_set, STR(""),
	    arena_strf(c->a, "type ipv4_addr; size 65535; flags dynamic,timeout; timeout %llds;",
		       (long long)c->s->affinity_s));
	add(c, RULE_CHAIN, chain, STR(""),
	    arena_strf(c->a, "update @%.*s { ip saddr }\nmeta l4proto %s dnat to %.*s:%u\n",
		       STR_ARG(*ret_set), proto_name(p->proto), STR_ARG(ip), e->port));
	return chain;
}

static void put_sticky_choice(struct ctx *c, const struct service_port *p, const struct picked *to,
			      struct buf *rules)
{
	struct str *chains = arena_array(c->a, to->n, sizeof(*chains));

	for (size_t i = 0; i < to->n; i++) {
		struct str set;

		chains[i] = add_sticky(c, p, to->v[i], &set);
		buf_printf(rules, "ip saddr @%.*s goto %.*s\n", STR_ARG(set), STR_ARG(chains[i]));
	}
	buf_printf(rules, "numgen random mod %zu vmap { ", to->n);
	for (size_t i = 0; i < to->n; i++)
		buf_printf(rules, "%s%zu : goto %.*s", i ? ", " : "", i, STR_ARG(chains[i]));
	buf_puts(rules, " }\n");
}

/*
 * A packet that is on its way through the old rule while a transaction commits finds nothing in
 * that rule's map any more. Going on untranslated it would be refused; dropped, its client asks
 * again.
 */
static void put_balance(struct ctx *c, const struct service_port *p, const struct picked *to,
			struct buf *rules)
{
	if (!to->n)
		return;
	if (c->s->affinity_s)
		put_sticky_choice(c, p, to, rules);
	else
		put_choice(c, p, to, rules);
	buf_puts(rules, "drop\n");
}

/* Clients outside the pod network get their answers by way of this node. */
static void put_masquerade(struct ctx *c, struct buf *rules)
{
	char text[16];

	if (!c->o->cluster.bits)
		return;
	buf_printf(rules, "ip daddr %.*s ip saddr != %.*s/%u jump mark-masq\n",
		   STR_ARG(ip_text(c, c->s->cluster_ip)),
		   STR_ARG(ip4_format(c->o->cluster.addr, text)), c->o->cluster.bits);
}

static struct str add_chain(struct ctx *c, struct str name, struct buf *rules)
{
	add(c, RULE_CHAIN, name, STR(""), arena_str(c->a, buf_view(rules)));
	return name;
}

/* What cluster-internal clients use: to any endpoint, or to the node's own. */
static struct str add_internal(struct ctx *c, const struct service_port *p, const char *prefix,
			       const struct picked *to)
{
	AUTO(buf) struct buf rules = {0};

	put_masquerade(c, &rules);
	put_balance(c, p, to, &rules);
	return add_chain(c, chain_name(c, prefix, port_identity(c, p)), &rules);
}

/* What comes by node port or external address; `svc` is the chain to all endpoints or "". */
static struct str add_external(struct ctx *c, const struct service_port *p, struct str svc,
			       const struct picked *local)
{
	AUTO(buf) struct buf rules = {0};
	char text[16];

	if (!c->s->external_local) {
		buf_printf(&rules, "jump mark-masq\ngoto %.*s\n", STR_ARG(svc));
	} else {
		/* The policy is about clients outside; the cluster's own reach every endpoint. */
		if (c->o->cluster.bits)
			buf_printf(&rules, "ip saddr %.*s/%u goto %.*s\n",
				   STR_ARG(ip4_format(c->o->cluster.addr, text)),
				   c->o->cluster.bits, STR_ARG(svc));
		buf_puts(&rules, "fib saddr type local jump mark-masq\n");
		buf_printf(&rules, "fib saddr type local goto %.*s\n", STR_ARG(svc));
		put_balance(c, p, local, &rules);
	}
	return add_chain(c, chain_name(c, "ext", port_identity(c, p)), &rules);
}

static void add_address(struct ctx *c, const char *map, uint32_t ip, const struct service_port *p,
			struct str verdict)
{
	add(c, RULE_ELEMENT, str_c(map),
	    arena_strf(c->a, "%.*s . %s . %u", STR_ARG(ip_text(c, ip)), proto_name(p->proto),
		       p->port),
	    verdict);
}

static void add_node_port(struct ctx *c, const char *map, const struct service_port *p,
			  struct str verdict)
{
	add(c, RULE_ELEMENT, str_c(map),
	    arena_strf(c->a, "%s . %u", proto_name(p->proto), p->node_port), verdict);
}

static struct str go_to(struct ctx *c, struct str chain)
{
	return arena_strf(c->a, "goto %.*s", STR_ARG(chain));
}

static void add_hairpins(struct ctx *c, const struct picked *to)
{
	for (size_t i = 0; i < to->n; i++) {
		struct str ip = ip_text(c, to->v[i]->ip);

		if (to->v[i]->local)
			add(c, RULE_ELEMENT, STR("hairpin"),
			    arena_strf(c->a, "%.*s . %.*s", STR_ARG(ip), STR_ARG(ip)), STR(""));
	}
}

/* The load balancer's addresses are for some only. */
static struct str add_firewall(struct ctx *c, const struct service_port *p, struct str ext)
{
	AUTO(buf) struct buf rules = {0};
	char text[16];

	for (size_t i = 0; i < c->s->nranges; i++) {
		struct cidr r = c->s->ranges[i];
		uint32_t mask = r.bits ? UINT32_MAX << (32 - r.bits) : 0;

		if (r.bits)
			buf_printf(&rules, "ip saddr %.*s/%u ",
				   STR_ARG(ip4_format(r.addr & mask, text)), r.bits);
		buf_printf(&rules, "%.*s\n", STR_ARG(ext));
	}
	buf_puts(&rules, "drop\n");
	return go_to(c, add_chain(c, chain_name(c, "fw", port_identity(c, p)), &rules));
}

static void rules_external(struct ctx *c, const struct service_port *p, struct str svc,
			   const struct picked *all)
{
	struct picked local = pick(c, p, true);
	const struct picked *use = c->s->external_local ? &local : all;
	/* Refused when nobody serves it; silently dropped when only this node doesn't, so that
	 * load balancers try another. */
	struct str none = all->n ? STR("drop") : STR("goto refuse"), to = STR_NONE;
	struct str balancer;

	if (!c->s->nexternal && !p->node_port)
		return;
	if (all->n)
		to = go_to(c, add_external(c, p, svc, &local));
	balancer = all->n && c->s->nranges ? add_firewall(c, p, to) : to;
	for (size_t i = 0; i < c->s->nexternal; i++) {
		if (all->n)
			add_address(c, "service-ips", c->s->external_ips[i], p,
				    i + c->s->nbalancer < c->s->nexternal ? to : balancer);
		if (!use->n)
			add_address(c, "no-endpoint-ips", c->s->external_ips[i], p, none);
	}
	if (p->node_port && all->n)
		add_node_port(c, "nodeports", p, to);
	if (p->node_port && !use->n)
		add_node_port(c, "no-endpoint-nodeports", p, none);
	if (c->s->external_local)
		add_hairpins(c, &local);
}

static void rules_of_port(struct ctx *c, const struct service_port *p)
{
	struct picked all = pick(c, p, false), local = pick(c, p, true);
	const struct picked *use = c->s->internal_local ? &local : &all;
	struct str svc = STR_NONE;

	if (all.n)
		svc = add_internal(c, p, "svc", &all);
	if (use->n) {
		struct str to = c->s->internal_local ? add_internal(c, p, "int", &local) : svc;

		add_address(c, "service-ips", c->s->cluster_ip, p, go_to(c, to));
	} else {
		add_address(c, "no-endpoint-ips", c->s->cluster_ip, p,
			    all.n ? STR("drop") : STR("goto refuse"));
	}
	add_hairpins(c, use);
	rules_external(c, p, svc, &all);
}

void rules_of_service(struct arena *a, const struct ruleset_opts *o, const struct service *s,
		      struct rules *ret)
{
	struct ctx c = {a, o, s, ret};

	add(&c, RULE_ELEMENT, STR("cluster-ips"), ip_text(&c, s->cluster_ip), STR(""));
	for (size_t i = 0; i < s->nports; i++)
		rules_of_port(&c, &s->ports[i]);
}

/* The chains that packets pass, in nft's own block form. */
static const char base_table[] =
	"table " T " {\n"
	"	map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	"	map nodeports { type inet_proto . inet_service : verdict; }\n"
	"	map no-endpoint-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	"	map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }\n"
	"	set cluster-ips { type ipv4_addr; }\n"
	"	map host-ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
	"	map host-ports-at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . "
	"inet_service; }\n"
	"	set hairpin { type ipv4_addr . ipv4_addr; }\n"
	"	chain mark-masq { meta mark set meta mark | " RULESET_MASQ_MARK "; }\n"
	"	chain refuse {\n"
	"		meta l4proto tcp reject with tcp reset\n"
	"		reject with icmp type port-unreachable\n"
	"	}\n"
	"	chain services {\n"
	"		ip daddr . meta l4proto . th dport vmap @service-ips\n"
	"		ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap "
	"@nodeports\n"
	"		fib daddr type local meta l4proto { tcp, udp, sctp } dnat ip to ip daddr . "
	"meta l4proto . th dport map @host-ports-at\n"
	"		fib daddr type local meta l4proto { tcp, udp, sctp } dnat ip to meta "
	"l4proto . th dport map @host-ports\n"
	"	}\n"
	"	chain check-ips {\n"
	"		ip daddr . meta l4proto . th dport vmap @no-endpoint-ips\n"
	"		ip daddr @cluster-ips goto refuse\n"
	"	}\n"
	"	chain check-nodeports {\n"
	"		ip daddr != 127.0.0.0/8 fib daddr type local meta l4proto . th dport vmap "
	"@no-endpoint-nodeports\n"
	"	}\n"
	"	chain prerouting {\n"
	"		type nat hook prerouting priority dstnat\n"
	"		jump services\n"
	"	}\n"
	"	chain output {\n"
	"		type nat hook output priority -100\n"
	"		jump services\n"
	"	}\n"
	"	chain filter-input {\n"
	"		type filter hook input priority filter\n"
	/* Where host ports are reached by 127.0.0.1, others must not reach what listens there,
	 * unless somebody sent them there. */
	"		iifname != \"lo\" ip daddr 127.0.0.0/8 ct state new,invalid,untracked "
	"ct status & dnat == 0 drop\n"
	"		ct state new jump check-ips\n"
	"		ct state new jump check-nodeports\n"
	"	}\n"
	"	chain filter-forward {\n"
	"		type filter hook forward priority filter\n"
	"		ct state new jump check-ips\n"
	"	}\n"
	"	chain filter-output {\n"
	"		type filter hook output priority filter\n"
	"		ct state new jump check-ips\n"
	"		ct state new jump check-nodeports\n"
	"	}\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat\n"
	"		meta mark & " RULESET_MASQ_MARK
	" != 0 meta mark set meta mark ^ " RULESET_MASQ_MARK " masquerade fully-random\n"
	"		ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random\n"
	"		ct status dnat ip saddr 127.0.0.0/8 masquerade fully-random\n";

void rules_base(const struct ruleset_opts *o, struct buf *out)
{
	char text[16];
	struct str net = ip4_format(o->cluster.addr, text);

	buf_puts(out, base_table);
	if (o->cluster.bits)
		buf_printf(out,
			   "		ip saddr %.*s/%u ip daddr != %.*s/%u ip daddr != "
			   "224.0.0.0/4 masquerade fully-random\n",
			   STR_ARG(net), o->cluster.bits, STR_ARG(net), o->cluster.bits);
	buf_puts(out, "	}\n");
	/* Between pods only, whose both ways pass here: untranslated as such packets are, they
	 * would have the other end reset the connection. */
	if (o->cluster.bits)
		buf_printf(out,
			   "	chain filter-forward { ip saddr %.*s/%u ip daddr %.*s/%u ct state "
			   "invalid drop; }\n",
			   STR_ARG(net), o->cluster.bits, STR_ARG(net), o->cluster.bits);
	buf_puts(out, "}\n");
	policy_base(out);
}
