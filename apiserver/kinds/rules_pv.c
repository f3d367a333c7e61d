/*
 * What PersistentVolumes and claims must be, and what of them never changes: where the data lies,
 * how much was asked for. Pure.
 * Specification: k8s.io/kubernetes/pkg/apis/core/validation.
 */
#include <string.h>

#include "apiserver/kinds/rules.h"
#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* The members of a volume's spec that say where its data is, in the order they are looked at. */
static const char *const sources[] = {"hostPath",
				      "gcePersistentDisk",
				      "awsElasticBlockStore",
				      "glusterfs",
				      "flocker",
				      "nfs",
				      "rbd",
				      "quobyte",
				      "cephfs",
				      "iscsi",
				      "cinder",
				      "fc",
				      "flexVolume",
				      "azureFile",
				      "vsphereVolume",
				      "photonPersistentDisk",
				      "portworxVolume",
				      "azureDisk",
				      "scaleIO",
				      "local",
				      "storageos",
				      "csi"};

static const struct json *member(const struct json *o, const char *name)
{
	const struct json *v = json_get(o, str_c(name));

	return v && v->type != JSON_NULL ? v : NULL;
}

static bool amount(const struct json *v, struct quantity *ret)
{
	return json_is(v, JSON_STRING) && !quantity_parse(json_str(v), ret);
}

static void check_positive(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	struct quantity q;

	if (amount(v, &q) && q.nano <= 0)
		rule_invalid(c, at, NULL, v, "must be greater than zero");
}

/* Also said of claims' templates. */
static void check_modes(struct kind_ctx *c, const struct spath *at, const struct json *modes)
{
	static const char *const known[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
					    "ReadWriteOncePod", NULL};

	for (size_t i = 0; i < json_len(modes); i++) {
		struct str mode = json_str(json_item(modes, i));
		size_t k = 0;

		while (known[k] && !str_is(mode, known[k]))
			k++;
		if (!known[k])
			rule_unsupported(c, at, "accessModes", json_item(modes, i), known);
	}
}

/* ---- volumes ---- */

static void check_capacity(struct kind_ctx *c, const struct spath *at, const struct json *capacity)
{
	static const char *const known[] = {"storage", NULL};
	struct spath all = SPATH_FIELD(at, "capacity");

	if (!json_len(capacity))
		rule_required(c, at, "capacity", NULL);
	if (json_len(capacity) != 1 || !json_get(capacity, STR("storage")))
		rule_unsupported(c, at, "capacity", capacity, known);
	for (size_t i = 0; i < json_len(capacity); i++) {
		struct spath one = SPATH_KEY(&all, capacity->members[i].key);

		check_positive(c, &one, &capacity->members[i].value);
	}
}

static void check_path(struct kind_ctx *c, const struct spath *at, const struct json *source)
{
	const struct json *path = member(source, "path");
	struct str rest = json_str(path), part;

	if (!rest.n) {
		rule_required(c, at, "path", NULL);
		return;
	}
	while (str_next(&rest, '/', &part))
		if (str_is(part, "..")) {
			rule_invalid(c, at, "path", path, "must not contain '..'");
			return;
		}
}

static void check_source(struct kind_ctx *c, const struct spath *spec, const char *name,
			 const struct json *v)
{
	struct spath at = {.up = spec, .name = str_c(name)};
	const struct json *path = member(v, "path"), *driver = member(v, "driver");

	if (!strcmp(name, "hostPath") || !strcmp(name, "local")) {
		check_path(c, &at, v);
	} else if (!strcmp(name, "nfs")) {
		if (!str_starts(json_str(path), STR("/")))
			rule_invalid(c, &at, "path", path, "must be an absolute path");
	} else if (!strcmp(name, "csi")) {
		if (json_str(driver).n > 63)
			rule_too_long(c, &at, "driver", 63);
		rule_name(c, &at, "driver", driver, name_check_dns1123_subdomain);
	}
}

static void check_sources(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const struct json *v = member(spec, sources[i]);

		if (!v)
			continue;
		if (n++)
			rule_forbidden(c, at, sources[i],
				       "may not specify more than 1 volume type");
		else
			check_source(c, at, sources[i], v);
	}
	if (!n)
		rule_required(c, at, NULL, "must specify a volume type");
}

static void check_affinity(struct kind_ctx *c, const struct spath *spec_at, const struct json *spec)
{
	struct spath at = SPATH_FIELD(spec_at, "nodeAffinity");
	struct spath required = SPATH_FIELD(&at, "required");
	const struct json *affinity = member(spec, "nodeAffinity"),
			  *selector = member(affinity, "required");

	if (affinity && !selector)
		rule_required(c, &required, NULL, "must specify required node constraints");
	if (selector)
		rule_node_selector(c, &required, selector);
	if (!affinity && member(spec, "local"))
		rule_required(c, spec_at, "nodeAffinity", "Local volume requires node affinity");
}

