/*
 * Pod Security admission: namespaces' labels say which of the standards their pods must meet
 * (enforce), are warned about (warn), or have noted (audit). Only pods are refused; what makes pods
 * is warned about. Must never refuse what the namespace doesn't ask to be refused. Pure; memory is
 * the request's.
 * Specification: https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/admission/pod_checks.h"
#include "lib/base/map.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define LABEL "pod-security.kubernetes.io/"
#define PODS_MAX 3000 /* that a new label is tried on, as Kubernetes' bound */

static const char *const level_names[] = {"privileged", "baseline", "restricted"};

/* ---- labels ---- */

static int parse_level(struct str s, enum pod_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (str_is(s, level_names[i])) {
			*ret = (enum pod_level)i;
			return 0;
		}
	return -1;
}

static int parse_version(struct str s, struct pod_policy *p)
{
	int64_t minor;

	if (str_is(s, "latest")) {
		p->latest = true;
		return 0;
	}
	if (!str_starts(s, STR("v1.")) || str_to_i64(str_sub(s, 3, s.n), &minor) || minor < 0 ||
	    minor > 1000 || (s.n > 4 && s.p[3] == '0'))
		return -1;
	p->minor = (int)minor;
	return 0;
}

static struct pod_policy policy_of(const struct json *namespace, const char *mode)
{
	struct pod_policy p = {.latest = true};
	char key[64] = LABEL;
	struct str level, version;

	strncat(key, mode, 20);
	level = meta_label(namespace, key);
	strncat(key, "-version", 9);
	version = meta_label(namespace, key);
	/* What can't be read is read as the strictest. */
	if (level.n && parse_level(level, &p.level))
		p.level = POD_RESTRICTED;
	if (version.n) {
		p.latest = false;
		if (parse_version(version, &p))
			p.latest = true;
	}
	return p;
}

static struct str policy_text(struct arena *a, struct pod_policy p)
{
	if (p.latest)
		return arena_strf(a, "%s:latest", level_names[p.level]);
	return arena_strf(a, "%s:v1.%d", level_names[p.level], p.minor);
}

static bool policy_same(struct pod_policy a, struct pod_policy b)
{
	return a.level == b.level && a.latest == b.latest && (a.latest || a.minor == b.minor);
}

/* ---- pods and what makes them ---- */

static bool has_template(const struct kind *k)
{
	static const char *const kinds[][2] = {{"", "replicationcontrollers"},
					       {"", "podtemplates"},
					       {"apps", "deployments"},
					       {"apps", "replicasets"},
					       {"apps", "daemonsets"},
					       {"apps", "statefulsets"},
					       {"batch", "jobs"},
					       {"batch", "cronjobs"}};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (!strcmp(k->group, kinds[i][0]) && !strcmp(k->plural, kinds[i][1]))
			return true;
	return false;
}

static const struct json *template_of(const struct kind *k, const struct json *o)
{
	if (!strcmp(k->plural, "podtemplates"))
		return json_get(o, STR("template"));
	if (!strcmp(k->plural, "cronjobs"))
		return json_at(o, "spec", "jobTemplate", "spec", "template");
	return json_at(o, "spec", "template");
}

static bool images_same(const struct json *a, const struct json *b)
{
	if (json_len(a) != json_len(b))
		return false;
	for (size_t i = 0; i < json_len(a); i++)
		if (!str_eq(json_str(json_get(json_item(a, i), STR("image"))),
			    json_str(json_get(json_item(b, i), STR("image")))))
			return false;
	return true;
}

/* Most of a pod can't change; what can matters here when containers or their profiles do. */
static bool significant(const struct admission_req *r)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	static const char *const prefixes[] = {"container.apparmor.security.beta.kubernetes.io/",
					       "container.seccomp.security.alpha.kubernetes.io/",
					       "seccomp.security.alpha.kubernetes.io/"};
	const struct json *now = json_at(r->object, "metadata", "annotations"),
			  *was = json_at(r->old, "metadata", "annotations");

	if (!r->old)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		if (!images_same(json_at(r->object, "spec", lists[i]),
				 json_at(r->old, "spec", lists[i])))
			return true;
	for (size_t i = 0; i < json_len(now); i++)
		for (size_t k = 0; k < ARRAY_LEN(prefixes); k++)
			if (str_starts(now->members[i].key, str_c(prefixes[k])) &&
			    !json_equal(&now->members[i].value, json_get(was, now->members[i].key)))
				return true;
	return false;
}

