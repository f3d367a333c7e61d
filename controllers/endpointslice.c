/*
 * EndpointSlice: the backends of each Service with a selector, in slices of at most 100 for each
 * address family and set of ports. Backends stay in the slice they are in, so that a change
 * touches few slices. Pure.
 */
#include "controllers/endpoints_core.h"

#include "lib/base/pure.h"

#define LABEL_SERVICE "kubernetes.io/service-name"
#define LABEL_MANAGED "endpointslice.kubernetes.io/managed-by"
#define LABEL_HEADLESS "service.kubernetes.io/headless"
#define MANAGER "endpointslice-controller.k8s.io"

enum { SLICE_MAX = 100 };

struct slices {
	const struct view *v;
	const struct json *service;
	struct plan *plan;
	struct trees existing; /* ours, of this Service */
	bool *kept;            /* existing[i] stays */
	struct trees made;     /* names given in this plan */
	size_t left;           /* slices that there will be */
};

/* ---- one endpoint ---- */

/* Each endpoint is for its own zone; who is elsewhere, and has none, asks all. */
static bool stays_close(const struct json *service)
{
	return str_is(json_str(json_at(service, "spec", "trafficDistribution")), "PreferClose");
}

static struct json *endpoint_json(const struct slices *s, const struct backend *b)
{
	struct arena *a = s->v->arena;
	struct json *e = json_new(a, JSON_OBJECT), *conditions;
	struct str node = json_str(json_at(b->pod, "spec", "nodeName")), zone;
	struct str hostname = json_str(json_at(b->pod, "spec", "hostname"));

	json_append_str(a, json_set_array(a, e, "addresses"), b->ip);
	conditions = json_set_object(a, e, "conditions");
	json_set_bool(a, conditions, "ready", b->ready);
	json_set_bool(a, conditions, "serving", b->serving);
	json_set_bool(a, conditions, "terminating", b->terminating);
	if (hostname.n &&
	    str_eq(json_str(json_at(b->pod, "spec", "subdomain")), meta_name(s->service)))
		json_set_str(a, e, "hostname", hostname);
	json_set(a, e, STR("targetRef"), pod_target_ref(a, b->pod));
	if (!node.n)
		return e;
	json_set_str(a, e, "nodeName", node);
	zone = meta_label(view_get(s->v, &res_nodes, STR_NONE, node),
			  "topology.kubernetes.io/zone");
	if (zone.n)
		json_set_str(a, e, "zone", zone);
	if (zone.n && b->ready && stays_close(s->service))
		json_set(a, e, STR("hints"),
			 json_build(a, "{s:[{s:S}]}", "forZones", "name", zone));
	return e;
}

/* ---- one slice ---- */

static struct json *slice_labels(const struct slices *s)
{
	struct arena *a = s->v->arena;
	const struct json *of_service = json_at(s->service, "metadata", "labels");
	struct json *labels =
		json_len(of_service) ? json_copy(a, of_service) : json_new(a, JSON_OBJECT);

	json_set_str(a, labels, LABEL_SERVICE, meta_name(s->service));
	json_set_str(a, labels, LABEL_MANAGED, STR(MANAGER));
	if (service_headless(s->service))
		json_set_str(a, labels, LABEL_HEADLESS, STR(""));
	return labels;
}

static bool name_taken(const struct slices *s, struct str name)
{
	for (size_t i = 0; i < s->made.n; i++)
		if (str_eq(meta_name(s->made.v[i]), name))
			return true;
	return view_get(s->v, &res_endpointslices, meta_namespace(s->service), name) != NULL;
}

/* Derived from the Service, the family, the ports and a number: decided twice, named the same. */
static struct str new_name(const struct slices *s, const char *family, const struct json *ports)
{
	struct str base = str_sub(meta_name(s->service), 0, 253 - 6);
	AUTO(buf) struct buf b = {0};

	json_write_sorted(ports, &b);
	for (unsigned number = 0;; number++) {
		uint32_t code = str_fnv32(arena_strf(s->v->arena, "%.*s/%s/%.*s/%u",
						     STR_ARG(meta_uid(s->service)), family,
						     STR_ARG(buf_view(&b)), number));
		char suffix[5];
		struct str name;

		for (size_t i = 0; i < sizeof(suffix); i++, code /= 27)
			suffix[i] = name_alphabet[code % 27];
		name = arena_strf(s->v->arena, "%.*s-%.*s", STR_ARG(base), (int)sizeof(suffix),
				  suffix);
		if (!name_taken(s, name))
			return name;
	}
}

