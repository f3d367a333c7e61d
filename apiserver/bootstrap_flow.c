/*
 * The flow schemas and priority levels that every cluster has, as tables: Kubernetes' own, whose
 * names people's tools know. Pure data. Specification: apiserver/pkg/apis/flowcontrol/bootstrap.
 */
#include "apiserver/bootstrap.h"
#include "lib/json/json.h"

#define API "flowcontrol.apiserver.k8s.io/v1"

/* queues 0 = what doesn't fit is refused. */
static const struct level {
	const char *name;
	int shares, lendable, queues, hand;
} levels[] = {
	{"catch-all", 5, 0, 0, 0},          {"system", 30, 33, 64, 6},
	{"node-high", 40, 25, 64, 6},       {"leader-election", 10, 0, 16, 4},
	{"workload-high", 40, 50, 128, 6},  {"workload-low", 100, 90, 128, 6},
	{"global-default", 20, 50, 128, 6},
};

#define EVERYBODY "Group:system:unauthenticated Group:system:authenticated"

/* who: "Kind:name" words, a service account by its namespace. what: "verbs|group|resources" words,
 * of the cluster or, with a leading "+", of namespaces; "*" = everything, paths included. */
static const struct flow {
	const char *name;
	int precedence;
	const char *level, *by, *who, *what;
} flows[] = {
	{"exempt", 1, "exempt", NULL, "Group:system:masters", "*"},
	{"probes", 2, "exempt", NULL, EVERYBODY, "get|-|/healthz,/readyz,/livez"},
	{"system-leader-election", 100, "leader-election", "ByUser",
	 "User:system:kube-controller-manager User:system:kube-scheduler "
	 "ServiceAccount:kube-system",
	 "+get,create,update|coordination.k8s.io|leases"},
	{"endpoint-controller", 150, "workload-high", "ByUser",
	 "User:system:kube-controller-manager", "+get,create,update||endpoints"},
	{"workload-leader-election", 200, "leader-election", "ByUser", "ServiceAccount:kube-system",
	 "+get,create,update|coordination.k8s.io|leases"},
	{"system-node-high", 400, "node-high", "ByUser", "Group:system:nodes",
	 "*||nodes,nodes/status +*|coordination.k8s.io|leases"},
	{"system-nodes", 500, "system", "ByUser", "Group:system:nodes", "*"},
	{"kube-controller-manager", 800, "workload-high", "ByNamespace",
	 "User:system:kube-controller-manager", "*"},
	{"kube-scheduler", 800, "workload-high", "ByNamespace", "User:system:kube-scheduler", "*"},
	{"kube-system-service-accounts", 900, "workload-high", "ByNamespace",
	 "ServiceAccount:kube-system", "*"},
	{"service-accounts", 9000, "workload-low", "ByUser", "Group:system:serviceaccounts", "*"},
	{"global-default", 9900, "global-default", "ByUser", EVERYBODY, "*"},
	{"catch-all", 10000, "catch-all", "ByUser", EVERYBODY, "*"},
};

static struct json *skeleton(struct arena *a, const char *kind, const char *name)
{
	return json_build(a, "{s:s,s:s,s:{s:s,s:{s:s}},s:{}}", "kind", kind, "apiVersion", API,
			  "metadata", "name", name, "annotations",
			  "apf.kubernetes.io/autoupdate-spec", "true", "spec");
}

/* ---- levels ---- */

static struct json *level_object(struct arena *a, const struct level *l)
{
	struct json *o = skeleton(a, "PriorityLevelConfiguration", l->name),
		    *spec = json_get(o, STR("spec")), *limited, *response;

	json_set_str(a, spec, "type", STR("Limited"));
	limited = json_set_object(a, spec, "limited");
	json_set_int(a, limited, "nominalConcurrencyShares", l->shares);
	json_set_int(a, limited, "lendablePercent", l->lendable);
	response = json_set_object(a, limited, "limitResponse");
	json_set_str(a, response, "type", l->queues ? STR("Queue") : STR("Reject"));
	if (l->queues)
		json_set(a, response, STR("queuing"),
			 json_build(a, "{s:i,s:i,s:i}", "queues", l->queues, "handSize", l->hand,
				    "queueLengthLimit", 50));
	return o;
}