/* Where the data is was said once and for all; a secret for growing may come later. */
static bool sources_changed(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const struct json *was = member(live, sources[i]), *is = member(next, sources[i]);
		struct json *copy;

		if (is && was && !strcmp(sources[i], "csi") &&
		    !member(was, "controllerExpandSecretRef")) {
			copy = json_copy(c->a, is);
			json_del(copy, STR("controllerExpandSecretRef"));
			is = copy;
		}
		if (!schema_equal(NULL, is, was))
			return true;
	}
	return false;
}

void volume_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec")), *was = json_get(live, STR("spec"));

	if (c->subresource)
		return;
	if (!json_len(json_get(spec, STR("accessModes"))))
		rule_required(c, &at, "accessModes", NULL);
	check_modes(c, &at, json_get(spec, STR("accessModes")));
	check_capacity(c, &at, json_get(spec, STR("capacity")));
	check_affinity(c, &at, spec);
	check_sources(c, &at, spec);
	volume_disks_validate(c, &at, spec);
	if (json_str(json_get(spec, STR("storageClassName"))).n)
		rule_name(c, &at, "storageClassName", json_get(spec, STR("storageClassName")),
			  name_check_dns1123_subdomain);
	if (!live)
		return;
	if (sources_changed(c, spec, was))
		rule_forbidden(c, &at, "persistentvolumesource",
			       "spec.persistentvolumesource is immutable after creation");
	rule_immutable(c, NULL, spec, was, "volumeMode");
	if (member(was, "nodeAffinity"))
		rule_immutable(c, NULL, spec, was, "nodeAffinity");
}

/* ---- claims ---- */

/* A bound claim may grow, an unbound one be bound once; nothing else of it changes. */
static void check_changes(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const char *names[] = {"volumeAttributesClassName", NULL, NULL, NULL};
	const struct json *was = json_get(live, STR("spec"));
	struct json *spec = json_copy(c->a, json_get(next, STR("spec")));
	const struct json *old = json_at(was, "resources", "requests", "storage"),
			  *new = json_at(spec, "resources", "requests", "storage");
	struct spath at = SPATH_FIELD(NULL, "spec"), resources = SPATH_FIELD(&at, "resources");
	struct spath requests = SPATH_FIELD(&resources, "requests");
	struct quantity a, b, held = {0};
	bool less = amount(new, &a) && amount(old, &b) && quantity_cmp(a, b) < 0;
	size_t n = 1;

	if (!json_str(json_get(was, STR("volumeName"))).n)
		names[n++] = "volumeName";
	if (!json_get(was, STR("storageClassName")))
		names[n++] = "storageClassName";
	if (str_is(json_str(json_at(next, "status", "phase")), "Bound") && old && new)
		json_set(c->a, json_at(spec, "resources", "requests"), STR("storage"), old);
	rule_only(c, spec, was, names,
		  "spec is immutable after creation except resources.requests and "
		  "volumeAttributesClassName for bound claims");
	/* What a volume never grew to may be taken back, what it has not. */
	amount(json_at(live, "status", "capacity", "storage"), &held);
	if (less && quantity_cmp(a, held) <= 0)
		rule_forbidden(c, &requests, "storage",
			       "field can not be less than status.capacity");
	rule_immutable(c, NULL, spec, was, "volumeMode");
}

static void check_data_source(struct kind_ctx *c, const struct spath *up, const struct json *from)
{
	struct spath at = SPATH_FIELD(up, "dataSource");
	struct str kind = json_str(json_get(from, STR("kind")));

	if (!json_str(json_get(from, STR("name"))).n)
		rule_required(c, &at, "name", NULL);
	if (!kind.n)
		rule_required(c, &at, "kind", NULL);
	if (!json_str(json_get(from, STR("apiGroup"))).n && !str_is(kind, "PersistentVolumeClaim"))
		rule_invalid(c, up, "dataSource", json_get(from, STR("kind")),
			     "must be 'PersistentVolumeClaim' when referencing the default "
			     "apiGroup");
}

void claim_spec_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	struct spath resources = SPATH_FIELD(at, "resources");
	struct spath storage = SPATH_KEY(&resources, STR("storage"));
	const struct json *wanted = json_at(spec, "resources", "requests", "storage");

	if (!json_len(json_get(spec, STR("accessModes"))))
		rule_required(c, at, "accessModes", "at least 1 access mode is required");
	rule_selector(c, at, "selector", json_get(spec, STR("selector")));
	check_modes(c, at, json_get(spec, STR("accessModes")));
	if (wanted)
		check_positive(c, &storage, wanted);
	else
		rule_required(c, &storage, NULL, NULL);
	if (json_get(spec, STR("dataSource")))
		check_data_source(c, at, json_get(spec, STR("dataSource")));
	if (json_str(json_get(spec, STR("storageClassName"))).n)
		rule_name(c, at, "storageClassName", json_get(spec, STR("storageClassName")),
			  name_check_dns1123_subdomain);
}

void claim_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");

	if (c->subresource)
		return;
	claim_spec_validate(c, &at, json_get(next, STR("spec")));
	if (live)
		check_changes(c, next, live);
}