static void warn(struct admission_req *r, const struct json *namespace,
		 const struct pod_subject *subject)
{
	struct pod_policy p = policy_of(namespace, "warn");
	struct str why = pod_check_all(subject, p);

	if (why.n)
		admission_warn(r, arena_strf(r->a, "would violate PodSecurity \"%.*s\": %.*s",
					     STR_ARG(policy_text(r->a, p)), STR_ARG(why)));
}

/* For the audit log, whatever becomes of the request. */
static void note(struct admission_req *r, const struct json *namespace,
		 const struct pod_subject *subject)
{
	struct pod_policy p = policy_of(namespace, "audit");
	struct str why = r->notes ? pod_check_all(subject, p) : STR_NONE;

	if (why.n)
		admission_note(r, STR(LABEL "audit-violations"),
			       arena_strf(r->a, "would violate PodSecurity \"%.*s\": %.*s",
					  STR_ARG(policy_text(r->a, p)), STR_ARG(why)));
}

static int admit_pod(struct admission_req *r, const struct json *namespace, struct err *err)
{
	struct pod_policy p = policy_of(namespace, "enforce");
	struct pod_subject subject = {.a = r->a,
				      .meta = json_get(r->object, STR("metadata")),
				      .spec = json_get(r->object, STR("spec"))};
	struct str why;

	if (r->subresource && strcmp(r->subresource, "ephemeralcontainers"))
		return 0;
	if (!significant(r))
		return 0;
	admission_note(r, STR(LABEL "enforce-policy"), policy_text(r->a, p));
	note(r, namespace, &subject);
	why = pod_check_all(&subject, p);
	if (why.n)
		return admission_forbid(r, err,
					arena_strf(r->a, "violates PodSecurity \"%.*s\": %.*s",
						   STR_ARG(policy_text(r->a, p)), STR_ARG(why)));
	warn(r, namespace, &subject);
	return 0;
}

static void admit_template(struct admission_req *r, const struct json *namespace)
{
	const struct json *t = template_of(r->kind, r->object);
	struct pod_subject subject = {
		.a = r->a, .meta = json_get(t, STR("metadata")), .spec = json_get(t, STR("spec"))};

	if (r->subresource || !t)
		return;
	note(r, namespace, &subject);
	warn(r, namespace, &subject);
}

/* ---- namespaces ---- */

static bool bad_label(struct admission_req *r, const char *key, struct str value, const char *why)
{
	struct str field = arena_strf(r->a, "metadata.labels[%s]", key);
	struct str says = arena_strf(r->a, "Invalid value: \"%.*s\": %s", STR_ARG(value), why);

	schema_problem(r->problems, "FieldValueInvalid", field, 0, "%.*s", STR_ARG(says));
	r->message = arena_strf(r->a, "%.*s%s%.*s: %.*s", STR_ARG(r->message),
				r->message.n ? ", " : "", STR_ARG(field), STR_ARG(says));
	return true;
}

static int check_labels(struct admission_req *r, struct err *err)
{
	static const char *const modes[] = {"enforce", "audit", "warn"};
	bool bad = false;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		const char *level_key = arena_printf(r->a, LABEL "%s", modes[i]);
		const char *version_key = arena_printf(r->a, LABEL "%s-version", modes[i]);
		struct str level = meta_label(r->object, level_key),
			   version = meta_label(r->object, version_key);
		struct pod_policy p = {0};

		if (level.p && parse_level(level, &p.level))
			bad = bad_label(r, level_key, level,
					"must be one of privileged, baseline, restricted");
		if (version.p && parse_version(version, &p))
			bad = bad_label(r, version_key, version, "must be \"latest\" or \"v1.x\"");
	}
	return bad ? err_set(err, ERR_INVALID, "%.*s", STR_ARG(r->message)) : 0;
}