static void create_slice(struct slices *s, const char *family, const struct json *ports,
			 const struct json *endpoints)
{
	struct arena *a = s->v->arena;
	struct json *slice = object_new(a, &res_endpointslices, meta_namespace(s->service),
					new_name(s, family, ports));
	struct json *meta = json_set_object(a, slice, "metadata");

	json_set_str(a, meta, "generateName",
		     arena_strf(a, "%.*s-", STR_ARG(meta_name(s->service))));
	json_set(a, meta, STR("labels"), slice_labels(s));
	json_append(a, json_set_array(a, meta, "ownerReferences"),
		    meta_owner_ref(a, s->service, true));
	json_set_str(a, slice, "addressType", str_c(family));
	json_set(a, slice, STR("endpoints"), endpoints);
	json_set(a, slice, STR("ports"), ports);
	trees_add(a, &s->made, slice);
	s->left++;
	plan_create(s->plan, &res_endpointslices, slice);
	s->plan->last->ignore_exists = true;
}

static void update_slice(struct slices *s, const struct json *was, const struct json *endpoints)
{
	struct arena *a = s->v->arena;
	const struct json *labels = slice_labels(s);
	struct json *slice;

	s->left++;
	if (json_equal(json_at(was, "endpoints"), endpoints) &&
	    json_equal(json_at(was, "metadata", "labels"), labels))
		return;
	slice = json_copy(a, was);
	json_set(a, json_set_object(a, slice, "metadata"), STR("labels"), labels);
	json_set(a, slice, STR("endpoints"), endpoints);
	plan_update(s->plan, &res_endpointslices, slice);
	s->plan->last->ignore_not_found = true;
}

/* ---- one family and set of ports ---- */

struct group {
	const struct json *ports;
	const struct backend **v;
	bool *placed;
	size_t n;
};

static bool endpoint_is(const struct json *e, const struct backend *b)
{
	struct str uid = json_str(json_at(e, "targetRef", "uid"));

	return str_eq(uid, meta_uid(b->pod));
}

static bool slice_is_of(const struct json *slice, const char *family, const struct json *ports)
{
	const struct json *have = json_at(slice, "ports");

	return str_is(json_str(json_at(slice, "addressType")), family) && !meta_deleting(slice) &&
	       ((!json_len(have) && !json_len(ports)) || json_equal(have, ports));
}

/* What stays in a slice, as it is now. */
static struct json *stay(const struct slices *s, const struct json *slice, struct group *g)
{
	const struct json *had = json_at(slice, "endpoints");
	struct json *endpoints = json_new(s->v->arena, JSON_ARRAY);

	for (size_t i = 0; i < json_len(had) && json_len(endpoints) < SLICE_MAX; i++)
		for (size_t j = 0; j < g->n; j++) {
			if (g->placed[j] || !endpoint_is(json_item(had, i), g->v[j]))
				continue;
			g->placed[j] = true;
			json_append(s->v->arena, endpoints, endpoint_json(s, g->v[j]));
			break;
		}
	return endpoints;
}

static void fill(const struct slices *s, struct group *g, size_t *next, struct json *endpoints)
{
	for (; *next < g->n && json_len(endpoints) < SLICE_MAX; ++*next) {
		if (g->placed[*next])
			continue;
		g->placed[*next] = true;
		json_append(s->v->arena, endpoints, endpoint_json(s, g->v[*next]));
	}
}

static bool all_placed(const struct group *g, size_t *next)
{
	while (*next < g->n && g->placed[*next])
		++*next;
	return *next == g->n;
}

static void place_group(struct slices *s, const char *family, struct group *g)
{
	struct arena *a = s->v->arena;
	struct json **endpoints = arena_array(a, s->existing.n + 1, sizeof(struct json *));
	size_t next = 0;

	g->placed = arena_array(a, g->n + 1, sizeof(*g->placed));
	for (size_t i = 0; i < s->existing.n; i++)
		if (!s->kept[i] && slice_is_of(s->existing.v[i], family, g->ports))
			endpoints[i] = stay(s, s->existing.v[i], g);
	for (size_t i = 0; i < s->existing.n; i++) {
		if (!endpoints[i])
			continue;
		fill(s, g, &next, endpoints[i]);
		/* An emptied slice goes, unless it is the last one. */
		if (!json_len(endpoints[i]))
			continue;
		s->kept[i] = true;
		update_slice(s, s->existing.v[i], endpoints[i]);
	}
	while (!all_placed(g, &next)) {
		struct json *fresh = json_new(a, JSON_ARRAY);

		fill(s, g, &next, fresh);
		create_slice(s, family, g->ports, fresh);
	}
}

