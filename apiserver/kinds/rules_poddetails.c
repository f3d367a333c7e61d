/*
 * The rarer members of a pod's spec: DNS, aliases, gates, kernel parameters, profiles, and what
 * belongs to another operating system. Takes out what this version of the API knows, but has
 * switched off: nothing here would carry it out. Pure.
 */
#include "apiserver/kinds/rules_details.h"

#include "apiserver/kinds/rules_net.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

enum { SEARCHES_MAX = 32, SEARCH_TEXT_MAX = 2048 };

/* ---- what is switched off ---- */

static void drop_of_container(struct json *o)
{
	struct json *resources = json_get(o, STR("resources"));

	json_del(o, STR("resizePolicy"));
	if (json_is(resources, JSON_OBJECT))
		json_del(resources, STR("claims"));
}

static void drop_of_volume(struct json *v)
{
	struct json *sources = json_at(v, "projected", "sources");

	for (size_t i = 0; i < json_len(sources); i++)
		if (json_is(json_item(sources, i), JSON_OBJECT))
			json_del(json_item(sources, i), STR("clusterTrustBundle"));
}

void podspec_drop_disabled(struct json *spec)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	static const char *const fields[] = {"hostUsers", "resourceClaims", "resources"};
	struct json *volumes = json_get(spec, STR("volumes"));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		json_del(spec, str_c(fields[i]));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct json *list = json_get(spec, str_c(lists[i]));

		for (size_t k = 0; k < json_len(list); k++)
			if (json_is(json_item(list, k), JSON_OBJECT))
				drop_of_container(json_item(list, k));
	}
	for (size_t i = 0; i < json_len(volumes); i++)
		if (json_is(json_item(volumes, i), JSON_OBJECT))
			drop_of_volume(json_item(volumes, i));
}

/* ---- names ---- */

static void check_ip(struct kind_ctx *c, const struct spath *at, const char *field,
		     const struct json *v)
{
	if (!ip_family(json_str(v)))
		rule_invalid(c, at, field, v,
			     "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

static void check_searches(struct kind_ctx *c, const struct spath *dns, const struct json *list)
{
	struct spath all = SPATH_FIELD(dns, "searches");
	size_t length = 0;

	for (size_t i = 0; i < json_len(list); i++)
		length += json_str(json_item(list, i)).n + (i > 0);
	if (json_len(list) > SEARCHES_MAX)
		rule_invalid(c, dns, "searches", list, "must not have more than 32 search paths");
	if (length > SEARCH_TEXT_MAX)
		rule_invalid(c, dns, "searches", list,
			     "must not have more than 2048 characters (including spaces) in the "
			     "search list");
	for (size_t i = 0; i < json_len(list) && i < SEARCHES_MAX; i++) {
		struct spath here = SPATH_INDEX(&all, i);
		struct str s = json_str(json_item(list, i));
		const char *why = name_check_dns1123_subdomain(
			str_ends(s, STR(".")) ? str_sub(s, 0, s.n - 1) : s);

		if (why)
			rule_invalid(c, &here, NULL, json_item(list, i), why);
	}
}

static void check_dns(struct kind_ctx *c, const struct spath *at, const struct json *config)
{
	struct spath dns = SPATH_FIELD(at, "dnsConfig"), servers = SPATH_FIELD(&dns, "nameservers"),
		     options = SPATH_FIELD(&dns, "options");
	const struct json *list = json_get(config, STR("nameservers"));

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&servers, i);

		check_ip(c, &here, NULL, json_item(list, i));
	}
	check_searches(c, &dns, json_get(config, STR("searches")));
	list = json_get(config, STR("options"));
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&options, i);

		if (!json_str(json_at(json_item(list, i), "name")).n)
			rule_required(c, &here, NULL, "must not be empty");
	}
}

static void check_aliases(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "hostAliases");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *names = json_at(json_item(list, i), "hostnames");
		struct spath here = SPATH_INDEX(&all, i), in = SPATH_FIELD(&here, "hostnames");

		check_ip(c, &here, "ip", json_at(json_item(list, i), "ip"));
		for (size_t k = 0; k < json_len(names); k++) {
			struct spath name = SPATH_INDEX(&in, k);

			rule_name(c, &name, NULL, json_item(names, k),
				  name_check_dns1123_subdomain);
		}
	}
}

