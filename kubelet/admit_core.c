/*
 * A node's own say about the pods that are bound to it: system, place, room, ports, sysctls; and
 * what of the node is theirs. Must
 * refuse for reasons that last only: a refused pod has failed for good. Pure; owns nothing.
 */
#include "kubelet/admit_core.h"

#include "lib/base/quantity.h"
#include "lib/kube/nodematch.h"

#include "lib/base/pure.h"

static bool no(struct admit_no *ret, const char *reason, const char *message)
{
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
	snprintf(ret->message, sizeof(ret->message), "%s", message);
	return false;
}

/* ---- sysctls ---- */

/* Kube's safe set: namespaced, and no harm to neighbours. */
static const char *const safe_sysctls[] = {"kernel.shm_rmid_forced",
					   "net.ipv4.ip_local_port_range",
					   "net.ipv4.tcp_syncookies",
					   "net.ipv4.ping_group_range",
					   "net.ipv4.ip_unprivileged_port_start",
					   "net.ipv4.ip_local_reserved_ports",
					   "net.ipv4.tcp_keepalive_time",
					   "net.ipv4.tcp_fin_timeout",
					   "net.ipv4.tcp_keepalive_intvl",
					   "net.ipv4.tcp_keepalive_probes"};

const char *sysctl_refusal(const struct pod_spec *pod, struct str name)
{
	bool safe = false;

	/* "net/ipv4/…" says the same. */
	for (size_t i = 0; i < ARRAY_LEN(safe_sysctls) && !safe; i++) {
		safe = strlen(safe_sysctls[i]) == name.n;
		for (size_t c = 0; safe && c < name.n; c++)
			safe = safe_sysctls[i][c] == (name.p[c] == '/' ? '.' : name.p[c]);
	}
	if (!safe)
		return "not allowlisted";
	if (pod->host_network && str_starts(name, STR("net")))
		return "not allowed with host net enabled";
	if (pod->host_ipc && str_starts(name, STR("kernel")))
		return "not allowed with host ipc enabled";
	return NULL;
}

static bool sysctls_ok(const struct pod_spec *pod, struct admit_no *ret)
{
	const struct json *list = json_at(pod->spec, "securityContext", "sysctls");

	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_at(json_item(list, i), "name"));
		const char *why = sysctl_refusal(pod, name);
		if (!why)
			continue;
		(void)no(ret, "SysctlForbidden", "");
		snprintf(ret->message, sizeof(ret->message), "forbidden sysctl: \"%.*s\" %s",
			 STR_ARG(name), why);
		return false;
	}
	return true;
}

/* ---- AppArmor ---- */

static bool wants_apparmor(const struct json *context)
{
	struct str type = json_str(json_at(context, "appArmorProfile", "type"));

	return type.n && !str_is(type, "Unconfined");
}

static bool apparmor_ok(const struct admit_in *in, struct admit_no *ret)
{
	const struct pod_spec *s = in->pod;
	bool wanted = wants_apparmor(json_at(s->spec, "securityContext"));

	for (size_t i = 0; i < s->nmain; i++)
		wanted |= wants_apparmor(json_at(s->c[i].json, "securityContext"));
	if (!wanted || in->apparmor)
		return true;
	return no(ret, "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host");
}

/* ---- room ---- */

struct amounts {
	__int128 cpu_m, memory;
};

static int64_t asked(const struct json *list, const char *name, bool milli)
{
	struct quantity q;

	if (quantity_parse(json_str(json_at(list, name)), &q))
		return 0;
	return milli ? quantity_milli(q) : quantity_value(q);
}

static void add(struct amounts *to, const struct json *list)
{
	to->cpu_m += asked(list, "cpu", true);
	to->memory += asked(list, "memory", false);
}

static void at_least(struct amounts *to, const struct amounts *other)
{
	to->cpu_m = MAX(to->cpu_m, other->cpu_m);
	to->memory = MAX(to->memory, other->memory);
}

/* Init containers run one by one, beside the sidecars that were started before. */
static struct amounts of_pod(const struct pod_spec *s)
{
	struct amounts sidecars = {0}, most = {0}, all;

	for (size_t i = 0; i < s->ninit; i++) {
		const struct json *r = json_at(s->c[i].json, "resources", "requests");
		struct amounts now = sidecars;
		add(&now, r);
		at_least(&most, &now);
		if (s->c[i].sidecar)
			sidecars = now;
	}
	all = sidecars;
	for (size_t i = s->ninit; i < s->nmain; i++)
		add(&all, json_at(s->c[i].json, "resources", "requests"));
	at_least(&all, &most);
	add(&all, json_at(s->spec, "overhead"));
	return all;
}

