/* CronJobs: Jobs at set times. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/cron.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Schedule", "string", "When, as cron says it."),
	COL("Timezone", "string", "Whose clock."),
	COL("Suspend", "boolean", "Whether it is paused."),
	COL("Active", "integer", "Jobs that run now."),
	COL("Last Schedule", "string", "When a Job was made last."),
	COL_AGE,
	COL("Containers", "string", "Names of the template's containers.", .priority = 1),
	COL("Images", "string", "Images of the template's containers.", .priority = 1),
	COL("Selector", "string", "Labels of its pods.", .priority = 1),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *job = json_at(o, "spec", "jobTemplate", "spec");
	const struct json *last = json_at(o, "status", "lastScheduleTime");
	struct str zone = json_str(json_at(o, "spec", "timeZone"));
	bool paused = json_bool(json_at(o, "spec", "suspend"), false);

	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(o, "spec", "schedule")));
	cell_str(c, cells, zone.n ? zone : STR("<none>"));
	cell_str(c, cells, paused ? STR("True") : STR("False"));
	cell_int(c, cells, (int64_t)json_len(json_at(o, "status", "active")));
	if (json_str(last).n)
		cell_since(c, cells, last);
	else
		cell_str(c, cells, STR("<none>"));
	cell_age(c, cells, o);
	cell_containers(c, cells, json_at(job, "template", "spec"));
	cell_selector(c, cells, json_get(job, STR("selector")));
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *template =
		json_set_object(c->a, json_set_object(c->a, o, "spec"), "jobTemplate");

	podtemplate_defaults(
		c, json_set_object(c->a, json_set_object(c->a, template, "spec"), "template"));
}

static void validate_zone(struct kind_ctx *c, const struct spath *at, const struct json *zone)
{
	struct str name = json_str(zone);
	bool local = name.n == 5;

	for (size_t i = 0; local && i < 5; i++)
		local = (name.p[i] | 0x20) == "local"[i];
	if (!zone)
		return;
	if (!name.n)
		rule_invalid(c, at, "timeZone", zone, "timeZone must be nil or non-empty string");
	else if (local)
		rule_invalid(c, at, "timeZone", zone,
			     "timeZone must be an explicit time zone as defined in "
			     "https://www.iana.org/time-zones");
	else if (c->zone_known && !c->zone_known(name))
		rule_invalid(c, at, "timeZone", zone,
			     arena_printf(c->a, "unknown time zone %.*s", STR_ARG(name)));
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const policies[] = {"OnFailure", "Never", NULL};
	struct spath at = SPATH_FIELD(NULL, "spec"), job = SPATH_FIELD(&at, "jobTemplate");
	struct spath job_spec = SPATH_FIELD(&job, "spec"), pod = SPATH_FIELD(&job_spec, "template");
	struct spath pod_spec = SPATH_FIELD(&pod, "spec");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *schedule = json_get(spec, STR("schedule"));
	const struct json *template = json_at(spec, "jobTemplate", "spec", "template");
	const struct json *policy = json_at(template, "spec", "restartPolicy");

	struct cron parsed;
	struct err why = {0};

	struct spath meta = SPATH_FIELD(NULL, "metadata");

	if (c->subresource)
		return;
	/* The time is put behind it. */
	if (!live && meta_name(next).n > 52)
		rule_invalid(c, &meta, "name", json_at(next, "metadata", "name"),
			     "must be no more than 52 characters");
	if (!json_str(schedule).n)
		rule_required(c, &at, "schedule", NULL);
	else if (str_find(json_str(schedule), STR("TZ")) >= 0)
		rule_invalid(c, &at, "schedule", schedule,
			     "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
	else if (cron_parse(json_str(schedule), &parsed, &why))
		rule_invalid(c, &at, "schedule", schedule, why.msg);
	validate_zone(c, &at, json_get(spec, STR("timeZone")));
	rule_non_negative(c, &at, spec, "startingDeadlineSeconds");
	rule_non_negative(c, &at, spec, "successfulJobsHistoryLimit");
	rule_non_negative(c, &at, spec, "failedJobsHistoryLimit");
	podtemplate_validate(c, &pod, template);
	if (str_is(json_str(policy), "Always"))
		rule_required(c, &pod_spec, "restartPolicy",
			      "valid values: \"OnFailure\", \"Never\"");
	else if (!str_is(json_str(policy), "OnFailure") && !str_is(json_str(policy), "Never"))
		rule_unsupported(c, &pod_spec, "restartPolicy", policy, policies);
}

static const char *const short_names[] = {"cj", NULL};
static const char *const categories[] = {"all", NULL};

const struct kind kind_cronjob = {
	.group = "batch",
	.version = "v1",
	.kind = "CronJob",
	.plural = "cronjobs",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.batch.v1.CronJob",
	.columns = columns,
	.row = row,
	.set_defaults = set_defaults,
	.validate = validate,
};