static void check_gates(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "readinessGates");

	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		rule_name(c, &here, "conditionType", json_at(json_item(list, i), "conditionType"),
			  name_check_qualified);
	}
}

/* ---- spreading ---- */

static bool in_selector(const struct json *selector, struct str key)
{
	const struct json *list = json_get(selector, STR("matchExpressions"));

	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_at(json_item(list, i), "key")), key))
			return true;
	return json_get(json_get(selector, STR("matchLabels")), key);
}

void rule_label_keys(struct kind_ctx *c, const struct spath *at, const struct json *o,
		     const char *field)
{
	const struct json *keys = json_get(o, str_c(field)),
			  *selector = json_get(o, STR("labelSelector"));
	struct spath all = {.up = at, .name = str_c(field)};

	if (json_len(keys) && !selector)
		rule_forbidden(c, at, field, "must not be specified when labelSelector is not set");
	for (size_t i = 0; selector && i < json_len(keys); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		rule_key(c, &here, json_item(keys, i));
		if (in_selector(selector, json_str(json_item(keys, i))))
			rule_invalid(
				c, &here, NULL, json_item(keys, i),
				arena_printf(c->a, "exists in both %s and labelSelector", field));
	}
}

static void check_spreading(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "topologySpreadConstraints");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *t = json_item(list, i), *min = json_get(t, STR("minDomains"));
		struct spath here = SPATH_INDEX(&all, i);

		if (json_is(min, JSON_INT) && json_int(min, 0) <= 0)
			rule_invalid(c, &here, "minDomains", min, "must be greater than zero");
		if (json_is(min, JSON_INT) &&
		    !str_is(json_str(json_at(t, "whenUnsatisfiable")), "DoNotSchedule"))
			rule_invalid(c, &here, "minDomains", min,
				     "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
				     "not ScheduleAnyway");
		rule_label_keys(c, &here, t, "matchLabelKeys");
	}
}

/* ---- security ---- */

static bool path_climbs(struct str path)
{
	struct str part;

	while (str_next(&path, '/', &part))
		if (str_is(part, ".."))
			return true;
	return false;
}

void rule_profiles(struct kind_ctx *c, const struct spath *sc_at, const struct json *sc)
{
	static const struct {
		const char *field, *set, *only;
	} kinds[] = {
		{"seccompProfile", "must be set when seccomp type is Localhost",
		 "can only be set when seccomp type is Localhost"},
		{"appArmorProfile", "must be set when AppArmor type is Localhost",
		 "can only be set when AppArmor type is Localhost"},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct json *p = json_get(sc, str_c(kinds[i].field));
		const struct json *path = json_get(p, STR("localhostProfile"));
		struct spath at = {.up = sc_at, .name = str_c(kinds[i].field)};

		if (!p)
			continue;
		if (!str_is(json_str(json_get(p, STR("type"))), "Localhost")) {
			if (path)
				rule_invalid(c, &at, "localhostProfile", path, kinds[i].only);
		} else if (!json_str(path).n) {
			rule_required(c, &at, "localhostProfile", kinds[i].set);
		} else if (i == 0 && str_starts(json_str(path), STR("/"))) {
			rule_invalid(c, &at, "localhostProfile", path, "must be a relative path");
		} else if (i == 0 && path_climbs(json_str(path))) {
			rule_invalid(c, &at, "localhostProfile", path, "must not contain '..'");
		}
	}
}

/* Parameters of namespaces that the pod doesn't have. */
static void check_sysctls(struct kind_ctx *c, const struct spath *sc_at, const struct json *spec)
{
	const struct json *list = json_at(spec, "securityContext", "sysctls");
	bool net = json_bool(json_get(spec, STR("hostNetwork")), false),
	     ipc = json_bool(json_get(spec, STR("hostIPC")), false);
	struct spath all = SPATH_FIELD(sc_at, "sysctls");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_at(json_item(list, i), "name");
		struct spath here = SPATH_INDEX(&all, i);
		struct str name = json_str(v);
		bool of_net = str_starts(name, STR("net.")) || str_starts(name, STR("net/"));
		bool of_ipc = str_starts(name, STR("kernel.shm")) ||
			      str_starts(name, STR("kernel.msg")) || str_is(name, "kernel.sem") ||
			      str_starts(name, STR("fs.mqueue."));

		if (net && of_net)
			rule_invalid(c, &here, "name", v,
				     "may not be specified when 'hostNetwork' is true");
		if (ipc && of_ipc)
			rule_invalid(c, &here, "name", v,
				     "may not be specified when 'hostIPC' is true");
	}
}

