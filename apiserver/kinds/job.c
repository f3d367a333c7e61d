/* Jobs: pods that run to an end. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Status", "string", "Running, Complete, Failed, Suspended."),
	COL("Completions", "string", "Pods that succeeded, of those wanted."),
	COL("Duration", "string", "How long it took, or has taken."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	COL("Selector", "string", "Labels of its pods.", .priority = 1),
	{0},
};

static bool holds(const struct json *o, const char *type)
{
	return str_is(json_str(json_get(condition_find(o, type), STR("status"))), "True");
}

static const char *state_of(const struct json *o)
{
	static const char *const in_order[][2] = {{"Complete", "Complete"},
						  {"Failed", "Failed"},
						  {"Suspended", "Suspended"},
						  {"FailureTarget", "FailureTarget"},
						  {"SuccessCriteriaMet", "SuccessCriteriaMet"}};

	for (size_t i = 0; i < ARRAY_LEN(in_order); i++)
		if (holds(o, in_order[i][0]))
			return in_order[i][1];
	return json_str(json_at(o, "metadata", "deletionTimestamp")).n ? "Terminating" : "Running";
}

static void cell_duration(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	char text[TIME_TEXT_MAX];
	int64_t from, to = c->now_ns;

	if (time_parse(json_str(json_at(o, "status", "startTime")), &from)) {
		cell_str(c, cells, STR(""));
		return;
	}
	if (time_parse(json_str(json_at(o, "status", "completionTime")), &to))
		to = c->now_ns;
	cell_str(c, cells, arena_str(c->a, duration_human(to - from, text)));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *wanted = json_at(o, "spec", "completions");
	long long done = (long long)json_int(json_at(o, "status", "succeeded"), 0);
	long long parallel = (long long)json_int(json_at(o, "spec", "parallelism"), 1);

	cell_name(c, cells, o);
	cell_str(c, cells, str_c(state_of(o)));
	if (json_is(wanted, JSON_INT))
		cell_text(c, cells, "%lld/%lld", done, (long long)wanted->i);
	else if (parallel > 1)
		cell_text(c, cells, "%lld/1 of %lld", done, parallel);
	else
		cell_text(c, cells, "%lld/1", done);
	cell_duration(c, o, cells);
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(o, "spec", "template", "spec"));
	cell_selector(c, cells, json_at(o, "spec", "selector"));
}

/* A failure policy waits for pods to end; a limit for each index takes the one for all away. */
static void default_policies(struct kind_ctx *c, struct json *spec)
{
	bool per_index = json_get(spec, STR("backoffLimitPerIndex")) != NULL;
	struct json *rules = json_at(spec, "podFailurePolicy", "rules");

	default_int(c, spec, "backoffLimit", per_index ? INT32_MAX : 6);
	default_str(c, spec, "podReplacementPolicy", rules ? "Failed" : "TerminatingOrFailed");
	for (size_t i = 0; i < json_len(rules); i++) {
		struct json *all = json_get(json_item(rules, i), STR("onPodConditions"));

		for (size_t k = 0; k < json_len(all); k++)
			default_str(c, json_item(all, k), "status", "True");
	}
}

/* A Job without labels has those of its pods. */
static void default_labels(struct kind_ctx *c, struct json *o)
{
	const struct json *labels = json_at(o, "spec", "template", "metadata", "labels");

	if (json_len(labels) && !json_len(json_at(o, "metadata", "labels")))
		json_set(c->a, json_set_object(c->a, o, "metadata"), STR("labels"),
			 json_copy(c->a, labels));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");

	default_labels(c, o);

	default_policies(c, spec);
	default_str(c, spec, "completionMode", "NonIndexed");
	if (!json_get(spec, STR("suspend")))
		json_set_bool(c->a, spec, "suspend", false);
	podtemplate_defaults(c, json_set_object(c->a, spec, "template"));
	if (!json_get(spec, STR("completions")) && !json_get(spec, STR("parallelism"))) {
		json_set_int(c->a, spec, "completions", 1);
		json_set_int(c->a, spec, "parallelism", 1);
	}
	default_int(c, spec, "parallelism", 1);
}

