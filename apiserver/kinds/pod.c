/*
 * Pods: what the scheduler places and kubelets run. Almost all of a pod's spec stands for good once
 * it is made; containers' images may change, tolerations grow.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_net.h"

#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Ready", "string", "Ready containers of all."),
	COL("Status", "string", "What the pod does, or why it doesn't."),
	COL("Restarts", "string", "How often containers were started again, and when last."),
	COL_AGE,
	COL("IP", "string", "Address of the pod.", .priority = 1),
	COL("Node", "string", "Node that it was placed on.", .priority = 1),
	COL("Nominated Node", "string", "Node that it waits for.", .priority = 1),
	COL("Readiness Gates", "string", "Readiness gates that are met.", .priority = 1),
	{0},
};

/* ---- the status column ---- */

struct summary {
	struct str reason; /* what is shown */
	int64_t ready, total, restarts, restarted_ns;
};

static bool is_sidecar(const struct json *spec, struct str name)
{
	const struct json *init = json_get(spec, STR("initContainers"));

	for (size_t i = 0; i < json_len(init); i++)
		if (str_eq(json_str(json_at(json_item(init, i), "name")), name))
			return str_is(json_str(json_at(json_item(init, i), "restartPolicy")),
				      "Always");
	return false;
}

static void add_restarts(struct summary *s, const struct json *status)
{
	struct str at = json_str(json_at(status, "lastState", "terminated", "finishedAt"));
	int64_t ns;

	s->restarts += json_int(json_get(status, STR("restartCount")), 0);
	if (at.n && !time_parse(at, &ns) && ns > s->restarted_ns)
		s->restarted_ns = ns;
}

static struct str exit_text(struct arena *a, const struct json *terminated, const char *prefix)
{
	int64_t signo = json_int(json_get(terminated, STR("signal")), 0);
	struct str reason = json_str(json_get(terminated, STR("reason")));

	if (reason.n)
		return arena_strf(a, "%s%.*s", prefix, STR_ARG(reason));
	if (signo)
		return arena_strf(a, "%sSignal:%lld", prefix, (long long)signo);
	return arena_strf(a, "%sExitCode:%lld", prefix,
			  (long long)json_int(json_get(terminated, STR("exitCode")), 0));
}

/* True when an init container holds the pod back: its reason is the pod's. */
static bool init_summary(struct arena *a, const struct json *o, struct summary *s)
{
	const struct json *list = json_at(o, "status", "initContainerStatuses"),
			  *spec = json_get(o, STR("spec"));
	size_t total = json_len(json_get(spec, STR("initContainers")));

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_item(list, i),
				  *terminated = json_at(c, "state", "terminated");
		struct str waiting = json_str(json_at(c, "state", "waiting", "reason"));
		bool sidecar = is_sidecar(spec, json_str(json_get(c, STR("name"))));

		add_restarts(s, c);
		if (sidecar) {
			s->total++;
			s->ready += json_bool(json_get(c, STR("ready")), false);
		}
		if (terminated && json_int(json_get(terminated, STR("exitCode")), 0) == 0)
			continue;
		if (sidecar && json_bool(json_get(c, STR("started")), false))
			continue;
		if (terminated)
			s->reason = exit_text(a, terminated, "Init:");
		else if (waiting.n && !str_is(waiting, "PodInitializing"))
			s->reason = arena_strf(a, "Init:%.*s", STR_ARG(waiting));
		else
			s->reason = arena_strf(a, "Init:%zu/%zu", i, total);
		return true;
	}
	return false;
}

static void container_summary(struct arena *a, const struct json *o, struct summary *s)
{
	const struct json *list = json_at(o, "status", "containerStatuses");
	bool running = false;

	for (size_t i = json_len(list); i-- > 0;) {
		const struct json *c = json_item(list, i),
				  *terminated = json_at(c, "state", "terminated");
		struct str waiting = json_str(json_at(c, "state", "waiting", "reason"));

		add_restarts(s, c);
		if (waiting.n) {
			s->reason = waiting;
		} else if (terminated) {
			s->reason = exit_text(a, terminated, "");
		} else if (json_bool(json_get(c, STR("ready")), false) &&
			   json_at(c, "state", "running")) {
			running = true;
			s->ready++;
		}
	}
	if (str_is(s->reason, "Completed") && running)
		s->reason = str_is(json_str(json_get(condition_find(o, "Ready"), STR("status"))),
				   "True")
				    ? STR("Running")
				    : STR("NotReady");
}