static struct json *exempt_level(struct arena *a)
{
	struct json *o = skeleton(a, "PriorityLevelConfiguration", "exempt");

	json_set(a, o, STR("spec"),
		 json_build(a, "{s:s,s:{s:i,s:i}}", "type", "Exempt", "exempt",
			    "nominalConcurrencyShares", 0, "lendablePercent", 0));
	return o;
}

/* ---- flows ---- */

static void add_subjects(struct arena *a, struct json *rule, const char *who)
{
	struct json *list = json_set_array(a, rule, "subjects");
	struct str rest = str_c(who), word, kind, name;

	while (str_next(&rest, ' ', &word)) {
		struct json *s = json_append_object(a, list);

		str_cut(word, ':', &kind, &name);
		json_set_str(a, s, "kind", kind);
		if (str_is(kind, "ServiceAccount"))
			json_set(a, s, STR("serviceAccount"),
				 json_build(a, "{s:S,s:s}", "namespace", name, "name", "*"));
		else
			json_set(a, s, str_is(kind, "User") ? STR("user") : STR("group"),
				 json_build(a, "{s:S}", "name", name));
	}
}

static void set_words(struct arena *a, struct json *o, const char *key, struct str words)
{
	struct json *list = json_set_array(a, o, key);
	struct str rest = words, w;

	if (!words.n)
		json_append_str(a, list, STR(""));
	while (words.n && rest.p && str_next(&rest, ',', &w))
		json_append_str(a, list, w);
}

static void add_everything(struct arena *a, struct json *rule)
{
	json_append(a, json_set_array(a, rule, "resourceRules"),
		    json_build(a, "{s:[s],s:[s],s:[s],s:b,s:[s]}", "verbs", "*", "apiGroups", "*",
			       "resources", "*", "clusterScope", 1, "namespaces", "*"));
	json_append(a, json_set_array(a, rule, "nonResourceRules"),
		    json_build(a, "{s:[s],s:[s]}", "verbs", "*", "nonResourceURLs", "*"));
}

static void add_one(struct arena *a, struct json *rule, struct str word)
{
	bool inside = str_starts(word, STR("+"));
	struct str verbs, group, what, rest;
	struct json *r;

	str_cut(str_sub(word, inside, word.n), '|', &verbs, &rest);
	str_cut(rest, '|', &group, &what);
	if (str_is(group, "-")) {
		r = json_append_object(a, json_set_array(a, rule, "nonResourceRules"));
		set_words(a, r, "nonResourceURLs", what);
	} else {
		r = json_append_object(a, json_set_array(a, rule, "resourceRules"));
		set_words(a, r, "apiGroups", group);
		set_words(a, r, "resources", what);
		if (inside)
			set_words(a, r, "namespaces", STR("*"));
		else
			json_set_bool(a, r, "clusterScope", true);
	}
	set_words(a, r, "verbs", verbs);
}

static struct json *flow_object(struct arena *a, const struct flow *f)
{
	struct json *o = skeleton(a, "FlowSchema", f->name), *spec = json_get(o, STR("spec"));
	struct json *rule;
	struct str rest = str_c(f->what), word;

	json_set_int(a, spec, "matchingPrecedence", f->precedence);
	json_set(a, spec, STR("priorityLevelConfiguration"),
		 json_build(a, "{s:s}", "name", f->level));
	if (f->by)
		json_set(a, spec, STR("distinguisherMethod"),
			 json_build(a, "{s:s}", "type", f->by));
	rule = json_append_object(a, json_set_array(a, spec, "rules"));
	add_subjects(a, rule, f->who);
	if (str_is(rest, "*"))
		add_everything(a, rule);
	while (!str_is(str_c(f->what), "*") && str_next(&rest, ' ', &word))
		add_one(a, rule, word);
	return o;
}

void bootstrap_flow(struct arena *a, void (*fn)(void *arg, const char *plural, struct json *o),
		    void *arg)
{
	fn(arg, "prioritylevelconfigurations", exempt_level(a));
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		fn(arg, "prioritylevelconfigurations", level_object(a, &levels[i]));
	for (size_t i = 0; i < ARRAY_LEN(flows); i++)
		fn(arg, "flowschemas", flow_object(a, &flows[i]));
}
