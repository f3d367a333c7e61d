/*
 * The ports that a pod asks for on its node: elements of two maps, by port, or by address and port
 * where it names one (hostIP). Whoever takes a port first by the order of keys has it; the
 * scheduler sees to it that nobody has to ask. Pure; memory in the caller's arena.
 */
#include "proxy/ruleset.h"
#include "proxy/udp.h"

#include "lib/base/pure.h"

static uint8_t proto_of(const struct json *port)
{
	struct str s = json_str_or(json_get(port, STR("protocol")), STR("TCP"));

	return str_is(s, "UDP") ? IPPROTO_UDP : str_is(s, "SCTP") ? IPPROTO_SCTP : IPPROTO_TCP;
}

static struct str ip_text(struct arena *a, uint32_t ip)
{
	char text[16];

	return arena_str(a, ip4_format(ip, text));
}

static void put_port(struct arena *a, const struct json *port, struct str pod_ip, struct rules *ret)
{
	int64_t host = json_int(json_get(port, STR("hostPort")), 0);
	int64_t inside = json_int(json_get(port, STR("containerPort")), 0);
	struct str at = json_str(json_get(port, STR("hostIP")));
	struct rule rule = {.kind = RULE_ELEMENT, .object = STR("host-ports")};
	uint32_t ip = 0;

	if (host <= 0 || host > UINT16_MAX || inside <= 0 || inside > UINT16_MAX)
		return;
	if (at.n && ip4_parse(at, &ip))
		return;
	rule.key = arena_strf(a, "%s . %u", proto_name(proto_of(port)), (unsigned)host);
	if (ip) {
		rule.object = STR("host-ports-at");
		rule.key = arena_strf(a, "%.*s . %.*s", STR_ARG(ip_text(a, ip)), STR_ARG(rule.key));
	}
	rule.text = arena_strf(a, "%.*s . %u", STR_ARG(pod_ip), (unsigned)inside);
	rules_add(a, ret, rule);
	/* To itself by way of its node. */
	rules_add(a, ret,
		  (struct rule){RULE_ELEMENT, STR("hairpin"),
				arena_strf(a, "%.*s . %.*s", STR_ARG(pod_ip), STR_ARG(pod_ip)),
				STR("")});
}

void rules_of_host_ports(struct arena *a, const struct json *pod, struct rules *ret)
{
	const struct json *spec = json_get(pod, STR("spec"));
	const struct json *containers = json_get(spec, STR("containers"));
	struct str phase = json_str(json_at(pod, "status", "phase"));
	uint32_t ip;

	if (json_bool(json_get(spec, STR("hostNetwork")), false) || str_is(phase, "Succeeded") ||
	    str_is(phase, "Failed") || ip4_parse(json_str(json_at(pod, "status", "podIP")), &ip))
		return;
	for (size_t i = 0; i < json_len(containers); i++) {
		const struct json *ports = json_get(json_item(containers, i), STR("ports"));

		for (size_t j = 0; j < json_len(ports); j++)
			put_port(a, json_item(ports, j), ip_text(a, ip), ret);
	}
}

void udp_of_host_ports(struct arena *a, const struct json *pod, struct udp_fronts *f)
{
	const struct json *containers = json_at(pod, "spec", "containers");

	for (size_t i = 0; i < json_len(containers); i++) {
		const struct json *ports = json_get(json_item(containers, i), STR("ports"));

		for (size_t j = 0; j < json_len(ports); j++) {
			const struct json *port = json_item(ports, j);
			int64_t host = json_int(json_get(port, STR("hostPort")), 0);
			uint32_t ip = 0;

			if (proto_of(port) != IPPROTO_UDP || host <= 0 || host > UINT16_MAX)
				continue;
			if (ip4_parse(json_str(json_get(port, STR("hostIP"))), &ip))
				ip = 0;
			udp_add_gone(a, f, ip, (uint16_t)host);
		}
	}
}
