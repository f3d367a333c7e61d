/*
 * Puts an environment together in kube's order: what comes later replaces what came before. Must
 * never show an error that holds a Secret's value. Pure; memory is the caller's arena.
 */
#include "kubelet/env_core.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static struct str upper(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		out[i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
	}
	return (struct str){out, s.n};
}

/* {PREFIX}_PORT_80_TCP and its parts, as docker's links were. */
static int link_vars(struct arena *a, struct env *e, struct str prefix, const struct json *port,
		     struct str ip, struct err *err)
{
	struct str proto = json_str_or(json_at(port, "protocol"), STR("TCP"));
	long long n = (long long)json_int(json_at(port, "port"), 0);
	struct str base = arena_strf(a, "%.*s_PORT_%lld_%.*s", STR_ARG(prefix), n, STR_ARG(proto));
	char *lower = arena_cstr(a, proto);

	for (char *c = lower; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
	return env_set(a, e, base, arena_strf(a, "%s://%.*s:%lld", lower, STR_ARG(ip), n), err) ||
			       env_set(a, e, arena_strf(a, "%.*s_PROTO", STR_ARG(base)),
				       str_c(lower), err) ||
			       env_set(a, e, arena_strf(a, "%.*s_PORT", STR_ARG(base)),
				       arena_strf(a, "%lld", n), err) ||
			       env_set(a, e, arena_strf(a, "%.*s_ADDR", STR_ARG(base)), ip, err)
		       ? -1
		       : 0;
}

int env_service(struct arena *a, const struct json *service, struct env *e, struct err *err)
{
	struct str ip = json_str(json_at(service, "spec", "clusterIP")),
		   name = upper(a, meta_name(service));
	const struct json *ports = json_at(service, "spec", "ports"), *first = json_item(ports, 0);

	if (!ip.n || str_is(ip, "None") || !first || !env_name_ok(name))
		return 0;
	struct str port = arena_strf(a, "%lld", (long long)json_int(json_at(first, "port"), 0));
	if (env_set(a, e, arena_strf(a, "%.*s_SERVICE_HOST", STR_ARG(name)), ip, err) ||
	    env_set(a, e, arena_strf(a, "%.*s_SERVICE_PORT", STR_ARG(name)), port, err))
		return -1;
	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		struct str pname = json_str(json_at(p, "name"));
		if (pname.n &&
		    env_set(a, e,
			    arena_strf(a, "%.*s_SERVICE_PORT_%.*s", STR_ARG(name),
				       STR_ARG(upper(a, pname))),
			    arena_strf(a, "%lld", (long long)json_int(json_at(p, "port"), 0)), err))
			return -1;
		struct str proto = json_str_or(json_at(p, "protocol"), STR("TCP"));
		if (i == 0 && str_is(proto, "TCP") &&
		    env_set(a, e, arena_strf(a, "%.*s_PORT", STR_ARG(name)),
			    arena_strf(a, "tcp://%.*s:%.*s", STR_ARG(ip), STR_ARG(port)), err))
			return -1;
		if (link_vars(a, e, name, p, ip, err))
			return -1;
	}
	return 0;
}

static int from_image(struct arena *a, const struct json *image, struct env *e, struct err *err)
{
	const struct json *list = json_at(image, "Env");
	struct str name, value;

	if (env_set(a, e, STR("PATH"),
		    STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), err))
		return -1;
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_cut(json_str(json_item(list, i)), '=', &name, &value) &&
		    env_name_ok(name) && env_set(a, e, name, value, err))
			return -1;
	}
	return 0;
}

static int from_source(struct arena *a, const struct env_in *in, const struct json *from,
		       struct env *e, struct err *err)
{
	bool secret = json_is(json_at(from, "secretRef"), JSON_OBJECT);
	const struct json *ref =
		secret ? json_at(from, "secretRef") : json_at(from, "configMapRef");
	struct str prefix = json_str(json_at(from, "prefix")),
		   name = json_str(json_at(ref, "name"));
	const struct json *object = in->in->find(in->in->arg, secret, name),
			  *data = json_at(object, "data");
	const struct json_member *m = json_members(data);