/* Pods that break the new rule, told by reason: the first's name and how many more. */
struct sweep {
	struct admission_req *r;
	struct pod_policy policy;
	struct json *groups; /* [{why, name, n}] */
	size_t seen;
};

static void sweep_pod(void *arg, const struct json *pod)
{
	struct sweep *s = arg;
	struct pod_subject subject = {.a = s->r->a,
				      .meta = json_get(pod, STR("metadata")),
				      .spec = json_get(pod, STR("spec"))};
	struct str why;

	if (s->seen++ >= PODS_MAX)
		return;
	why = pod_check_reasons(&subject, s->policy);
	if (!why.n)
		return;
	for (size_t i = 0; i < json_len(s->groups); i++) {
		struct json *g = json_item(s->groups, i);

		if (str_eq(json_str(json_get(g, STR("why"))), why)) {
			json_set_int(s->r->a, g, "n", json_int(json_get(g, STR("n")), 0) + 1);
			return;
		}
	}
	json_append(
		s->r->a, s->groups,
		json_build(s->r->a, "{s:S,s:S,s:i}", "why", why, "name", meta_name(pod), "n", 1));
}

static void tell(struct sweep *s)
{
	struct arena *a = s->r->a;

	if (!json_len(s->groups))
		return;
	admission_warn(s->r,
		       arena_strf(a,
				  "existing pods in namespace \"%.*s\" violate the new PodSecurity "
				  "enforce level \"%.*s\"",
				  STR_ARG(s->r->name), STR_ARG(policy_text(a, s->policy))));
	for (size_t i = 0; i < json_len(s->groups); i++) {
		const struct json *g = json_item(s->groups, i);
		int64_t others = json_int(json_get(g, STR("n")), 1) - 1;
		const char *more = "";

		if (others)
			more = arena_printf(a, " (and %lld other pod%s)", (long long)others,
					    others == 1 ? "" : "s");
		admission_warn(s->r,
			       arena_strf(a, "%.*s%s: %.*s", STR_ARG(json_str(json_at(g, "name"))),
					  more, STR_ARG(json_str(json_at(g, "why")))));
	}
}

static int admit_namespace(struct admission_req *r, struct err *err)
{
	struct pod_policy now, was;
	struct sweep s = {.r = r};

	if (r->subresource)
		return 0;
	if (check_labels(r, err))
		return -1;
	if (r->op != ADMIT_UPDATE)
		return 0;
	now = policy_of(r->object, "enforce");
	was = policy_of(r->old, "enforce");
	if (policy_same(now, was) || now.level == POD_PRIVILEGED ||
	    (now.level < was.level &&
	     policy_same((struct pod_policy){now.level, was.minor, was.latest}, now)))
		return 0;
	s.policy = now;
	s.groups = json_new(r->a, JSON_ARRAY);
	r->reader->each(r->reader->ctx, &(struct admission_scan){"", "pods", r->name, STR_NONE},
			r->a, sweep_pod, &s);
	tell(&s);
	return 0;
}

static int admit(struct admission_req *r, struct err *err)
{
	const struct json *namespace;
	bool pods = !r->kind->group[0] && !strcmp(r->kind->plural, "pods");

	if ((r->op != ADMIT_CREATE && r->op != ADMIT_UPDATE) || !r->object)
		return 0;
	if (!r->kind->group[0] && !strcmp(r->kind->plural, "namespaces"))
		return admit_namespace(r, err);
	if (!pods && !has_template(r->kind))
		return 0;
	namespace = r->reader->get(r->reader->ctx, "", "namespaces", STR_NONE, r->namespace, r->a);
	if (!json_len(json_at(namespace, "metadata", "labels")) && !r->notes)
		return 0;
	if (pods)
		return admit_pod(r, namespace, err);
	admit_template(r, namespace);
	return 0;
}

const struct admission admission_pod_security = {
	.name = "PodSecurity", .order = 700, .admit = admit};
