/*
 * The rarer members of a pod's containers: how mounts spread, what probes and hooks may ask for,
 * rights that contradict each other, and what containers for looking may not have. Pure.
 */
#include "apiserver/kinds/rules_details.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* ---- mounts ---- */

static bool is_privileged(const struct json *o)
{
	return json_bool(json_at(o, "securityContext", "privileged"), false);
}

static void check_recursive(struct kind_ctx *c, const struct spath *at, const struct json *m)
{
	static const char *const known[] = {"Disabled", "Enabled", "IfPossible", NULL};
	const struct json *v = json_get(m, STR("recursiveReadOnly"));
	struct str s = json_str(v), spread = json_str(json_get(m, STR("mountPropagation")));

	if (!v || str_is(s, "Disabled"))
		return;
	if (!str_is(s, "Enabled") && !str_is(s, "IfPossible")) {
		rule_unsupported(c, at, "recursiveReadOnly", v, known);
		return;
	}
	if (!json_bool(json_get(m, STR("readOnly")), false))
		rule_forbidden(c, at, "recursiveReadOnly",
			       "may only be specified when readOnly is true");
	if (spread.n && !str_is(spread, "None"))
		rule_forbidden(
			c, at, "recursiveReadOnly",
			"may only be specified when mountPropagation is None or not specified");
}

static bool climbs(struct str path)
{
	struct str part;

	while (str_next(&path, '/', &part))
		if (str_is(part, ".."))
			return true;
	return false;
}

static void check_mounts(struct kind_ctx *c, const struct spath *at, const struct json *o,
			 bool ephemeral)
{
	const struct json *list = json_get(o, STR("volumeMounts"));
	struct spath all = SPATH_FIELD(at, "volumeMounts");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *m = json_item(list, i), *expr = json_get(m, STR("subPathExpr"));
		struct spath here = SPATH_INDEX(&all, i);
		bool sub = json_str(json_get(m, STR("subPath"))).n;

		if (json_str(expr).n && sub)
			rule_invalid(c, &here, "subPathExpr", expr,
				     "subPathExpr and subPath are mutually exclusive");
		if (str_starts(json_str(expr), STR("/")))
			rule_invalid(c, &here, "subPathExpr", expr, "must be a relative path");
		if (climbs(json_str(expr)))
			rule_invalid(c, &here, "subPathExpr", expr, "must not contain '..'");
		if (ephemeral && sub)
			rule_forbidden(c, &here, "subPath",
				       "cannot be set for an Ephemeral Container");
		if (ephemeral && json_str(expr).n)
			rule_forbidden(c, &here, "subPathExpr",
				       "cannot be set for an Ephemeral Container");
		if (str_is(json_str(json_get(m, STR("mountPropagation"))), "Bidirectional") &&
		    !is_privileged(o))
			rule_forbidden(c, &here, "mountPropagation",
				       "Bidirectional mount propagation is available only to "
				       "privileged containers");
		check_recursive(c, &here, m);
	}
}

/* ---- probes and hooks ---- */

static bool header_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (!(ch >= '0' && ch <= '9') && !(ch >= 'a' && ch <= 'z') &&
		    !(ch >= 'A' && ch <= 'Z') && ch != '-')
			return false;
	}
	return s.n;
}

static void check_headers(struct kind_ctx *c, const struct spath *up, const struct json *h)
{
	const struct json *list = json_at(h, "httpGet", "httpHeaders");
	struct spath http = SPATH_FIELD(up, "httpGet");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *name = json_at(json_item(list, i), "name");

		if (!header_ok(json_str(name)))
			rule_invalid(c, &http, "httpHeaders", name,
				     "a valid HTTP header must consist of alphanumeric characters "
				     "or '-' (e.g. 'X-Header-Name', regex used for validation is "
				     "'[-A-Za-z0-9]+')");
	}
}

static void check_sleep(struct kind_ctx *c, const struct spath *at, const struct json *nap,
			int64_t grace_s)
{
	const struct json *seconds = json_get(nap, STR("seconds"));
	int64_t n = json_int(seconds, 0);

	if (nap && (n <= 0 || n > grace_s))
		rule_invalid(c, at, "sleep", seconds,
			     arena_printf(c->a,
					  "must be greater than 0 and less than "
					  "terminationGracePeriodSeconds (%lld). Enable "
					  "PodLifecycleSleepActionAllowZero feature gate for zero "
					  "sleep.",
					  (long long)grace_s));
}

