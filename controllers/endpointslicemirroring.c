/*
 * EndpointSlices for Endpoints that people write by hand, for Services without a selector: the
 * dataplane and the name server read slices only. Must never touch slices that another writer made,
 * nor mirror Endpoints that have slices of their own (label skip-mirror) or none to speak of
 * (leader election). Pure.
 */
#include "controllers/endpoints_core.h"

#include "lib/base/pure.h"

#define LABEL_SERVICE "kubernetes.io/service-name"
#define LABEL_MANAGED "endpointslice.kubernetes.io/managed-by"
#define LABEL_SKIP "endpointslice.kubernetes.io/skip-mirror"
#define LEADER "control-plane.alpha.kubernetes.io/leader"
#define MANAGER "endpointslicemirroring-controller.k8s.io"

enum { ENDPOINTS_MAX = 1000 };

struct mirror {
	const struct view *v;
	const struct json *endpoints;
	struct plan *plan;
	struct json_set_view had;
	bool *kept;
	size_t made;
};

static bool is_ours(const struct json *slice)
{
	return str_is(meta_label(slice, LABEL_MANAGED), MANAGER);
}

static bool wanted(const struct json *endpoints, const struct json *service)
{
	return endpoints && !meta_deleting(endpoints) && service && !meta_deleting(service) &&
	       !json_len(json_at(service, "spec", "selector")) &&
	       !str_is(json_str(json_at(service, "spec", "type")), "ExternalName") &&
	       !str_is(meta_label(endpoints, LABEL_SKIP), "true") &&
	       !meta_annotation(endpoints, LEADER).p;
}

/* ---- content ---- */

static void add_addresses(struct arena *a, struct json *out, const struct json *list, bool ipv6,
			  bool ready)
{
	static const char *const same[] = {"hostname", "nodeName", "targetRef"};

	for (size_t i = 0; i < json_len(list) && json_len(out) < ENDPOINTS_MAX; i++) {
		const struct json *from = json_item(list, i);
		struct str ip = json_str(json_at(from, "ip"));
		struct json *e;

		if (!ip.n || (str_find(ip, STR(":")) >= 0) != ipv6)
			continue;
		e = json_append_object(a, out);
		json_append_str(a, json_set_array(a, e, "addresses"), ip);
		json_set(a, e, STR("conditions"), json_build(a, "{s:b}", "ready", (int)ready));
		for (size_t k = 0; k < ARRAY_LEN(same); k++)
			if (json_get(from, str_c(same[k])))
				json_set(a, e, str_c(same[k]), json_get(from, str_c(same[k])));
	}
}

/* A port without a name is called "" here. */
static const struct json *slice_ports(struct arena *a, const struct json *ports)
{
	struct json *all = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *from = json_item(ports, i);
		struct str app = json_str(json_at(from, "appProtocol"));
		struct json *p = json_append_object(a, all);

		json_set_str(a, p, "name", json_str_or(json_at(from, "name"), STR("")));
		json_set_int(a, p, "port", json_int(json_at(from, "port"), 0));
		json_set_str(a, p, "protocol", json_str_or(json_at(from, "protocol"), STR("TCP")));
		if (app.n)
			json_set_str(a, p, "appProtocol", app);
	}
	return all;
}

static void copy_but(struct arena *a, struct json *to, const struct json *from,
		     const char *const *but)
{
	const struct json_member *m = json_members(from);

	for (size_t i = 0; i < json_len(from); i++) {
		bool skip = false;

		for (size_t k = 0; but[k] && !skip; k++)
			skip = str_is(m[i].key, but[k]);
		if (!skip)
			json_set(a, to, m[i].key, &m[i].value);
	}
}

static struct json *metadata(struct mirror *m)
{
	static const char *const labels_but[] = {LABEL_MANAGED, LABEL_SERVICE, NULL};
	static const char *const annotations_but[] = {
		"kubectl.kubernetes.io/last-applied-configuration",
		"endpoints.kubernetes.io/last-change-trigger-time", NULL};
	const struct json *meta = json_at(m->endpoints, "metadata");
	struct arena *a = m->v->arena;
	struct json *out = json_new(a, JSON_OBJECT), *labels = json_set_object(a, out, "labels");
	struct json *annotations = json_new(a, JSON_OBJECT);

	copy_but(a, labels, json_at(meta, "labels"), labels_but);
	json_set_str(a, labels, LABEL_SERVICE, meta_name(m->endpoints));
	json_set_str(a, labels, LABEL_MANAGED, STR(MANAGER));
	copy_but(a, annotations, json_at(meta, "annotations"), annotations_but);
	if (json_len(annotations))
		json_set(a, out, STR("annotations"), annotations);
	json_append(a, json_set_array(a, out, "ownerReferences"),
		    meta_owner_ref(a, m->endpoints, true));
	return out;
}

/* ---- slices ---- */

/* Derived from what it mirrors: decided twice, named the same. */
static struct str new_name(struct mirror *m, const char *family)
{
	struct str base = str_sub(meta_name(m->endpoints), 0, 253 - 6);

