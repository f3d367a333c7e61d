/*
 * Containers of a pod spec: names, images, ports, environment, mounts, probes, resources.
 *
 * Pure.
 */
#include "apiserver/kinds/rules_details.h"

#include "lib/base/map.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

enum which { PLAIN, INIT, EPHEMERAL };

struct containers {
	struct kind_ctx *c;
	const struct json *spec;
	struct map names, volumes;
	bool of_pod; /* not of a template: there an image may be a blank that somebody fills in */
};

static void check_ports(struct kind_ctx *c, const struct spath *at, const struct json *o)
{
	const struct json *list = json_get(o, STR("ports"));
	struct spath all = SPATH_FIELD(at, "ports");
	AUTO(map) struct map names = {0};
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *p = json_item(list, i), *name = json_get(p, STR("name"));
		struct spath here = SPATH_INDEX(&all, i);
		if (json_str(name).n) {
			rule_port_or_name(c, &here, "name", name);
			if (map_set(&names, json_str(name), (void *)name))
				rule_duplicate(c, &here, "name", name);
		}
		const struct json *port = json_get(p, STR("containerPort"));
		if (!json_int(port, 0))
			rule_required(c, &here, "containerPort", NULL);
		else
			rule_port(c, &here, "containerPort", port);
		if (json_int(json_get(p, STR("hostPort")), 0))
			rule_port(c, &here, "hostPort", json_get(p, STR("hostPort")));
	}
}

static void check_field_ref(struct kind_ctx *c, const struct spath *at, const struct json *ref)
{
	static const char *const paths[] = {"metadata.name",
					    "metadata.namespace",
					    "metadata.uid",
					    "spec.nodeName",
					    "spec.serviceAccountName",
					    "status.hostIP",
					    "status.hostIPs",
					    "status.podIP",
					    "status.podIPs",
					    NULL};
	const struct json *path = json_get(ref, STR("fieldPath"));
	struct str s = json_str(path);
	if (!ref || !s.n || str_starts(s, STR("metadata.labels['")) ||
	    str_starts(s, STR("metadata.annotations['")))
		return;
	for (const char *const *p = paths; *p; p++)
		if (str_is(s, *p))
			return;
	rule_unsupported(c, at, "fieldPath", path, paths);
}

static void check_env(struct kind_ctx *c, const struct spath *at, const struct json *o)
{
	static const char *const from[] = {"fieldRef", "resourceFieldRef", "configMapKeyRef",
					   "secretKeyRef", NULL};
	const struct json *list = json_get(o, STR("env"));
	struct spath all = SPATH_FIELD(at, "env");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i), *source = json_get(e, STR("valueFrom"));
		struct spath here = SPATH_INDEX(&all, i), in = SPATH_FIELD(&here, "valueFrom");
		const struct json *name = json_get(e, STR("name"));
		if (!rule_env_name_ok(json_str(name)))
			rule_invalid(c, &here, "name", name,
				     "a valid environment variable name must consist only of "
				     "printable ASCII characters other than '='");
		if (!source)
			continue;
		rule_one_of(c, &in, source, from,
			    "must specify one of: `fieldRef`, `resourceFieldRef`, "
			    "`configMapKeyRef` or `secretKeyRef`",
			    "may not have more than one field specified at a time");
		if (json_str(json_get(e, STR("value"))).n)
			rule_invalid(c, &here, "valueFrom", json_new_str(c->a, STR("")),
				     "may not be specified when `value` is not empty");
		struct spath ref = SPATH_FIELD(&in, "fieldRef");
		check_field_ref(c, &ref, json_get(source, STR("fieldRef")));
	}
}

static bool climbs(struct str path)
{
	struct str part;

	while (str_next(&path, '/', &part))
		if (str_is(part, ".."))
			return true;
	return false;
}