static struct summary summarize(struct arena *a, const struct json *o)
{
	struct summary s = {.reason = json_str(json_at(o, "status", "phase"))};
	struct str reason = json_str(json_at(o, "status", "reason"));

	if (reason.n)
		s.reason = reason;
	if (str_is(json_str(json_get(condition_find(o, "PodScheduled"), STR("reason"))),
		   "SchedulingGated"))
		s.reason = STR("SchedulingGated");
	s.total = (int64_t)json_len(json_at(o, "spec", "containers"));
	if (!init_summary(a, o, &s))
		container_summary(a, o, &s);
	if (!json_str(json_at(o, "metadata", "deletionTimestamp")).n)
		return s;
	if (str_is(reason, "NodeLost"))
		s.reason = STR("Unknown");
	else if (!str_is(json_str(json_at(o, "status", "phase")), "Succeeded") &&
		 !str_is(json_str(json_at(o, "status", "phase")), "Failed"))
		s.reason = STR("Terminating");
	return s;
}

static void cell_or_none(struct kind_ctx *c, struct json *cells, struct str s)
{
	cell_str(c, cells, s.n ? s : STR("<none>"));
}

static void cell_gates(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	const struct json *gates = json_at(o, "spec", "readinessGates");
	size_t met = 0;

	for (size_t i = 0; i < json_len(gates); i++) {
		const char *type =
			arena_cstr(c->a, json_str(json_at(json_item(gates, i), "conditionType")));

		met += str_is(json_str(json_get(condition_find(o, type), STR("status"))), "True");
	}
	if (json_len(gates))
		cell_text(c, cells, "%zu/%zu", met, json_len(gates));
	else
		cell_str(c, cells, STR("<none>"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	struct summary s = summarize(c->a, o);
	char age[TIME_TEXT_MAX];

	cell_name(c, cells, o);
	cell_text(c, cells, "%lld/%lld", (long long)s.ready, (long long)s.total);
	cell_str(c, cells, s.reason);
	if (s.restarts && s.restarted_ns)
		cell_text(c, cells, "%lld (%.*s ago)", (long long)s.restarts,
			  STR_ARG(duration_human(c->now_ns - s.restarted_ns, age)));
	else
		cell_text(c, cells, "%lld", (long long)s.restarts);
	cell_age(c, cells, o);
	cell_or_none(c, cells, json_str(json_at(o, "status", "podIP")));
	cell_or_none(c, cells, json_str(json_at(o, "spec", "nodeName")));
	cell_or_none(c, cells, json_str(json_at(o, "status", "nominatedNodeName")));
	cell_gates(c, cells, o);
}

/* ---- rules ---- */

/* Who only says what he may have at most asks for as much. Templates stay as they were written. */
static void default_requests(struct kind_ctx *c, struct json *containers)
{
	for (size_t i = 0; i < json_len(containers); i++) {
		struct json *resources = json_get(json_item(containers, i), STR("resources"));
		const struct json *limits = json_get(resources, STR("limits"));
		struct json *requests;

		if (!json_len(limits))
			continue;
		requests = json_set_object(c->a, resources, "requests");
		for (size_t k = 0; k < json_len(limits); k++)
			if (!json_get(requests, limits->members[k].key))
				json_set(c->a, requests, limits->members[k].key,
					 &limits->members[k].value);
	}
}

static void set_defaults(struct kind_ctx *c, struct json *o)
{
	struct json *spec = json_set_object(c->a, o, "spec");

	podspec_defaults(c, spec);
	default_requests(c, json_get(spec, STR("containers")));
	default_requests(c, json_get(spec, STR("initContainers")));
	if (!json_get(spec, STR("enableServiceLinks")))
		json_set_bool(c->a, spec, "enableServiceLinks", true);
}

/* 1 and 1000m are the same. */
static bool same_amount(const struct json *x, const struct json *y)
{
	struct quantity a, b;

	if (json_equal(x, y))
		return true;
	return !quantity_parse(json_str(x), &a) && !quantity_parse(json_str(y), &b) &&
	       !quantity_cmp(a, b);
}

/* Guaranteed when every container's limits are its requests, BestEffort when nobody asks for
 * anything. */
static const char *qos_class(const struct json *o)
{
	static const char *const lists[] = {"containers", "initContainers"}, *const names[] = {
										     "cpu",
										     "memory"};
	bool any = false, guaranteed = true;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *list = json_at(o, "spec", lists[l]);

		for (size_t i = 0; i < json_len(list); i++)
			for (size_t n = 0; n < ARRAY_LEN(names); n++) {
				const struct json *r =
					json_get(json_item(list, i), STR("resources"));
				const struct json *limit = json_at(r, "limits", names[n]),
						  *request = json_at(r, "requests", names[n]);

				any = any || limit || request;
				guaranteed = guaranteed && limit &&
					     (!request || same_amount(limit, request));
			}
	}
	return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	struct json *status;

	if (live) {
		pod_update_prepare(c, next, live);
		return;
	}
	status = json_set_object(c->a, next, "status");
	json_set_str(c->a, status, "phase", STR("Pending"));
	json_set_str(c->a, status, "qosClass", str_c(qos_class(next)));
	podspec_apply_label_keys(c, next);
	if (json_len(json_at(next, "spec", "schedulingGates")))
		condition_set(c->a, next, "PodScheduled", "False", "SchedulingGated",
			      STR("Scheduling is blocked due to non-empty scheduling gates"),
			      c->now_ns);
}

/* One of each family at most. */
static void check_addresses(struct kind_ctx *c, const struct json *ips)
{
	struct spath status = SPATH_FIELD(NULL, "status"), all = SPATH_FIELD(&status, "podIPs");
	size_t of[3] = {0};

	for (size_t i = 0; i < json_len(ips); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *ip = json_get(json_item(ips, i), STR("ip"));
		int family = ip_family(json_str_or(ip, STR("")));

		if (!family)
			rule_invalid(c, &here, NULL, ip ? ip : json_new_str(c->a, STR("")),
				     "must be a valid IP address, (e.g. 10.9.8.7 or "
				     "2001:db8::ffff)");
		of[family == 4 ? 1 : family == 6 ? 2 : 0]++;
		for (size_t k = 0; k < i; k++)
			if (json_equal(ip, json_get(json_item(ips, k), STR("ip"))))
				rule_duplicate(c, &here, NULL, json_item(ips, i));
	}
	if (of[1] > 1 || of[2] > 1)
		rule_invalid(c, &status, "podIPs", ips,
			     "may specify no more than one IP for each IP family");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");

	if (c->subresource && !strcmp(c->subresource, "status"))
		check_addresses(c, json_at(next, "status", "podIPs"));
	if (!live) {
		podspec_validate(c, &at, json_get(next, STR("spec")));
		if (json_len(json_at(next, "spec", "ephemeralContainers")))
			rule_forbidden(c, &at, "ephemeralContainers", "cannot be set on create");
	} else
		pod_update_validate(c, next, live);
}

static const char *const selectable[] = {"spec.nodeName",
					 "spec.restartPolicy",
					 "spec.schedulerName",
					 "spec.serviceAccountName",
					 "spec.hostNetwork",
					 "status.phase",
					 "status.podIP",
					 "status.podIPs",
					 "status.nominatedNodeName",
					 NULL};
static const char *const short_names[] = {"po", NULL};
static const char *const categories[] = {"all", NULL};
static const char *const subresources[] = {"attach",      "binding", "ephemeralcontainers",
					   "eviction",    "exec",    "log",
					   "portforward", "proxy",   NULL};

const struct kind kind_pod = {
	.group = "",
	.version = "v1",
	.kind = "Pod",
	.plural = "pods",
	.short_names = short_names,
	.categories = categories,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GRACEFUL |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Pod",
	.subresources = subresources,
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.prepare = prepare,
	.validate = validate,
};