	for (unsigned number = 0;; number++) {
		uint32_t code = str_fnv32(arena_strf(m->v->arena, "%.*s/%s/%zu/%u",
						     STR_ARG(meta_uid(m->endpoints)), family,
						     m->made, number));
		char suffix[5];
		struct str name;

		for (size_t i = 0; i < sizeof(suffix); i++, code /= 27)
			suffix[i] = name_alphabet[code % 27];
		name = arena_strf(m->v->arena, "%.*s-%.*s", STR_ARG(base), (int)sizeof(suffix),
				  suffix);
		if (!view_get(m->v, &res_endpointslices, meta_namespace(m->endpoints), name))
			return name;
	}
}

static void create(struct mirror *m, const char *family, const struct json *content)
{
	struct arena *a = m->v->arena;
	struct json *slice = object_new(a, &res_endpointslices, meta_namespace(m->endpoints),
					new_name(m, family));
	const struct json *from = metadata(m);
	struct json *meta = json_set_object(a, slice, "metadata");

	m->made++;
	for (size_t i = 0; i < json_len(from); i++)
		json_set(a, meta, json_members(from)[i].key, &json_members(from)[i].value);
	json_set_str(a, meta, "generateName",
		     arena_strf(a, "%.*s-", STR_ARG(meta_name(m->endpoints))));
	json_set_str(a, slice, "addressType", str_c(family));
	json_set(a, slice, STR("endpoints"), json_at(content, "endpoints"));
	json_set(a, slice, STR("ports"), json_at(content, "ports"));
	plan_create(m->plan, &res_endpointslices, slice);
	m->plan->last->ignore_exists = true;
}

static void update(struct mirror *m, const struct json *was, const struct json *content)
{
	static const char *const parts[] = {"labels", "annotations"};
	struct arena *a = m->v->arena;
	struct json *slice = json_copy(a, was), *meta = json_set_object(a, slice, "metadata");
	const struct json *from = metadata(m);

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		json_del(meta, str_c(parts[i]));
		if (json_get(from, str_c(parts[i])))
			json_set(a, meta, str_c(parts[i]), json_get(from, str_c(parts[i])));
	}
	json_set(a, slice, STR("endpoints"), json_at(content, "endpoints"));
	if (json_equal(slice, was))
		return;
	plan_update(m->plan, &res_endpointslices, slice);
	m->plan->last->ignore_not_found = true;
}

static void place(struct mirror *m, const struct json *subset, bool ipv6)
{
	struct arena *a = m->v->arena;
	const char *family = ipv6 ? "IPv6" : "IPv4";
	struct json *content = json_new(a, JSON_OBJECT);
	struct json *endpoints = json_set_array(a, content, "endpoints");

	add_addresses(a, endpoints, json_at(subset, "addresses"), ipv6, true);
	add_addresses(a, endpoints, json_at(subset, "notReadyAddresses"), ipv6, false);
	if (!json_len(endpoints))
		return;
	json_set(a, content, STR("ports"), slice_ports(a, json_at(subset, "ports")));
	for (size_t i = 0; i < m->had.n; i++) {
		const struct json *was = m->had.v[i];

		if (m->kept[i] || !is_ours(was) || meta_deleting(was) ||
		    !str_is(json_str(json_at(was, "addressType")), family) ||
		    !json_equal(json_at(was, "ports"), json_at(content, "ports")))
			continue;
		m->kept[i] = true;
		update(m, was, content);
		return;
	}
	create(m, family, content);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	struct mirror m = {.v = v,
			   .endpoints = view_get(v, &res_endpoints, namespace, name),
			   .plan = p,
			   .had = view_by_index(v, &res_endpointslices, INDEX_LABEL,
						arena_strf(v->arena, "%.*s/" LABEL_SERVICE "=%.*s",
							   STR_ARG(namespace), STR_ARG(name)))};
	const struct json *subsets = json_at(m.endpoints, "subsets");

	m.kept = arena_array(v->arena, m.had.n + 1, sizeof(*m.kept));
	if (wanted(m.endpoints, view_get(v, &res_services, namespace, name)))
		for (size_t i = 0; i < json_len(subsets); i++) {
			place(&m, json_item(subsets, i), false);
			place(&m, json_item(subsets, i), true);
		}
	for (size_t i = 0; i < m.had.n; i++)
		if (!m.kept[i] && is_ours(m.had.v[i]) && !meta_deleting(m.had.v[i]))
			plan_delete(p, &res_endpointslices, m.had.v[i])->ignore_not_found = true;
	return 0;
}

static void map_slice(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		      void *ctx)
{
	struct str service = obj_label(o, STR(LABEL_SERVICE));

	if (service.n && str_is(obj_label(o, STR(LABEL_MANAGED)), MANAGER))
		put(ctx, obj_key(a, o->namespace, service));
}

static void map_same(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		     void *ctx)
{
	put(ctx, obj_key(a, o->namespace, o->name));
}

static const struct controller_watch watches[] = {
	{&res_endpoints, NULL, NULL, NULL},
	{&res_services, map_same, NULL, NULL},
	{&res_endpointslices, map_slice, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_endpointslices, INDEX_LABEL, index_by_label},
	{0},
};

const struct controller controller_endpointslicemirroring = {
	.name = "endpointslicemirroring",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