static void check_mounts(struct containers *cs, const struct spath *at, const struct json *o)
{
	const struct json *list = json_get(o, STR("volumeMounts"));
	struct spath all = SPATH_FIELD(at, "volumeMounts");
	AUTO(map) struct map paths = {0};
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *m = json_item(list, i), *name = json_get(m, STR("name"));
		const struct json *path = json_get(m, STR("mountPath"));
		const struct json *sub = json_get(m, STR("subPath"));
		struct spath here = SPATH_INDEX(&all, i);
		if (json_str(name).n && !map_has(&cs->volumes, json_str(name)))
			rule_not_found(cs->c, &here, "name", name);
		if (json_str(path).n && map_set(&paths, json_str(path), (void *)path))
			rule_invalid(cs->c, &here, "mountPath", path, "must be unique");
		if (str_starts(json_str(sub), STR("/")))
			rule_invalid(cs->c, &here, "subPath", sub, "must be a relative path");
		else if (climbs(json_str(sub)))
			rule_invalid(cs->c, &here, "subPath", sub, "must not contain '..'");
	}
}

static bool mounted_as(const struct json *o, const char *field, const struct json *v)
{
	const struct json *list = json_get(o, STR("volumeMounts"));

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_get(json_item(list, i), str_c(field))), json_str(v)))
			return true;
	}
	return false;
}

static void check_device_name(struct containers *cs, const struct spath *at, const struct json *o,
			      const struct json *name)
{
	const struct json *v = map_get(&cs->volumes, json_str(name));

	if (!v)
		rule_not_found(cs->c, at, "name", name);
	else if (!json_get(v, STR("persistentVolumeClaim")) && !json_get(v, STR("ephemeral")))
		rule_invalid(cs->c, at, "name", name,
			     "can only use volume source type of PersistentVolumeClaim or "
			     "Ephemeral for block mode");
	if (mounted_as(o, "name", name))
		rule_invalid(cs->c, at, "name", name, "must not already exist in volumeMounts");
}

static void check_devices(struct containers *cs, const struct spath *at, const struct json *o)
{
	const struct json *list = json_get(o, STR("volumeDevices"));
	struct spath all = SPATH_FIELD(at, "volumeDevices");
	AUTO(map) struct map names = {0}, paths = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *d = json_item(list, i), *name = json_get(d, STR("name"));
		const struct json *path = json_get(d, STR("devicePath"));
		struct spath here = SPATH_INDEX(&all, i);

		if (json_str(name).n && map_set(&names, json_str(name), (void *)name))
			rule_invalid(cs->c, &here, "name", name, "must be unique");
		check_device_name(cs, &here, o, name);
		if (json_str(path).n && map_set(&paths, json_str(path), (void *)path))
			rule_invalid(cs->c, &here, "devicePath", path, "must be unique");
		if (str_find(json_str(path), STR("..")) >= 0)
			rule_invalid(cs->c, &here, "devicePath", path,
				     "can not contain backsteps ('..')");
		if (mounted_as(o, "mountPath", path))
			rule_invalid(cs->c, &here, "devicePath", path,
				     "must not already exist as a path in volumeMounts");
	}
}

static void check_handler(struct kind_ctx *c, const struct spath *at, const struct json *h,
			  const char *const *types)
{
	rule_one_of(c, at, h, types, "must specify a handler type",
		    "may not specify more than 1 handler type");
	struct spath http = SPATH_FIELD(at, "httpGet"), tcp = SPATH_FIELD(at, "tcpSocket");
	struct spath exec = SPATH_FIELD(at, "exec"), grpc = SPATH_FIELD(at, "grpc");
	if (json_get(h, STR("httpGet")))
		rule_port_or_name(c, &http, "port", json_at(h, "httpGet", "port"));
	if (json_get(h, STR("tcpSocket")))
		rule_port_or_name(c, &tcp, "port", json_at(h, "tcpSocket", "port"));
	if (json_get(h, STR("grpc")))
		rule_port(c, &grpc, "port", json_at(h, "grpc", "port"));
	if (json_get(h, STR("exec")) && !json_len(json_at(h, "exec", "command")))
		rule_required(c, &exec, "command", NULL);
}