/* A Job's selector is made of its own uid, unless the writer insists on choosing it. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	static const char *const names[] = {"controller-uid", "batch.kubernetes.io/controller-uid"};
	static const char *const jobs[] = {"job-name", "batch.kubernetes.io/job-name"};
	struct json *spec = json_get(next, STR("spec")), *labels;
	struct str uid = meta_uid(next);

	if (live || json_bool(json_get(spec, STR("manualSelector")), false) || !uid.n ||
	    json_get(spec, STR("selector")))
		return;
	labels = json_set_object(c->a, json_set_object(c->a, spec, "template"), "metadata");
	labels = json_set_object(c->a, labels, "labels");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_set_str(c->a, labels, names[i], uid);
		json_set_str(c->a, labels, jobs[i], meta_name(next));
	}
	json_set(c->a, spec, STR("selector"),
		 json_build(c->a, "{s:{s:S}}", "matchLabels", names[1], uid));
	default_labels(c, next);
}

/* The number of indexes may change together with the parallelism only. */
static void validate_elastic(struct kind_ctx *c, const struct spath *at, const struct json *spec,
			     const struct json *live)
{
	const struct json *n = json_get(spec, STR("completions"));
	const struct json *was = json_get(live, STR("completions"));

	if (!n || !was || !str_is(json_str(json_get(spec, STR("completionMode"))), "Indexed"))
		rule_immutable(c, at, spec, live, "completions");
	else if (!json_equal(n, was) && !json_equal(n, json_get(spec, STR("parallelism"))))
		rule_invalid(c, at, "completions", n,
			     "can only be modified in tandem with parallelism");
}

/* What belongs to `from` at the same place: another value, or none. */
static void take_over(struct kind_ctx *c, struct json *to, const struct json *from, const char *key)
{
	const struct json *v = json_get(from, str_c(key));

	if (v)
		json_set(c->a, to, str_c(key), json_copy(c->a, v));
	else
		json_del(to, str_c(key));
}

/* A suspended Job that hasn't begun may still be told where to run, and nothing else. */
static void validate_template(struct kind_ctx *c, const struct spath *at, const struct json *next,
			      const struct json *live)
{
	static const char *const where[] = {"nodeSelector", "tolerations", "schedulingGates"};
	static const char *const marks[] = {"labels", "annotations"};
	const struct json *wanted = json_at(next, "spec", "template");
	const struct json *pod = json_get(wanted, STR("spec"));
	const struct json *live_spec = json_get(live, STR("spec"));
	struct json *was = json_is(live_spec, JSON_OBJECT) ? json_copy(c->a, live_spec)
							   : json_new(c->a, JSON_OBJECT);
	struct json *template = json_set_object(c->a, was, "template"), *spec, *affinity;

	if (json_bool(json_get(was, STR("suspend")), false) &&
	    !json_at(live, "status", "startTime")) {
		for (size_t i = 0; i < ARRAY_LEN(marks); i++)
			take_over(c, json_set_object(c->a, template, "metadata"),
				  json_get(wanted, STR("metadata")), marks[i]);
		spec = json_set_object(c->a, template, "spec");
		for (size_t i = 0; i < ARRAY_LEN(where); i++)
			take_over(c, spec, pod, where[i]);
		affinity = json_set_object(c->a, spec, "affinity");
		take_over(c, affinity, json_get(pod, STR("affinity")), "nodeAffinity");
		if (!json_len(affinity) && !json_len(json_get(pod, STR("affinity"))))
			take_over(c, spec, pod, "affinity");
	}
	rule_immutable(c, at, json_get(next, STR("spec")), was, "template");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	static const char *const counts[] = {"parallelism",
					     "completions",
					     "backoffLimit",
					     "activeDeadlineSeconds",
					     "ttlSecondsAfterFinished",
					     "backoffLimitPerIndex",
					     "maxFailedIndexes"};
	static const char *const fixed[] = {"selector",         "completionMode",
					    "podFailurePolicy", "backoffLimitPerIndex",
					    "managedBy",        "successPolicy"};
	struct spath at = SPATH_FIELD(NULL, "spec"), template_at = SPATH_FIELD(&at, "template");
	struct spath pod_at = SPATH_FIELD(&template_at, "spec");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *template = json_get(spec, STR("template"));
	const struct json *policy = json_at(template, "spec", "restartPolicy");

	if (c->subresource) {
		job_validate_status(c, next, live);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		rule_non_negative(c, &at, spec, counts[i]);
	podtemplate_validate(c, &template_at, template);
	if (str_is(json_str(policy), "Always"))
		rule_required(c, &pod_at, "restartPolicy",
			      "valid values: \"OnFailure\", \"Never\"");
	else if (!str_is(json_str(policy), "OnFailure") && !str_is(json_str(policy), "Never"))
		rule_unsupported(c, &pod_at, "restartPolicy", policy, policies);
	job_validate(c, &at, spec);
	if (!live)
		job_validate_selector(c, &at, next);
	if (!live)
		return;
	validate_elastic(c, &at, spec, json_get(live, STR("spec")));
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), fixed[i]);
	validate_template(c, &at, next, live);
}

static const char *const selectable[] = {"status.successful", NULL};
static const char *const categories[] = {"all", NULL};

static struct str field(const struct json *o, struct str name, struct arena *a)
{
	(void)name;
	return arena_strf(a, "%lld", (long long)json_int(json_at(o, "status", "succeeded"), 0));
}

const struct kind kind_job = {
	.group = "batch",
	.version = "v1",
	.kind = "Job",
	.plural = "jobs",
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GENERATION | KIND_ORPHANS |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.batch.v1.Job",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