struct pod_share pod_share(const struct pod_spec *s)
{
	struct amounts want = of_pod(s);
	__int128 shares = want.cpu_m * 1024 / 1000;
	__int128 memory = 0, most = 0;

	for (size_t i = 0; i < s->nmain; i++) {
		int64_t limit =
			asked(json_at(s->c[i].json, "resources", "limits"), "memory", false);
		bool passes = s->c[i].init && !s->c[i].sidecar;
		if (limit <= 0)
			return (struct pod_share){(int64_t)MIN(MAX(shares, 2), 262144), 0};
		memory += passes ? 0 : limit;
		most = MAX(most, passes ? limit : 0);
	}
	memory = MAX(memory, most) + asked(json_at(s->spec, "overhead"), "memory", false);
	return (struct pod_share){(int64_t)MIN(MAX(shares, 2), 262144),
				  (int64_t)MIN(memory, INT64_MAX)};
}

static bool fits(const char *name, __int128 want, __int128 used, int64_t all, struct admit_no *ret)
{
	if (want <= 0 || used + want <= all)
		return true;
	snprintf(ret->reason, sizeof(ret->reason), "OutOf%s", name);
	snprintf(ret->message, sizeof(ret->message),
		 "Node didn't have enough resource: %s, requested: %lld, used: %lld, capacity: "
		 "%lld",
		 name, (long long)want, (long long)used, (long long)all);
	return false;
}

static bool room_ok(const struct admit_in *in, struct admit_no *ret)
{
	struct amounts want = of_pod(in->pod), used = {0};

	for (size_t i = 0; i < in->nothers; i++) {
		struct amounts one = of_pod(in->others[i]);
		used.cpu_m += one.cpu_m;
		used.memory += one.memory;
	}
	return fits("pods", 1, (__int128)in->nothers, in->max_pods, ret) &&
	       fits("cpu", want.cpu_m, used.cpu_m, in->cpu_m, ret) &&
	       fits("memory", want.memory, used.memory, in->memory, ret);
}

/* ---- ports of the host ---- */

struct host_port {
	struct str ip, protocol;
	int64_t port;
};

/* The nth port of the host that the pod asks for. */
static bool host_port(const struct pod_spec *s, size_t n, struct host_port *ret)
{
	for (size_t i = 0; i < s->nmain; i++) {
		const struct json *ports = json_at(s->c[i].json, "ports");
		for (size_t j = 0; j < json_len(ports); j++) {
			const struct json *p = json_item(ports, j);
			int64_t port = json_int(json_at(p, "hostPort"), 0);
			if (port <= 0 || n--)
				continue;
			ret->port = port;
			ret->ip = json_str(json_at(p, "hostIP"));
			ret->protocol = json_str_or(json_at(p, "protocol"), STR("TCP"));
			return true;
		}
	}
	return false;
}

static bool any_ip(struct str ip)
{
	return !ip.n || str_is(ip, "0.0.0.0") || str_is(ip, "::");
}

static bool ports_clash(const struct pod_spec *a, const struct pod_spec *b)
{
	struct host_port x, y;

	for (size_t i = 0; host_port(a, i, &x); i++) {
		for (size_t j = 0; host_port(b, j, &y); j++) {
			if (x.port == y.port && str_eq(x.protocol, y.protocol) &&
			    (any_ip(x.ip) || any_ip(y.ip) || str_eq(x.ip, y.ip)))
				return true;
		}
	}
	return false;
}

/* ---- all ---- */

static bool place_ok(const struct admit_in *in, struct admit_no *ret)
{
	struct str os = json_str(json_at(in->pod->spec, "os", "name"));

	if (os.n && !str_is(os, "linux"))
		return no(ret, "PodOSNotSupported",
			  "Failed to admit pod as the OS field doesn't match node OS");
	if (!in->node)
		return true;
	struct node_facts facts = node_facts_of(in->node);
	if (nodematch_pod(json_at(in->pod->spec, "nodeSelector"),
			  json_at(in->pod->spec, "affinity", "nodeAffinity"), &facts))
		return true;
	return no(ret, "NodeAffinity",
		  "Predicate NodeAffinity failed: node(s) didn't match Pod's node "
		  "affinity/selector");
}

bool pod_admit(const struct admit_in *in, struct admit_no *ret)
{
	if (!place_ok(in, ret) || !sysctls_ok(in->pod, ret) || !apparmor_ok(in, ret) ||
	    !room_ok(in, ret))
		return false;
	for (size_t i = 0; i < in->nothers; i++) {
		if (ports_clash(in->pod, in->others[i]))
			return no(ret, "NodePorts",
				  "Predicate NodePorts failed: node(s) didn't have free ports for "
				  "the requested pod ports");
	}
	return true;
}