static void check_probe(struct kind_ctx *c, const struct spath *up, const struct json *o,
			const char *name)
{
	static const char *const types[] = {"exec", "httpGet", "tcpSocket", "grpc", NULL};
	static const char *const counts[] = {"initialDelaySeconds", "timeoutSeconds",
					     "periodSeconds", "successThreshold",
					     "failureThreshold"};
	const struct json *p = json_get(o, str_c(name));
	struct spath at = {.up = up, .name = str_c(name)};
	if (!p)
		return;
	check_handler(c, &at, p, types);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		rule_non_negative(c, &at, p, counts[i]);
	rule_range(c, &at, p, "terminationGracePeriodSeconds", 1, INT32_MAX);
	const struct json *success = json_get(p, STR("successThreshold"));
	if (strcmp(name, "readinessProbe") && json_int(success, 1) != 1)
		rule_invalid(c, &at, "successThreshold", success, "must be 1");
}

static void check_lifecycle(struct kind_ctx *c, const struct spath *up, const struct json *o)
{
	static const char *const types[] = {"exec", "httpGet", "tcpSocket", "sleep", NULL};
	static const char *const hooks[] = {"postStart", "preStop"};
	struct spath at = SPATH_FIELD(up, "lifecycle");
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		const struct json *h = json_at(o, "lifecycle", hooks[i]);
		struct spath here = {.up = &at, .name = str_c(hooks[i])};
		if (h)
			check_handler(c, &here, h, types);
	}
}

static void check_security(struct kind_ctx *c, const struct spath *up, const struct json *o)
{
	const struct json *sc = json_get(o, STR("securityContext"));
	struct spath at = SPATH_FIELD(up, "securityContext");
	rule_range(c, &at, sc, "runAsUser", 0, INT32_MAX);
	rule_range(c, &at, sc, "runAsGroup", 0, INT32_MAX);
	const struct json *escalation = json_get(sc, STR("allowPrivilegeEscalation"));
	if (json_is(escalation, JSON_BOOL) && !json_bool(escalation, true) &&
	    json_bool(json_get(sc, STR("privileged")), false))
		rule_invalid(c, up, "securityContext", sc,
			     "cannot set `allowPrivilegeEscalation` to false and `privileged` to "
			     "true");
}

/* What only long-running containers may have. */
static void check_running(struct kind_ctx *c, const struct spath *at, const struct json *o,
			  enum which which)
{
	static const char *const fields[] = {"lifecycle", "livenessProbe", "readinessProbe",
					     "startupProbe"};
	const struct json *restart = json_get(o, STR("restartPolicy"));
	bool sidecar = str_is(json_str(restart), "Always");
	if (which != INIT && json_str(restart).n)
		rule_forbidden(c, at, "restartPolicy", "may not be set for non-init containers");
	if (which == INIT && json_str(restart).n && !sidecar) {
		static const char *const only[] = {"Always", NULL};
		rule_unsupported(c, at, "restartPolicy", restart, only);
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (!json_get(o, str_c(fields[i])))
			continue;
		if (which == EPHEMERAL)
			rule_forbidden(c, at, fields[i],
				       "cannot be set for an Ephemeral Container");
		else if (which == INIT && !sidecar)
			rule_forbidden(c, at, fields[i],
				       "may not be set for init containers without "
				       "restartPolicy=Always");
	}
}

static void check_source_name(struct kind_ctx *c, const struct spath *at, const struct json *ref)
{
	const struct json *name = json_get(ref, STR("name"));

	if (ref && !json_str(name).n)
		rule_required(c, at, "name", NULL);
	else if (ref)
		rule_name(c, at, "name", name, name_check_dns1123_subdomain);
}

static void check_env_from(struct kind_ctx *c, const struct spath *up, const struct json *o)
{
	const struct json *list = json_get(o, STR("envFrom"));
	struct spath at = SPATH_FIELD(up, "envFrom");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *one = json_item(list, i);
		bool map = json_get(one, STR("configMapRef")),
		     secret = json_get(one, STR("secretRef"));

		if (!map && !secret)
			rule_invalid(c, &at, NULL, NULL,
				     "must specify one of: `configMapRef` or `secretRef`");
		else if (map && secret)
			rule_invalid(c, &at, NULL, NULL,
				     "may not have more than one field specified at a time");
		struct spath here = SPATH_INDEX(&at, i),
			     from_map = SPATH_FIELD(&here, "configMapRef"),
			     from_secret = SPATH_FIELD(&here, "secretRef");
		check_source_name(c, &from_map, json_get(one, STR("configMapRef")));
		check_source_name(c, &from_secret, json_get(one, STR("secretRef")));
	}
}

