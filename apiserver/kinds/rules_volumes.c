/*
 * Volumes of a pod spec: unique names, one source each, paths that stay where they belong.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_details.h"

#include "lib/base/map.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static bool climbs(struct str path)
{
	struct str part;
	while (str_next(&path, '/', &part))
		if (str_is(part, ".."))
			return true;
	return false;
}

static void check_items(struct kind_ctx *c, const struct spath *at, const struct json *items)
{
	struct spath list = SPATH_FIELD(at, "items");
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *path = json_get(json_item(items, i), STR("path"));
		struct spath here = SPATH_INDEX(&list, i);
		rule_range(c, &here, json_item(items, i), "mode", 0, 0777);
		if (str_starts(json_str(path), STR("/")))
			rule_invalid(c, &here, "path", path, "must be a relative path");
		if (climbs(json_str(path)))
			rule_invalid(c, &here, "path", path, "must not contain '..'");
	}
}

static void check_downward(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	static const char *const known[] = {"metadata.annotations", "metadata.labels",
					    "metadata.name",        "metadata.namespace",
					    "metadata.uid",         NULL};
	const struct json *items = json_get(v, STR("items"));
	struct spath list = SPATH_FIELD(at, "items");

	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *path = json_at(json_item(items, i), "fieldRef", "fieldPath");
		struct spath here = SPATH_INDEX(&list, i), ref = SPATH_FIELD(&here, "fieldRef"),
			     resource = SPATH_FIELD(&here, "resourceFieldRef");
		struct str s = json_str(path);
		bool found = !s.n || str_starts(s, STR("metadata.labels['")) ||
			     str_starts(s, STR("metadata.annotations['"));

		for (const char *const *k = known; *k && !found; k++)
			found = str_is(s, *k);
		if (!found)
			rule_unsupported(c, &ref, "fieldPath", path, known);
		rule_resource_ref(c, &resource, json_at(json_item(items, i), "resourceFieldRef"),
				  true);
	}
}

/* Two sources of one volume can't both write a file. */
static void check_once(struct kind_ctx *c, const struct spath *at, struct map *paths,
		       const struct json *source)
{
	const struct json *items = json_get(source, STR("items")),
			  *own = json_get(source, STR("path"));
	static const char why[] = "conflicting duplicate paths";

	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *path = json_at(json_item(items, i), "path");

		if (json_str(path).n && map_set(paths, json_str(path), (void *)path))
			rule_invalid(c, at, NULL, path, why);
	}
	if (json_str(own).n && map_set(paths, json_str(own), (void *)own))
		rule_invalid(c, at, NULL, own, why);
}

static void check_projected(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	static const char *const sources[] = {"configMap",          "secret",
					      "downwardAPI",        "serviceAccountToken",
					      "clusterTrustBundle", NULL};
	const struct json *list = json_get(v, STR("sources"));
	struct spath all = SPATH_FIELD(at, "sources");
	AUTO(map) struct map paths = {0};
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *s = json_item(list, i);
		struct spath here = SPATH_INDEX(&all, i);
		rule_one_of(c, &here, s, sources, "must specify a volume type",
			    "may not specify more than 1 volume type");
		for (const char *const *n = sources; *n; n++) {
			struct spath in = {.up = &here, .name = str_c(*n)};
			check_items(c, &in, json_at(s, *n, "items"));
			check_once(c, at, &paths, json_at(s, *n));
		}
		struct spath down = SPATH_FIELD(&here, "downwardAPI");
		check_downward(c, &down, json_get(s, STR("downwardAPI")));
		const struct json *token = json_get(s, STR("serviceAccountToken"));
		struct spath in = SPATH_FIELD(&here, "serviceAccountToken");
		rule_range(c, &in, token, "expirationSeconds", 600, INT64_C(1) << 32);
	}
}

static void check_source(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	static const struct {
		const char *field, *name;
	} named[] = {{"secret", "secretName"}, {"configMap", "name"}};
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		const struct json *s = json_get(v, str_c(named[i].field));
		struct spath here = {.up = at, .name = str_c(named[i].field)};
		if (!s)
			continue;
		if (!json_str(json_get(s, str_c(named[i].name))).n)
			rule_required(c, &here, named[i].name, NULL);
		rule_range(c, &here, s, "defaultMode", 0, 0777);
		check_items(c, &here, json_get(s, STR("items")));
	}
	const struct json *host = json_at(v, "hostPath", "path");
	struct spath here = SPATH_FIELD(at, "hostPath");
	if (climbs(json_str(host)))
		rule_invalid(c, &here, "path", host, "must not contain '..'");
	struct spath down = SPATH_FIELD(at, "downwardAPI");
	check_items(c, &down, json_at(v, "downwardAPI", "items"));
	check_downward(c, &down, json_get(v, STR("downwardAPI")));
	struct spath empty = SPATH_FIELD(at, "emptyDir");
	if (str_starts(json_str_or(json_at(v, "emptyDir", "sizeLimit"), STR("")), STR("-")))
		rule_forbidden(c, &empty, "sizeLimit",
			       "SizeLimit field must be a valid resource quantity");
	struct spath projected = SPATH_FIELD(at, "projected");
	check_projected(c, &projected, json_get(v, STR("projected")));
}

