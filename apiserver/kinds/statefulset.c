/* StatefulSets: replicas with a name, an order and volumes of their own. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Ready", "string", "Ready pods of those wanted."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_text(c, cells, "%lld/%lld",
		  (long long)json_int(json_at(o, "status", "readyReplicas"), 0),
		  (long long)json_int(json_at(o, "spec", "replicas"), 0));
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(o, "spec", "template", "spec"));
}

/* Claims' templates say what they are and where a claim begins, as whole objects would. */
static void complete_claims(struct kind_ctx *c, struct json *spec)
{
	struct json *claims = json_get(spec, STR("volumeClaimTemplates"));

	for (size_t i = 0; i < json_len(claims); i++) {
		struct json *claim = json_item(claims, i);

		if (!json_is(claim, JSON_OBJECT))
			continue;
		json_set_str(c->a, claim, "apiVersion", STR("v1"));
		json_set_str(c->a, claim, "kind", STR("PersistentVolumeClaim"));
		default_str(c, json_set_object(c->a, claim, "status"), "phase", "Pending");
	}
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");
	struct json *strategy = json_set_object(c->a, spec, "updateStrategy");

	complete_claims(c, spec);
	podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
	default_int(c, spec, "replicas", 1);
	/* Who names the type alone gets no more than that, and kubectl speaks of no partition. */
	if (!json_str(json_get(strategy, STR("type"))).n)
		json_set_object(c->a, strategy, "rollingUpdate");
	default_str(c, strategy, "type", "RollingUpdate");
	if (json_get(strategy, STR("rollingUpdate")) &&
	    str_is(json_str(json_get(strategy, STR("type"))), "RollingUpdate"))
		default_int(c, json_get(strategy, STR("rollingUpdate")), "partition", 0);
}

/* All but these is fixed once made. */
static const char *const free_fields[] = {"replicas",
					  "ordinals",
					  "template",
					  "updateStrategy",
					  "persistentVolumeClaimRetentionPolicy",
					  "minReadySeconds",
					  NULL};

/* The template as its pods will have it: with a volume for each claim. */
static const struct json *with_claims(struct kind_ctx *c, const struct json *spec)
{
	const struct json *claims = json_get(spec, STR("volumeClaimTemplates"));
	struct json *template, *volumes;

	if (!json_len(claims) || !json_at(spec, "template", "spec"))
		return json_get(spec, STR("template"));
	template = json_copy(c->a, json_get(spec, STR("template")));
	volumes = json_set_array(c->a, json_get(template, STR("spec")), "volumes");
	for (size_t i = 0; i < json_len(claims); i++) {
		struct str name = meta_name(json_item(claims, i));

		for (size_t k = json_len(volumes); k-- > 0;)
			if (str_eq(json_str(json_get(json_item(volumes, k), STR("name"))), name))
				json_remove(volumes, k);
		json_append(c->a, volumes,
			    json_build(c->a, "{s:S, s:{s:S}}", "name", name,
				       "persistentVolumeClaim", "claimName", name));
	}
	return template;
}

/* The field is behind a gate that is shut in this version: what is said there is not kept. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *rolling = json_at(next, "spec", "updateStrategy", "rollingUpdate");

	(void)c;
	(void)live;
	if (rolling)
		json_del(rolling, STR("maxUnavailable"));
}

static void validate_strategy(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *strategy = json_get(spec, STR("updateStrategy")),
			  *rolling = json_get(strategy, STR("rollingUpdate"));
	struct spath here = SPATH_FIELD(at, "updateStrategy"),
		     rolling_at = SPATH_FIELD(&here, "rollingUpdate"),
		     ordinals = SPATH_FIELD(at, "ordinals");

	if (!str_is(json_str(json_get(strategy, STR("type"))), "OnDelete") &&
	    !str_is(json_str(json_get(strategy, STR("type"))), "RollingUpdate"))
		rule_invalid(c, at, "updateStrategy", strategy,
			     "must be 'RollingUpdate' or 'OnDelete'");
	if (rolling && str_is(json_str(json_get(strategy, STR("type"))), "OnDelete"))
		rule_invalid(c, &here, "rollingUpdate", rolling,
			     "only allowed for updateStrategy 'RollingUpdate'");
	else if (rolling)
		rule_non_negative(c, &rolling_at, rolling, "partition");
	if (json_get(spec, STR("ordinals")))
		rule_non_negative(c, &ordinals, json_get(spec, STR("ordinals")), "start");
}

/* What was stored before templates were completed is as it would be today. */
static const struct json *completed(struct kind_ctx *c, const struct json *spec)
{
	struct json *copy = spec ? json_copy(c->a, spec) : NULL;

	if (copy)
		complete_claims(c, copy);
	return copy;
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template");
	const struct json *spec = json_get(next, STR("spec"));

	if (c->subresource) {
		rule_status_replicas(c, next);
		return;
	}
	rule_non_negative(c, &at, spec, "replicas");
	rule_non_negative(c, &at, spec, "minReadySeconds");
	rule_non_negative(c, &at, spec, "revisionHistoryLimit");
	validate_strategy(c, &at, spec);
	if (rule_selector_matches(c, &at, spec))
		rule_template(c, &template_at, with_claims(c, spec), "StatefulSet");
	if (live)
		rule_only(c, spec, completed(c, json_get(live, STR("spec"))), free_fields,
			  "updates to statefulset spec for fields other than 'replicas', "
			  "'ordinals', 'template', 'updateStrategy', "
			  "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are "
			  "forbidden");
}

static const char *const short_names[] = {"sts", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_statefulset = {
	.group = "apps",
	.version = "v1",
	.kind = "StatefulSet",
	.plural = "statefulsets",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_SCALE | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.apps.v1.StatefulSet",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