static void check_container(struct containers *cs, const struct spath *at, const struct json *o,
			    enum which which)
{
	struct kind_ctx *c = cs->c;
	const struct json *name = json_get(o, STR("name")), *image = json_get(o, STR("image"));
	if (json_str(name).n) {
		rule_name(c, at, "name", name, name_check_dns1123_label);
		if (map_set(&cs->names, json_str(name), (void *)name))
			rule_duplicate(c, at, "name", name);
	}
	if (!json_str(image).n)
		rule_required(c, at, "image", NULL);
	else if (cs->of_pod && str_trim(json_str(image)).n != json_str(image).n)
		rule_invalid(c, at, "image", image, "must not have leading or trailing whitespace");
	check_ports(c, at, o);
	check_env(c, at, o);
	check_env_from(c, at, o);
	check_mounts(cs, at, o);
	check_devices(cs, at, o);
	check_probe(c, at, o, "livenessProbe");
	check_probe(c, at, o, "readinessProbe");
	check_probe(c, at, o, "startupProbe");
	check_lifecycle(c, at, o);
	check_security(c, at, o);
	check_running(c, at, o, which);
	struct container_details d = {cs->spec, which == EPHEMERAL};
	container_validate_details(c, at, o, &d);
	struct spath resources = SPATH_FIELD(at, "resources");
	rule_quantities(c, &resources, json_get(o, STR("resources")));
}

static void check_list(struct containers *cs, const struct spath *up, const char *field,
		       enum which which)
{
	const struct json *list = json_get(cs->spec, str_c(field));
	struct spath at = {.up = up, .name = str_c(field)};
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&at, i);
		check_container(cs, &here, json_item(list, i), which);
	}
}

/* Two containers of a pod cannot take the same port of the node. */
static void check_host_ports(struct kind_ctx *c, const struct spath *up, const struct json *spec)
{
	const struct json *list = json_get(spec, STR("containers"));
	struct spath at = SPATH_FIELD(up, "containers");
	AUTO(map) struct map seen = {0};
	bool host = json_bool(json_get(spec, STR("hostNetwork")), false);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *ports = json_get(json_item(list, i), STR("ports"));
		struct spath in = SPATH_INDEX(&at, i), all = SPATH_FIELD(&in, "ports");
		for (size_t k = 0; k < json_len(ports); k++) {
			const struct json *p = json_item(ports, k);
			int64_t port = json_int(json_get(p, STR("hostPort")), 0);
			struct spath here = SPATH_INDEX(&all, k);
			if (!port)
				continue;
			if (host && json_int(json_get(p, STR("containerPort")), 0) != port)
				rule_invalid(c, &here, "containerPort",
					     json_get(p, STR("containerPort")),
					     "must match `hostPort` when `hostNetwork` is true");
			struct str key = arena_strf(c->a, "%.*s/%.*s/%lld",
						    STR_ARG(json_str(json_get(p, STR("protocol")))),
						    STR_ARG(json_str(json_get(p, STR("hostIP")))),
						    (long long)port);
			if (map_set(&seen, key, (void *)p))
				rule_duplicate(c, &here, "hostPort", json_new_str(c->a, key));
		}
	}
}

void containers_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	struct containers cs = {.c = c, .spec = spec, .of_pod = !at->up};
	const struct json *volumes = json_get(spec, STR("volumes"));
	for (size_t i = 0; i < json_len(volumes); i++) {
		const struct json *v = json_item(volumes, i);
		map_set(&cs.volumes, json_str(json_get(v, STR("name"))), (void *)v);
	}
	check_list(&cs, at, "containers", PLAIN);
	check_list(&cs, at, "initContainers", INIT);
	check_list(&cs, at, "ephemeralContainers", EPHEMERAL);
	check_host_ports(c, at, spec);
	map_release(&cs.names);
	map_release(&cs.volumes);
}
