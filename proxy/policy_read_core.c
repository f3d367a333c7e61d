/*
 * Reads a NetworkPolicy into selectors, networks and numbers. Whoever may write one may write
 * anything: what doesn't make sense matches nothing, which shuts out rather than lets in. Pure;
 * memory is the policy's own arena.
 */
#include "proxy/policy-internal.h"

#include "lib/base/pure.h"

static bool read_selector(struct policy *p, const struct json *v, struct selector *ret)
{
	if (!v || json_is(v, JSON_NULL))
		return false;
	if (selector_from_json(&p->a, v, ret, NULL))
		*ret = (struct selector){.nothing = true};
	return true;
}

static bool read_block(struct policy *p, const struct json *v, struct policy_peer *ret)
{
	const struct json *except = json_get(v, STR("except"));

	if (!json_is(v, JSON_OBJECT))
		return false;
	ret->is_block = true;
	/* IPv6 is of no concern here, and nothing else is a network: bits 33 match nothing. */
	if (cidr_parse(json_str(json_get(v, STR("cidr"))), &ret->block))
		ret->block.bits = 33;
	ret->except = arena_array(&p->a, json_len(except) + 1, sizeof(*ret->except));
	for (size_t i = 0; i < json_len(except); i++)
		if (!cidr_parse(json_str(json_item(except, i)), &ret->except[ret->nexcept]))
			ret->nexcept++;
	return true;
}

static void read_peer(struct policy *p, const struct json *v, struct policy_peer *ret)
{
	*ret = (struct policy_peer){0};
	if (read_block(p, json_get(v, STR("ipBlock")), ret))
		return;
	ret->has_pods = read_selector(p, json_get(v, STR("podSelector")), &ret->pods);
	ret->has_namespaces =
		read_selector(p, json_get(v, STR("namespaceSelector")), &ret->namespaces);
	if (!ret->has_pods && !ret->has_namespaces) {
		ret->has_pods = true;
		ret->pods.nothing = true;
	}
}

/* False when it speaks of a protocol or number that there isn't. */
static bool read_port(const struct json *v, struct policy_port *ret)
{
	struct str proto = json_str_or(json_get(v, STR("protocol")), STR("TCP"));
	const struct json *port = json_get(v, STR("port"));
	int64_t from = json_int(port, 0), to = json_int(json_get(v, STR("endPort")), from);

	*ret = (struct policy_port){.name = json_str(port)};
	ret->proto = str_is(proto, "UDP")    ? IPPROTO_UDP
		     : str_is(proto, "SCTP") ? IPPROTO_SCTP
					     : IPPROTO_TCP;
	if (from < 0 || to < from || to > UINT16_MAX)
		return false;
	ret->from = (uint16_t)from;
	ret->to = (uint16_t)to;
	return true;
}

static void read_rule(struct policy *p, const struct json *v, const char *peers,
		      struct policy_rule *ret)
{
	const struct json *list = json_get(v, str_c(peers)), *ports = json_get(v, STR("ports"));

	*ret = (struct policy_rule){.npeers = json_len(list)};
	ret->peers = arena_array(&p->a, ret->npeers + 1, sizeof(*ret->peers));
	for (size_t i = 0; i < ret->npeers; i++)
		read_peer(p, json_item(list, i), &ret->peers[i]);
	ret->ports = arena_array(&p->a, json_len(ports) + 1, sizeof(*ret->ports));
	for (size_t i = 0; i < json_len(ports); i++)
		ret->nports += read_port(json_item(ports, i), &ret->ports[ret->nports]);
	/* Ports that all make no sense are still no "any port". */
	if (json_len(ports) && !ret->nports)
		ret->ports[ret->nports++] = (struct policy_port){.from = 1};
}

static void read_rules(struct policy *p, enum policy_direction d, const struct json *list,
		       const char *peers)
{
	p->nrules[d] = json_len(list);
	p->rules[d] = arena_array(&p->a, p->nrules[d] + 1, sizeof(*p->rules[d]));
	for (size_t i = 0; i < p->nrules[d]; i++)
		read_rule(p, json_item(list, i), peers, &p->rules[d][i]);
}

void policy_read(struct policy *p, const struct json *o)
{
	const struct json *spec = json_get(o, STR("spec"));
	const struct json *types = json_get(spec, STR("policyTypes"));

	if (!read_selector(p, json_get(spec, STR("podSelector")), &p->selector))
		p->selector = (struct selector){0};
	for (size_t i = 0; i < json_len(types); i++) {
		struct str type = json_str(json_item(types, i));

		p->applies[POLICY_INGRESS] |= str_is(type, "Ingress");
		p->applies[POLICY_EGRESS] |= str_is(type, "Egress");
	}
	read_rules(p, POLICY_INGRESS, json_get(spec, STR("ingress")), "from");
	read_rules(p, POLICY_EGRESS, json_get(spec, STR("egress")), "to");
}