/* Disks of Azure are said by their kind's sort of address. */
static void check_azure(struct kind_ctx *c, const struct spath *at, const struct json *disk)
{
	static const char *const managed[] = {"/subscriptions/{sub-id}/resourcegroups/{group-name}/"
					      "providers/microsoft.compute/disks/{disk-id}",
					      NULL},
				 *const blob[] = {"https://{account-name}.blob.core.windows.net/"
						  "{container-name}/{disk-name}.vhd",
						  NULL};
	bool is_managed = str_is(json_str(json_get(disk, STR("kind"))), "Managed");
	const struct json *uri = json_get(disk, STR("diskURI"));
	struct spath here = SPATH_FIELD(at, "azureDisk");

	if (!disk || str_starts(json_str_or(uri, STR("")),
				is_managed ? STR("/subscriptions/") : STR("https://")))
		return;
	rule_unsupported(c, &here, "diskURI", uri, is_managed ? managed : blob);
}

static void check_claim(struct kind_ctx *c, const struct spath *at, const struct json *ephemeral)
{
	struct spath here = SPATH_FIELD(at, "ephemeral"),
		     template = SPATH_FIELD(&here, "volumeClaimTemplate"),
		     spec = SPATH_FIELD(&template, "spec");

	if (!ephemeral)
		return;
	if (json_get(ephemeral, STR("volumeClaimTemplate")))
		claim_spec_validate(c, &spec, json_at(ephemeral, "volumeClaimTemplate", "spec"));
	else
		rule_required(c, &here, "volumeClaimTemplate", NULL);
}

/* Disks that come over a network, or from a cloud: what both pods and PersistentVolumes name. */
void volume_disks_validate(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	const struct json *gce = json_get(v, STR("gcePersistentDisk")),
			  *iqn = json_at(v, "iscsi", "iqn");
	/* called so in Kubernetes' own paths */
	struct spath disk = SPATH_FIELD(at, "persistentDisk"), iscsi = SPATH_FIELD(at, "iscsi");
	int64_t partition = json_int(json_get(gce, STR("partition")), 0);

	if (partition < 0 || partition > 255)
		rule_invalid(c, &disk, "partition", json_get(gce, STR("partition")),
			     "must be between 1 and 255, inclusive");
	if (json_str(iqn).n && !str_starts(json_str(iqn), STR("iqn")) &&
	    !str_starts(json_str(iqn), STR("eui")) && !str_starts(json_str(iqn), STR("naa")))
		rule_invalid(c, &iscsi, "iqn", iqn,
			     "must be valid format starting with iqn, eui, or naa");
	rule_range(c, &iscsi, json_get(v, STR("iscsi")), "lun", 0, 255);
}

static void check_volume(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	size_t sources = 0;
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json_member *m = &v->members[i];
		/* Images as volumes are switched off: as if nothing was said. */
		if (str_is(m->key, "name") || str_is(m->key, "image") || m->value.type == JSON_NULL)
			continue;
		if (++sources == 2)
			rule_forbidden(c, at, arena_cstr(c->a, m->key),
				       "may not specify more than 1 volume type");
	}
	if (!sources)
		rule_required(c, at, NULL, "must specify a volume type");
	if (json_str(json_get(v, STR("name"))).n)
		rule_name(c, at, "name", json_get(v, STR("name")), name_check_dns1123_label);
	check_source(c, at, v);
	check_azure(c, at, json_get(v, STR("azureDisk")));
	check_claim(c, at, json_get(v, STR("ephemeral")));
	volume_disks_validate(c, at, v);
}

void volumes_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("volumes"));
	struct spath all = SPATH_FIELD(at, "volumes");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i), *name = json_get(v, STR("name"));
		struct spath here = SPATH_INDEX(&all, i);
		check_volume(c, &here, v);
		for (size_t k = 0; k < i && k < 1000; k++) {
			if (!json_str(name).n ||
			    !json_equal(name, json_get(json_item(list, k), STR("name"))))
				continue;
			rule_duplicate(c, &here, "name", name);
			break;
		}
	}
}