static void check_groups(struct kind_ctx *c, const struct spath *sc_at, const struct json *list)
{
	struct spath all = SPATH_FIELD(sc_at, "supplementalGroups");

	for (size_t i = 0; i < json_len(list); i++) {
		int64_t n = json_int(json_item(list, i), 0);
		struct spath here = SPATH_INDEX(&all, i);

		if (n < 0 || n > INT32_MAX)
			rule_invalid(c, &here, NULL, json_item(list, i),
				     "must be between 0 and 2147483647, inclusive");
	}
}

/* ---- operating systems ---- */

static void forbid(struct kind_ctx *c, const struct spath *at, const struct json *o,
		   const char *const *fields, const char *why)
{
	for (const char *const *f = fields; *f; f++) {
		const struct json *v = json_get(o, str_c(*f));

		if (v && (v->type != JSON_BOOL || json_bool(v, false)))
			rule_forbidden(c, at, *f, why);
	}
}

static void check_os_of_containers(struct kind_ctx *c, const struct spath *at,
				   const struct json *spec, const char *const *fields,
				   const char *why)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct json *list = json_get(spec, str_c(lists[i]));
		struct spath all = {.up = at, .name = str_c(lists[i])};

		for (size_t k = 0; k < json_len(list); k++) {
			struct spath here = SPATH_INDEX(&all, k);
			struct spath in = SPATH_FIELD(&here, "securityContext");

			forbid(c, &in, json_at(json_item(list, k), "securityContext"), fields, why);
		}
	}
}

static void check_os(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	static const char *const windows[] = {"windowsOptions", NULL};
	static const char *const pod[] = {"hostPID", "hostIPC", "shareProcessNamespace", NULL};
	static const char *const context[] = {"appArmorProfile",
					      "seLinuxOptions",
					      "seccompProfile",
					      "fsGroup",
					      "fsGroupChangePolicy",
					      "sysctls",
					      "runAsUser",
					      "runAsGroup",
					      "supplementalGroups",
					      "supplementalGroupsPolicy",
					      NULL};
	static const char *const container[] = {"appArmorProfile",
						"seLinuxOptions",
						"seccompProfile",
						"capabilities",
						"readOnlyRootFilesystem",
						"privileged",
						"allowPrivilegeEscalation",
						"procMount",
						"runAsUser",
						"runAsGroup",
						NULL};
	static const char linux_why[] = "windows options cannot be set for a linux pod",
			  windows_why[] = "cannot be set for a windows pod";
	struct str os = json_str(json_at(spec, "os", "name"));
	struct spath sc_at = SPATH_FIELD(at, "securityContext");
	const struct json *sc = json_get(spec, STR("securityContext"));

	if (str_is(os, "linux")) {
		forbid(c, &sc_at, sc, windows, linux_why);
		check_os_of_containers(c, at, spec, windows, linux_why);
	} else if (str_is(os, "windows")) {
		forbid(c, at, spec, pod, windows_why);
		forbid(c, &sc_at, sc, context, windows_why);
		check_os_of_containers(c, at, spec, container, windows_why);
	}
}

void podspec_validate_details(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *sc = json_get(spec, STR("securityContext"));
	struct spath sc_at = SPATH_FIELD(at, "securityContext");

	check_dns(c, at, json_get(spec, STR("dnsConfig")));
	check_aliases(c, at, json_get(spec, STR("hostAliases")));
	check_gates(c, at, json_get(spec, STR("readinessGates")));
	check_spreading(c, at, json_get(spec, STR("topologySpreadConstraints")));
	rule_profiles(c, &sc_at, sc);
	check_sysctls(c, &sc_at, spec);
	check_groups(c, &sc_at, json_get(sc, STR("supplementalGroups")));
	check_os(c, at, spec);
}
