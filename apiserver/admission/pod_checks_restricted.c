/*
 * The restricted level, beyond baseline: what a hardened pod must say. Must never take silence for
 * consent where the standard wants a word. Pure; memory is the subject's arena.
 */
#include "apiserver/admission/pod_checks.h"

#include "lib/base/pure.h"

struct found {
	const struct pod_subject *p;
	struct json *names, *values, *silent;
	struct json *more; /* a second list of containers */
	bool pod, pod_says;
};

static struct found found_new(const struct pod_subject *p)
{
	return (struct found){.p = p,
			      .names = json_new(p->a, JSON_ARRAY),
			      .values = json_new(p->a, JSON_ARRAY),
			      .silent = json_new(p->a, JSON_ARRAY),
			      .more = json_new(p->a, JSON_ARRAY)};
}

static void blame(struct found *f, struct json *list, const struct json *c)
{
	json_append_str(f->p->a, list, json_str_or(json_get(c, STR("name")), STR("")));
}

static const struct json *security(const struct json *o, const char *field)
{
	return json_get(json_get(o, STR("securityContext")), str_c(field));
}

static struct str setters(const struct found *f)
{
	if (!json_len(f->names))
		return STR("pod");
	return arena_strf(f->p->a, "%s%.*s", f->pod ? "pod and " : "",
			  STR_ARG(pod_containers_named(f->p->a, f->names)));
}

/* ---- allowPrivilegeEscalation ---- */

static void escalation_of(void *arg, const struct json *c)
{
	struct found *f = arg;

	if (json_bool(security(c, "allowPrivilegeEscalation"), true))
		blame(f, f->names, c);
}

static bool escalation(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	if (p->minor >= 25 && pod_is_windows(p))
		return false;
	pod_containers(p, escalation_of, &f);
	ret->reason = STR("allowPrivilegeEscalation != false");
	ret->detail =
		arena_strf(p->a, "%.*s must set securityContext.allowPrivilegeEscalation=false",
			   STR_ARG(pod_containers_named(p->a, f.names)));
	return json_len(f.names) > 0;
}

/* ---- capabilities ---- */

static void capabilities_of(void *arg, const struct json *c)
{
	const struct json *all = security(c, "capabilities"), *add = json_get(all, STR("add")),
			  *drop = json_get(all, STR("drop"));
	struct found *f = arg;
	bool dropped = false, bad = false;

	for (size_t i = 0; i < json_len(drop); i++)
		dropped |= str_is(json_str(json_item(drop, i)), "ALL");
	for (size_t i = 0; i < json_len(add); i++) {
		struct str cap = json_str(json_item(add, i));

		if (str_is(cap, "NET_BIND_SERVICE"))
			continue;
		pod_set_add(f->p->a, f->values, cap);
		bad = true;
	}
	if (!dropped)
		blame(f, f->names, c);
	if (bad)
		blame(f, f->more, c);
}

static bool capabilities(const struct pod_subject *p, struct pod_fault *ret)
{
	struct json *said = json_new(p->a, JSON_ARRAY);
	struct found f = found_new(p);

	if (p->minor >= 25 && pod_is_windows(p))
		return false;
	pod_containers(p, capabilities_of, &f);
	if (json_len(f.names))
		json_append_str(
			p->a, said,
			arena_strf(p->a,
				   "%.*s must set securityContext.capabilities.drop=[\"ALL\"]",
				   STR_ARG(pod_containers_named(p->a, f.names))));
	if (json_len(f.more))
		json_append_str(p->a, said,
				arena_strf(p->a,
					   "%.*s must not include %.*s in "
					   "securityContext.capabilities.add",
					   STR_ARG(pod_containers_named(p->a, f.more)),
					   STR_ARG(pod_quoted(p->a, f.values))));
	ret->reason = STR("unrestricted capabilities");
	ret->detail = pod_joined(p->a, said, "; ");
	return json_len(said) > 0;
}

/* ---- restrictedVolumes ---- */

static struct str volume_type(const struct json *v)
{
	static const char *const fine[] = {"configMap", "csi",       "downwardAPI",
					   "emptyDir",  "ephemeral", "persistentVolumeClaim",
					   "projected", "secret",    "image"};

	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (json_get(v, str_c(fine[i])))
			return STR_NONE;
	for (size_t i = 0; i < json_len(v); i++)
		if (!str_is(v->members[i].key, "name") && v->members[i].value.type != JSON_NULL)
			return v->members[i].key;
	return STR_NONE;
}

