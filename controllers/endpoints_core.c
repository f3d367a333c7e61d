/*
 * Backends of Services, read off pods. Runs inside reconcile functions: pure, in the view's
 * arena.
 */
#include "controllers/endpoints_core.h"

#include "lib/base/pure.h"

bool service_selects_pods(const struct json *service)
{
	return json_len(json_at(service, "spec", "selector")) > 0 &&
	       !str_is(json_str(json_at(service, "spec", "type")), "ExternalName");
}

bool service_headless(const struct json *service)
{
	return str_is(json_str(json_at(service, "spec", "clusterIP")), "None");
}

void service_families(const struct json *service, bool *ret_ipv4, bool *ret_ipv6)
{
	const struct json *families = json_at(service, "spec", "ipFamilies");

	*ret_ipv4 = *ret_ipv6 = false;
	for (size_t i = 0; i < json_len(families); i++) {
		*ret_ipv4 |= str_is(json_str(json_item(families, i)), "IPv4");
		*ret_ipv6 |= str_is(json_str(json_item(families, i)), "IPv6");
	}
	if (!json_len(families))
		*ret_ipv4 = true;
}

struct json *pod_target_ref(struct arena *a, const struct json *pod)
{
	return json_build(a, "{s:s, s:S, s:S, s:S}", "kind", "Pod", "namespace",
			  meta_namespace(pod), "name", meta_name(pod), "uid", meta_uid(pod));
}

/* ---- ports ---- */

static int64_t named_port(const struct json *containers, bool sidecars_only, struct str name,
			  struct str protocol)
{
	for (size_t i = 0; i < json_len(containers); i++) {
		const struct json *c = json_item(containers, i), *ports = json_at(c, "ports");

		if (sidecars_only && !str_is(json_str(json_at(c, "restartPolicy")), "Always"))
			continue;
		for (size_t j = 0; j < json_len(ports); j++) {
			const struct json *p = json_item(ports, j);

			if (str_eq(json_str(json_at(p, "name")), name) &&
			    str_eq(json_str_or(json_at(p, "protocol"), STR("TCP")), protocol))
				return json_int(json_at(p, "containerPort"), 0);
		}
	}
	return 0;
}

/* 0 = the pod has no such port: then it isn't a backend of it. */
static int64_t target_port(const struct json *pod, const struct json *port, struct str protocol)
{
	const struct json *target = json_at(port, "targetPort");
	struct str name = json_str(target);
	int64_t found;

	if (!name.n)
		return json_int(target, json_int(json_at(port, "port"), 0));
	found = named_port(json_at(pod, "spec", "containers"), false, name, protocol);
	if (!found)
		found = named_port(json_at(pod, "spec", "initContainers"), true, name, protocol);
	return found;
}

static const struct json *backend_ports(struct arena *a, const struct json *service,
					const struct json *pod)
{
	const struct json *ports = json_at(service, "spec", "ports");
	struct json *all = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		struct str protocol = json_str_or(json_at(p, "protocol"), STR("TCP"));
		struct str app = json_str(json_at(p, "appProtocol"));
		int64_t number = target_port(pod, p, protocol);
		struct json *out;

		if (number <= 0)
			continue;
		out = json_append_object(a, all);
		json_set_str(a, out, "name", json_str_or(json_at(p, "name"), STR("")));
		json_set_int(a, out, "port", number);
		json_set_str(a, out, "protocol", protocol);
		if (app.n)
			json_set_str(a, out, "appProtocol", app);
	}
	return all;
}

/* ---- pods ---- */

static struct str pod_ip(const struct json *pod, bool ipv6)
{
	const struct json *all = json_at(pod, "status", "podIPs");
	struct str ip = json_str(json_at(pod, "status", "podIP"));

	for (size_t i = 0; i < json_len(all); i++) {
		struct str each = json_str(json_at(json_item(all, i), "ip"));

		if (each.n && (str_find(each, STR(":")) >= 0) == ipv6)
			return each;
	}
	if (ip.n && (str_find(ip, STR(":")) >= 0) == ipv6)
		return ip;
	return STR_NONE;
}

struct backends service_backends(const struct view *v, const struct json *service, bool ipv6)
{
	bool publish = json_bool(json_at(service, "spec", "publishNotReadyAddresses"), false);
	struct json_set_view pods;
	struct backends b = {0};
	struct selector s;

	if (selector_from_map(v->arena, json_at(service, "spec", "selector"), &s, NULL) != 0)
		return b;
	pods = select_objects(v, &res_pods, meta_namespace(service), &s);
	b.v = arena_array(v->arena, pods.n + 1, sizeof(*b.v));
	for (size_t i = 0; i < pods.n; i++) {
		const struct json *pod = pods.v[i];
		struct str ip = pod_ip(pod, ipv6);
		bool terminating = meta_deleting(pod), serving = pod_ready(pod);

		if (!ip.n || pod_finished(pod))
			continue;
		b.v[b.n++] = (struct backend){
			.pod = pod,
			.ip = ip,
			.ready = publish || (serving && !terminating),
			.serving = serving,
			.terminating = terminating,
			.ports = backend_ports(v->arena, service, pod),
		};
	}
	return b;
}

/* ---- which Services select a pod ---- */

static struct str label_text(struct arena *a, struct str namespace, struct str key,
			     struct str value)
{
	return arena_strf(a, "%.*s/%.*s=%.*s", STR_ARG(namespace), STR_ARG(key), STR_ARG(value));
}

void index_selects(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		   void *ctx)
{
	const struct json *selector = json_at(obj_tree(o, a), "spec", "selector");
	const struct json_member *m = json_members(selector);

	/* Any one will do: a pod without it isn't selected. */
	if (json_len(selector))
		put(ctx, label_text(a, o->namespace, m[0].key, json_str(&m[0].value)));
}

void map_pod_to_services(const struct view *v, const struct obj *o,
			 void (*put)(void *ctx, struct str key), void *ctx)
{
	for (uint32_t i = 0; i < o->nlabels; i++) {
		struct json_set_view found = view_by_index(
			v, &res_services, INDEX_SELECTS,
			label_text(v->arena, o->namespace, o->labels[i].key, o->labels[i].value));

		for (size_t j = 0; j < found.n; j++) {
			struct selector s;

			if (selector_from_map(v->arena, json_at(found.v[j], "spec", "selector"), &s,
					      NULL) == 0 &&
			    selector_match_obj(&s, o))
				put(ctx, obj_key(v->arena, o->namespace, meta_name(found.v[j])));
		}
	}
}