static void place_family(struct slices *s, bool ipv6)
{
	struct arena *a = s->v->arena;
	struct backends b = service_backends(s->v, s->service, ipv6);
	struct group *groups = arena_array(a, b.n + 1, sizeof(*groups));
	size_t n = 0, at;

	for (size_t i = 0; i < b.n; i++) {
		for (at = 0; at < n && !json_equal(groups[at].ports, b.v[i].ports); at++)
			continue;
		if (at == n) {
			groups[n].ports = b.v[i].ports;
			groups[n++].v = arena_array(a, b.n, sizeof(struct backend *));
		}
		groups[at].v[groups[at].n++] = &b.v[i];
	}
	for (size_t i = 0; i < n; i++)
		place_group(s, ipv6 ? "IPv6" : "IPv4", &groups[i]);
}

/* A Service without backends still has one, empty slice: clients see that it is looked after. */
static void keep_placeholder(struct slices *s, bool ipv6)
{
	const char *family = ipv6 ? "IPv6" : "IPv4";
	const struct json *none = json_new(s->v->arena, JSON_ARRAY);

	for (size_t i = 0; i < s->existing.n; i++)
		if (slice_is_of(s->existing.v[i], family, none)) {
			s->kept[i] = true;
			update_slice(s, s->existing.v[i], none);
			return;
		}
	create_slice(s, family, none, none);
}

static void find_existing(struct slices *s)
{
	struct json_set_view all = view_by_index(
		s->v, &res_endpointslices, INDEX_LABEL,
		arena_strf(s->v->arena, "%.*s/" LABEL_SERVICE "=%.*s",
			   STR_ARG(meta_namespace(s->service)), STR_ARG(meta_name(s->service))));

	for (size_t i = 0; i < all.n; i++)
		if (str_is(meta_label(all.v[i], LABEL_MANAGED), MANAGER))
			trees_add(s->v->arena, &s->existing, all.v[i]);
	s->kept = arena_array(s->v->arena, s->existing.n + 1, sizeof(*s->kept));
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *service = view_get(v, &res_services, namespace, name);
	struct slices s = {.v = v, .service = service, .plan = p};
	bool ipv4, ipv6;

	/* What a deleted Service leaves behind is the garbage collector's. */
	if (!service || meta_deleting(service) || !service_selects_pods(service))
		return 0;
	find_existing(&s);
	service_families(service, &ipv4, &ipv6);
	if (ipv4)
		place_family(&s, false);
	if (ipv6)
		place_family(&s, true);
	if (!s.left)
		keep_placeholder(&s, !ipv4);
	for (size_t i = 0; i < s.existing.n; i++)
		if (!s.kept[i] && !meta_deleting(s.existing.v[i]))
			plan_delete(p, &res_endpointslices, s.existing.v[i])->ignore_not_found =
				true;
	return 0;
}

static void map_slice(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		      void *ctx)
{
	struct str service = obj_label(o, STR(LABEL_SERVICE));

	if (service.n && str_is(obj_label(o, STR(LABEL_MANAGED)), MANAGER))
		put(ctx, obj_key(a, o->namespace, service));
}

/* Nodes are only read, for their zone. */
static void map_nothing(const struct obj *o UNUSED, struct arena *a UNUSED,
			void (*put)(void *ctx, struct str key) UNUSED, void *ctx UNUSED)
{
}

static const struct controller_watch watches[] = {
	{&res_services, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod_to_services},
	{&res_endpointslices, map_slice, NULL, NULL},
	{&res_nodes, map_nothing, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_LABEL, index_by_label},
	{&res_services, INDEX_SELECTS, index_selects},
	{&res_endpointslices, INDEX_LABEL, index_by_label},
	{0},
};

const struct controller controller_endpointslice = {
	.name = "endpointslice",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