	if (!object && json_bool(json_at(ref, "optional"), false))
		return 0;
	if (!object)
		return err_set(err, ERR_NOT_FOUND, "%s \"%.*s\" not found",
			       secret ? "secret" : "configmap", STR_ARG(name));
	for (size_t i = 0; i < json_len(data); i++) {
		struct str value,
			full = arena_strf(a, "%.*s%.*s", STR_ARG(prefix), STR_ARG(m[i].key));
		/* A name that can't be one is left out, as kube does. */
		if (!env_name_ok(full) || !payload_value(a, object, secret, m[i].key, &value))
			continue;
		if (env_set(a, e, full, value, err))
			return -1;
	}
	return 0;
}

/* *ret stays STR_NONE when it is optional and missing. */
static int from_key(struct arena *a, const struct env_in *in, const struct json *ref, bool secret,
		    struct str *ret, struct err *err)
{
	struct str name = json_str(json_at(ref, "name")), key = json_str(json_at(ref, "key"));
	const struct json *object = in->in->find(in->in->arg, secret, name);
	const char *what = secret ? "Secret" : "ConfigMap";

	if (object && payload_value(a, object, secret, key, ret))
		return 0;
	if (json_bool(json_at(ref, "optional"), false))
		return 0;
	if (!object)
		return err_set(err, ERR_NOT_FOUND, "%s \"%.*s\" not found",
			       secret ? "secret" : "configmap", STR_ARG(name));
	return err_set(err, ERR_NOT_FOUND, "couldn't find key %.*s in %s %.*s/%.*s", STR_ARG(key),
		       what, STR_ARG(in->in->pod->namespace), STR_ARG(name));
}

static int value_from(struct arena *a, const struct env_in *in, const struct json *from,
		      struct str *ret, struct err *err)
{
	const struct json *v;

	if ((v = json_at(from, "fieldRef")))
		return field_value(a, &in->in->fields, json_str(json_at(v, "fieldPath")), ret, err);
	if ((v = json_at(from, "resourceFieldRef")))
		return resource_field_value(a, in->c->json, &in->in->node, v, ret, err);
	if ((v = json_at(from, "configMapKeyRef")))
		return from_key(a, in, v, false, ret, err);
	if ((v = json_at(from, "secretKeyRef")))
		return from_key(a, in, v, true, ret, err);
	return err_set(err, ERR_UNSUPPORTED, "a valueFrom of this kind is not supported");
}

static int own(struct arena *a, const struct env_in *in, struct env *e, struct err *err)
{
	const struct json *list = json_at(in->c->json, "env");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i), *from = json_at(v, "valueFrom");
		struct str name = json_str(json_at(v, "name")), value = STR_NONE;
		if (!from)
			value = expand_vars(a, json_str_or(json_at(v, "value"), STR("")), e);
		else if (value_from(a, in, from, &value, err))
			return -1;
		else if (!value.p && !json_at(from, "fieldRef"))
			continue;
		if (env_set(a, e, name, value.p ? value : STR(""), err))
			return -1;
	}
	return 0;
}

int env_build(struct arena *a, const struct env_in *in, struct env *ret, struct err *err)
{
	const struct json *from = json_at(in->c->json, "envFrom");
	bool links = json_bool(json_at(in->in->pod->spec, "enableServiceLinks"), true);

	*ret = (struct env){0};
	if (from_image(a, in->image, ret, err) ||
	    env_set(a, ret, STR("HOSTNAME"), in->hostname, err))
		return -1;
	env_hide(ret);
	for (size_t i = 0; i < in->nservices; i++) {
		const struct json *s = in->services[i];
		bool api =
			str_is(meta_namespace(s), "default") && str_is(meta_name(s), "kubernetes");
		if ((links || api) && env_service(a, s, ret, err))
			return -1;
	}
	for (size_t i = 0; i < json_len(from); i++) {
		if (from_source(a, in, json_item(from, i), ret, err))
			return -1;
	}
	return own(a, in, ret, err);
}
