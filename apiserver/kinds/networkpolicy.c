/* NetworkPolicies: who may talk to whom. Pure. */
#include "apiserver/kinds/rules_net.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Pod-Selector", "string", "Which pods it is about."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_selector(c, cells, json_at(o, "spec", "podSelector"));
	cell_age(c, cells, o);
}

/* Without a word: ingress, and egress where there are rules for it. */
static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec"), *types;

	if (json_len(json_get(spec, STR("policyTypes"))))
		return;
	types = json_set_array(c->a, spec, "policyTypes");
	json_append_str(c->a, types, STR("Ingress"));
	if (json_len(json_get(spec, STR("egress"))))
		json_append_str(c->a, types, STR("Egress"));
}

static void check_block(struct kind_ctx *c, const struct spath *peer, const struct json *block)
{
	struct spath at = SPATH_FIELD(peer, "ipBlock"), all = SPATH_FIELD(&at, "except");
	const struct json *cidr = json_get(block, STR("cidr")),
			  *except = json_get(block, STR("except"));

	if (!json_str(cidr).n)
		rule_required(c, &at, "cidr", NULL);
	else
		rule_cidr(c, &at, "cidr", cidr);
	if (!cidr_family(json_str(cidr)))
		return;
	for (size_t i = 0; i < json_len(except); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *v = json_item(except, i);

		rule_cidr(c, &here, NULL, v);
		if (cidr_family(json_str(v)) && cidr_family(json_str(cidr)) &&
		    !cidr_within(json_str(v), json_str(cidr)))
			rule_invalid(c, &here, NULL, v,
				     arena_printf(c->a, "must be a strict subset of `%.*s`",
						  STR_ARG(json_str(cidr))));
	}
}

static void check_port(struct kind_ctx *c, const struct spath *at, const struct json *port)
{
	const struct json *first = json_get(port, STR("port")),
			  *last = json_get(port, STR("endPort"));

	if (first)
		rule_port_or_name(c, at, "port", first);
	if (!last)
		return;
	if (!first)
		rule_required(c, at, "port", "must be specified when endPort is set");
	else if (json_str(first).p)
		rule_invalid(c, at, "endPort", last,
			     "must not be specified when port is non-numeric");
	else if (json_int(last, 0) < json_int(first, 0))
		rule_invalid(c, at, "endPort", last, "must be greater than or equal to `port`");
	rule_port(c, at, "endPort", last);
}

static void check_rules(struct kind_ctx *c, const struct spath *at, const struct json *rules,
			const char *peers)
{
	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *ports = json_get(json_item(rules, i), STR("ports"));
		const struct json *list = json_get(json_item(rules, i), str_c(peers));
		struct spath here = SPATH_INDEX(at, i), all_ports = SPATH_FIELD(&here, "ports");
		struct spath all = {.up = &here, .name = str_c(peers)};
		for (size_t k = 0; k < json_len(ports); k++) {
			struct spath port = SPATH_INDEX(&all_ports, k);
			check_port(c, &port, json_item(ports, k));
		}
		for (size_t k = 0; k < json_len(list); k++) {
			const struct json *p = json_item(list, k);
			struct spath peer = SPATH_INDEX(&all, k);
			if (!json_len(p))
				rule_required(c, &peer, NULL, "must specify a peer");
			if (json_get(p, STR("ipBlock")) && json_len(p) > 1)
				rule_forbidden(c, &peer, NULL,
					       "may not specify both ipBlock and another peer");
			if (json_get(p, STR("ipBlock")))
				check_block(c, &peer, json_get(p, STR("ipBlock")));
			rule_selector(c, &peer, "podSelector", json_get(p, STR("podSelector")));
			rule_selector(c, &peer, "namespaceSelector",
				      json_get(p, STR("namespaceSelector")));
		}
	}
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	struct spath in = SPATH_FIELD(&at, "ingress"), out = SPATH_FIELD(&at, "egress");
	const struct json *spec = json_get(next, STR("spec"));

	(void)live;
	rule_selector(c, &at, "podSelector", json_get(spec, STR("podSelector")));
	check_rules(c, &in, json_get(spec, STR("ingress")), "from");
	check_rules(c, &out, json_get(spec, STR("egress")), "to");
	if (json_len(json_get(spec, STR("policyTypes"))) > 2)
		rule_invalid(c, &at, "policyTypes", json_get(spec, STR("policyTypes")),
			     "may not specify more than two policyTypes");
}

static const char *const short_names[] = {"netpol", NULL};

const struct kind kind_networkpolicy = {
	.group = "networking.k8s.io",
	.version = "v1",
	.kind = "NetworkPolicy",
	.plural = "networkpolicies",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_GENERATION | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.networking.v1.NetworkPolicy",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
};
