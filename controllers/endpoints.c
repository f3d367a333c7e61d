/*
 * Endpoints: the older form of a Service's backends, one object of its name, for clients that
 * don't read slices. At most 1000 addresses. Pure.
 */
#include "controllers/endpoints_core.h"

#include "lib/base/pure.h"

#define ANNOTATION_CAPACITY "endpoints.kubernetes.io/over-capacity"
#define LABEL_HEADLESS "service.kubernetes.io/headless"
/* Tells ours from Endpoints that people write: only ours go with their Service. */
#define LABEL_MANAGED "endpoints.kubernetes.io/managed-by"

enum { ADDRESSES_MAX = 1000 };

/* Unnamed ports have no name here, where slices say "". */
static const struct json *subset_ports(struct arena *a, const struct json *ports)
{
	struct json *copy = json_copy(a, ports);

	for (size_t i = 0; i < json_len(copy); i++)
		if (!json_str(json_at(json_item(copy, i), "name")).n)
			json_del(json_item(copy, i), STR("name"));
	return copy;
}

static struct json *address_json(struct arena *a, const struct json *service,
				 const struct backend *b)
{
	struct json *address = json_build(a, "{s:S}", "ip", b->ip);
	struct str node = json_str(json_at(b->pod, "spec", "nodeName"));
	struct str hostname = json_str(json_at(b->pod, "spec", "hostname"));

	if (hostname.n &&
	    str_eq(json_str(json_at(b->pod, "spec", "subdomain")), meta_name(service)))
		json_set_str(a, address, "hostname", hostname);
	if (node.n)
		json_set_str(a, address, "nodeName", node);
	json_set(a, address, STR("targetRef"), pod_target_ref(a, b->pod));
	return address;
}

/* The subset with these ports, made when it is new. */
static struct json *subset_of(struct arena *a, struct json *subsets, const struct json *ports)
{
	struct json *subset;

	for (size_t i = 0; i < json_len(subsets); i++)
		if (json_equal(json_at(json_item(subsets, i), "ports"), ports))
			return json_item(subsets, i);
	subset = json_append_object(a, subsets);
	json_set(a, subset, STR("ports"), ports);
	return subset;
}

static struct json *build_subsets(const struct view *v, const struct json *service,
				  bool *ret_truncated)
{
	bool ipv4, ipv6;
	struct json *subsets = json_new(v->arena, JSON_ARRAY);
	bool publish = json_bool(json_at(service, "spec", "publishNotReadyAddresses"), false);
	struct backends b;
	size_t n = 0;

	/* One family only: the Service's first. */
	service_families(service, &ipv4, &ipv6);
	b = service_backends(v, service, !ipv4);
	*ret_truncated = false;
	for (size_t i = 0; i < b.n; i++) {
		const struct backend *e = &b.v[i];

		if ((e->terminating && !publish) ||
		    (!json_len(e->ports) && !service_headless(service)))
			continue;
		if (n++ >= ADDRESSES_MAX) {
			*ret_truncated = true;
			break;
		}
		json_append(v->arena,
			    json_set_array(
				    v->arena,
				    subset_of(v->arena, subsets, subset_ports(v->arena, e->ports)),
				    e->ready ? "addresses" : "notReadyAddresses"),
			    address_json(v->arena, service, e));
	}
	for (size_t i = 0; i < json_len(subsets); i++)
		if (!json_len(json_at(json_item(subsets, i), "ports")))
			json_del(json_item(subsets, i), STR("ports"));
	return subsets;
}

static void set_meta(struct arena *a, struct json *o, const struct json *service, bool truncated)
{
	const struct json *labels = json_at(service, "metadata", "labels");
	struct json *meta = json_set_object(a, o, "metadata");

	json_del(meta, STR("labels"));
	if (json_len(labels))
		json_set(a, meta, STR("labels"), json_copy(a, labels));
	json_set_str(a, json_set_object(a, meta, "labels"), LABEL_MANAGED,
		     STR("endpoint-controller"));
	if (service_headless(service))
		json_set_str(a, json_set_object(a, meta, "labels"), LABEL_HEADLESS, STR(""));
	if (truncated)
		json_set_str(a, meta_set_object(a, o, "annotations"), ANNOTATION_CAPACITY,
			     STR("truncated"));
	else if (json_at(meta, "annotations"))
		json_del(json_at(meta, "annotations"), STR(ANNOTATION_CAPACITY));
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *service = view_get(v, &res_services, namespace, name);
	const struct json *was = view_get(v, &res_endpoints, namespace, name);
	struct json *subsets, *new;
	bool truncated;

	if (!service) {
		if (meta_label(was, LABEL_MANAGED).n && !meta_deleting(was))
			plan_delete(p, &res_endpoints, was)->ignore_not_found = true;
		return 0;
	}
	if (!service_selects_pods(service) || meta_deleting(service))
		return 0;
	subsets = build_subsets(v, service, &truncated);
	new = was ? json_copy(v->arena, was)
		  : object_new(v->arena, &res_endpoints, namespace, name);
	set_meta(v->arena, new, service, truncated);
	if (json_len(subsets))
		json_set(v->arena, new, STR("subsets"), subsets);
	else
		json_del(new, STR("subsets"));
	if (!was) {
		plan_create(p, &res_endpoints, new);
		p->last->ignore_exists = true;
	} else if (!json_equal(was, new)) {
		plan_update(p, &res_endpoints, new);
	}
	return 0;
}

static const struct controller_watch watches[] = {
	{&res_services, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod_to_services},
	{&res_endpoints, NULL, NULL, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_LABEL, index_by_label},
	{&res_services, INDEX_SELECTS, index_selects},
	{0},
};

const struct controller controller_endpoints = {
	.name = "endpoints",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