static bool volumes(const struct pod_subject *p, struct pod_fault *ret)
{
	const struct json *list = json_get(p->spec, STR("volumes"));
	struct found f = found_new(p);

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str type = volume_type(v);

		if (!type.n)
			continue;
		blame(&f, f.names, v);
		pod_set_add(p->a, f.values, type);
	}
	ret->reason = STR("restricted volume types");
	ret->detail =
		arena_strf(p->a, "volume%s %.*s %s restricted volume type%s %.*s",
			   json_len(f.names) == 1 ? "" : "s", STR_ARG(pod_quoted(p->a, f.names)),
			   json_len(f.names) == 1 ? "uses" : "use",
			   json_len(f.values) == 1 ? "" : "s", STR_ARG(pod_quoted(p->a, f.values)));
	return json_len(f.names) > 0;
}

/* ---- runAsNonRoot, runAsUser ---- */

static void non_root_of(void *arg, const struct json *c)
{
	const struct json *v = security(c, "runAsNonRoot");
	struct found *f = arg;

	if (json_is(v, JSON_BOOL) && !v->b)
		blame(f, f->names, c);
	else if (!json_is(v, JSON_BOOL) && !f->pod_says)
		blame(f, f->silent, c);
}

static bool non_root(const struct pod_subject *p, struct pod_fault *ret)
{
	const struct json *v = security(p->spec, "runAsNonRoot");
	struct found f = found_new(p);

	f.pod = json_is(v, JSON_BOOL) && !v->b;
	f.pod_says = json_is(v, JSON_BOOL) && v->b;
	pod_containers(p, non_root_of, &f);
	ret->reason = STR("runAsNonRoot != true");
	if (f.pod || json_len(f.names)) {
		ret->detail =
			arena_strf(p->a, "%.*s must not set securityContext.runAsNonRoot=false",
				   STR_ARG(setters(&f)));
		return true;
	}
	ret->detail = arena_strf(p->a, "pod or %.*s must set securityContext.runAsNonRoot=true",
				 STR_ARG(pod_containers_named(p->a, f.silent)));
	return json_len(f.silent) > 0;
}

static void user_of(void *arg, const struct json *c)
{
	struct found *f = arg;

	if (json_int(security(c, "runAsUser"), 1) == 0)
		blame(f, f->names, c);
}

static bool root_user(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	f.pod = json_int(security(p->spec, "runAsUser"), 1) == 0;
	pod_containers(p, user_of, &f);
	ret->reason = STR("runAsUser=0");
	ret->detail = arena_strf(p->a, "%.*s must not set runAsUser=0", STR_ARG(setters(&f)));
	return f.pod || json_len(f.names);
}

/* ---- seccompProfile ---- */

static bool seccomp_fine(struct str type)
{
	return str_is(type, "RuntimeDefault") || str_is(type, "Localhost");
}

static void seccomp_of(void *arg, const struct json *c)
{
	struct str type = json_str(json_get(security(c, "seccompProfile"), STR("type")));
	struct found *f = arg;

	if (seccomp_fine(type))
		return;
	if (type.n) {
		pod_set_add(f->p->a, f->values, type);
		blame(f, f->names, c);
	} else if (!f->pod_says) {
		blame(f, f->silent, c);
	}
}

static bool seccomp(const struct pod_subject *p, struct pod_fault *ret)
{
	struct str type = json_str(json_get(security(p->spec, "seccompProfile"), STR("type")));
	struct found f = found_new(p);

	if (p->minor >= 25 && pod_is_windows(p))
		return false;
	f.pod_says = seccomp_fine(type);
	f.pod = type.n && !f.pod_says;
	if (f.pod)
		pod_set_add(p->a, f.values, type);
	pod_containers(p, seccomp_of, &f);
	ret->reason = STR("seccompProfile");
	if (f.pod || json_len(f.names)) {
		ret->detail = arena_strf(
			p->a, "%.*s must not set securityContext.seccompProfile.type to %.*s",
			STR_ARG(setters(&f)), STR_ARG(pod_quoted(p->a, f.values)));
		return true;
	}
	ret->detail = arena_strf(p->a,
				 "pod or %.*s must set securityContext.seccompProfile.type to "
				 "\"RuntimeDefault\" or \"Localhost\"",
				 STR_ARG(pod_containers_named(p->a, f.silent)));
	return json_len(f.silent) > 0;
}

const struct pod_check pod_checks_restricted[] = {
	{"allowPrivilegeEscalation", 8, NULL, escalation},
	{"capabilities_restricted", 22, "capabilities_baseline", capabilities},
	{"restrictedVolumes", 0, "hostPathVolumes", volumes},
	{"runAsNonRoot", 0, NULL, non_root},
	{"runAsUser", 23, NULL, root_user},
	{"seccompProfile_restricted", 19, "seccompProfile_baseline", seccomp},
	{0},
};