static void check_handlers(struct kind_ctx *c, const struct spath *at, const struct json *o,
			   const struct json *spec)
{
	static const char *const probes[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const hooks[] = {"postStart", "preStop"};
	const struct json *grace = json_at(o, "readinessProbe", "terminationGracePeriodSeconds");
	struct spath ready = SPATH_FIELD(at, "readinessProbe"),
		     lifecycle = SPATH_FIELD(at, "lifecycle");

	if (grace)
		rule_invalid(c, &ready, "terminationGracePeriodSeconds", grace,
			     "must not be set for readinessProbes");
	for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
		struct spath here = {.up = at, .name = str_c(probes[i])};

		check_headers(c, &here, json_get(o, str_c(probes[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		const struct json *h = json_at(o, "lifecycle", hooks[i]);
		struct spath here = {.up = &lifecycle, .name = str_c(hooks[i])};

		check_headers(c, &here, h);
		check_sleep(c, &here, json_get(h, STR("sleep")),
			    json_int(json_get(spec, STR("terminationGracePeriodSeconds")), 30));
	}
}

/* ---- environment ---- */

bool rule_env_name_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~' || s.p[i] == '=')
			return false;
	return true;
}

static bool divisor_known(struct str resource, struct str divisor)
{
	static const char *const bytes[] = {"1",   "1k",  "1M",  "1G",  "1T",  "1P", "1E",
					    "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};

	if (!divisor.n || str_is(divisor, "0"))
		return true;
	if (str_ends(resource, STR(".cpu")))
		return str_is(divisor, "1") || str_is(divisor, "1m");
	for (size_t i = 0; i < ARRAY_LEN(bytes); i++)
		if (str_is(divisor, bytes[i]))
			return true;
	return false;
}

void rule_resource_ref(struct kind_ctx *c, const struct spath *at, const struct json *ref,
		       bool of_volume)
{
	static const char *const known[] = {"limits.cpu",
					    "limits.ephemeral-storage",
					    "limits.memory",
					    "requests.cpu",
					    "requests.ephemeral-storage",
					    "requests.memory",
					    NULL};
	const struct json *resource = json_get(ref, STR("resource")),
			  *divisor = json_get(ref, STR("divisor"));
	struct str s = json_str(resource);
	bool found = str_starts(s, STR("limits.hugepages-")) ||
		     str_starts(s, STR("requests.hugepages-"));

	if (!ref)
		return;
	if (of_volume && !json_str(json_get(ref, STR("containerName"))).n)
		rule_required(c, at, "containerName", NULL);
	if (!s.n) {
		rule_required(c, at, "resource", NULL);
		return;
	}
	for (const char *const *k = known; *k && !found; k++)
		found = str_is(s, *k);
	if (!found)
		rule_unsupported(c, at, "resource", resource, known);
	else if (json_is(divisor, JSON_STRING) && !divisor_known(s, json_str(divisor)))
		rule_invalid(c, at, "divisor", resource,
			     str_ends(s, STR(".cpu"))
				     ? "only divisor's values 1m and 1 are supported with the cpu "
				       "resource"
				     : "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, "
				       "1Gi, 1Ti, 1Pi, 1Ei are supported");
}

static void check_env(struct kind_ctx *c, const struct spath *at, const struct json *o)
{
	const struct json *list = json_get(o, STR("env")), *from = json_get(o, STR("envFrom"));
	struct spath all = SPATH_FIELD(at, "env"), froms = SPATH_FIELD(at, "envFrom");

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i), in = SPATH_FIELD(&here, "valueFrom"),
			     ref = SPATH_FIELD(&in, "resourceFieldRef");

		rule_resource_ref(c, &ref,
				  json_at(json_item(list, i), "valueFrom", "resourceFieldRef"),
				  false);
	}
	for (size_t i = 0; i < json_len(from); i++) {
		const struct json *prefix = json_at(json_item(from, i), "prefix");
		struct spath here = SPATH_INDEX(&froms, i);

		if (!rule_env_name_ok(json_str(prefix)))
			rule_invalid(c, &here, "prefix", prefix,
				     "a valid environment variable name must consist only of "
				     "printable ASCII characters other than '='");
	}
}

/* ---- the whole ---- */

/* Who may administer the machine can't be kept from getting more. */
static void check_rights(struct kind_ctx *c, const struct spath *at, const struct json *o)
{
	const struct json *sc = json_get(o, STR("securityContext"));
	const struct json *add = json_at(sc, "capabilities", "add");
	struct spath sc_at = SPATH_FIELD(at, "securityContext");

	rule_profiles(c, &sc_at, sc);
	if (json_bool(json_get(sc, STR("allowPrivilegeEscalation")), true))
		return;
	for (size_t i = 0; i < json_len(add); i++)
		if (str_is(json_str(json_item(add, i)), "CAP_SYS_ADMIN"))
			rule_invalid(c, at, "securityContext", sc,
				     "cannot set `allowPrivilegeEscalation` to false and "
				     "`capabilities.Add` CAP_SYS_ADMIN");
}

static bool has_container(const struct json *spec, struct str name)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct json *list = json_get(spec, str_c(lists[i]));

		for (size_t k = 0; k < json_len(list); k++)
			if (str_eq(json_str(json_at(json_item(list, k), "name")), name))
				return true;
	}
	return false;
}

static void check_ephemeral(struct kind_ctx *c, const struct spath *at, const struct json *o,
			    const struct json *spec)
{
	static const char *const fields[] = {"ports", "resources", "resizePolicy"};
	const struct json *target = json_get(o, STR("targetContainerName"));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (json_len(json_get(o, str_c(fields[i]))))
			rule_forbidden(c, at, fields[i],
				       "cannot be set for an Ephemeral Container");
	if (json_str(target).n && !has_container(spec, json_str(target)))
		rule_not_found(c, at, "targetContainerName", target);
}

void container_validate_details(struct kind_ctx *c, const struct spath *at, const struct json *o,
				const struct container_details *d)
{
	check_mounts(c, at, o, d->ephemeral);
	check_handlers(c, at, o, d->spec);
	check_env(c, at, o);
	check_rights(c, at, o);
	if (d->ephemeral)
		check_ephemeral(c, at, o, d->spec);
}
