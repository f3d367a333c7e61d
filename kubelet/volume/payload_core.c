/*
 * From volume sources to files. Must never let a path lead out of the volume, nor one volume grow
 * without bound. Pure; memory is the caller's arena.
 */
#include "kubelet/volume/payload_core.h"

#include "lib/base/codec.h"

#include "lib/base/pure.h"

bool payload_path_ok(struct str path)
{
	struct str rest = path, part;
	bool first = true;

	if (path.n == 0 || path.n > 4000 || path.p[0] == '/' || memchr(path.p, 0, path.n))
		return false;
	while (str_next(&rest, '/', &part)) {
		if (part.n == 0 || part.n > 255 || str_is(part, ".") || str_is(part, "..") ||
		    (first && str_starts(part, STR(".."))))
			return false;
		first = false;
	}
	return true;
}

static int put(struct arena *a, struct payload *p, const struct payload_file *f, struct err *err)
{
	if (!payload_path_ok(f->path))
		return err_set(err, ERR_INVALID, "path %.*s leads out of the volume",
			       STR_ARG(f->path));
	p->bytes += f->data.n + f->path.n;
	if (p->n >= PAYLOAD_FILES_MAX || p->bytes > PAYLOAD_BYTES_MAX)
		return err_set(err, ERR_LIMIT, "the volume is too big");
	for (size_t i = 0; i < p->n; i++) {
		if (str_eq(p->v[i].path, f->path)) { /* later sources win, as kube's do */
			p->v[i] = *f;
			return 0;
		}
	}
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 8;
		struct payload_file *more = arena_array(a, cap, sizeof(*more));
		if (p->n)
			memcpy(more, p->v, p->n * sizeof(*more));
		p->v = more;
		p->cap = cap;
	}
	p->v[p->n++] = *f;
	return 0;
}

static unsigned mode_of(const struct json *own, const struct json *otherwise)
{
	int64_t mode = json_int(own, json_int(otherwise, 0644));

	return (unsigned)mode & 0777;
}

static bool decode(struct arena *a, struct str text, struct str *ret)
{
	AUTO(buf) struct buf out = {0};
	bool ok = !base64_decode(text, &out);

	*ret = out.n ? arena_str(a, buf_view(&out)) : STR("");
	buf_wipe(&out);
	return ok;
}

bool payload_value(struct arena *a, const struct json *object, bool secret, struct str key,
		   struct str *ret)
{
	const struct json *v = json_get(json_at(object, "data"), key);

	if (json_is(v, JSON_STRING) && !secret) {
		*ret = json_str(v);
		return true;
	}
	if (!secret)
		v = json_get(json_at(object, "binaryData"), key);
	return json_is(v, JSON_STRING) && decode(a, json_str(v), ret);
}

static int all_keys(struct arena *a, const struct json *object, const char *map, unsigned mode,
		    struct payload *p, struct err *err)
{
	bool secret = !strcmp(map, "secret");
	const struct json *data = json_get(object, secret ? STR("data") : str_c(map));
	const struct json_member *m = json_members(data);

	for (size_t i = 0; i < json_len(data); i++) {
		struct payload_file f = {.path = m[i].key, .mode = mode};
		if (payload_value(a, object, secret, m[i].key, &f.data) && put(a, p, &f, err))
			return -1;
	}
	return 0;
}

/* source: {name or secretName, items, optional, defaultMode}. */
static int put_object(struct arena *a, const struct payload_in *in, const struct json *source,
		      bool secret, const struct json *default_mode, struct payload *p,
		      struct err *err)
{
	struct str name =
		json_str_or(json_at(source, "secretName"), json_str(json_at(source, "name")));
	const struct json *object = in->find(in->arg, secret, name),
			  *items = json_at(source, "items");
	bool optional = json_bool(json_at(source, "optional"), false);
	const char *what = secret ? "secret" : "configmap";

	if (!object && optional)
		return 0;
	if (!object)
		return err_set(err, ERR_NOT_FOUND, "%s \"%.*s\" not found", what, STR_ARG(name));
	if (!json_len(items)) {
		unsigned mode = mode_of(NULL, default_mode);
		return all_keys(a, object, secret ? "secret" : "data", mode, p, err) ||
				       (!secret && all_keys(a, object, "binaryData", mode, p, err))
			       ? -1
			       : 0;
	}
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *item = json_item(items, i);
		struct payload_file f = {.path = json_str(json_at(item, "path")),
					 .mode = mode_of(json_at(item, "mode"), default_mode)};
		struct str key = json_str(json_at(item, "key"));
		if (!payload_value(a, object, secret, key, &f.data)) {
			if (optional)
				continue;
			return err_set(err, ERR_NOT_FOUND,
				       "%s \"%.*s\" references non-existent %s key: %.*s", what,
				       STR_ARG(name), secret ? "secret" : "config", STR_ARG(key));
		}
		if (put(a, p, &f, err))
			return -1;
	}
	return 0;
}

static const struct json *container_named(const struct pod_spec *pod, struct str name)
{
	for (size_t i = 0; i < pod->n; i++) {
		if (str_eq(pod->c[i].name, name))
			return pod->c[i].json;
	}
	return NULL;
}

static int put_downward(struct arena *a, const struct payload_in *in, const struct json *items,
			const struct json *default_mode, struct payload *p, struct err *err)
{
	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *item = json_item(items, i),
				  *ref = json_at(item, "resourceFieldRef");
		struct payload_file f = {.path = json_str(json_at(item, "path")),
					 .mode = mode_of(json_at(item, "mode"), default_mode)};
		int rc;
		if (ref)
			rc = resource_field_value(
				a,
				container_named(in->pod, json_str(json_at(ref, "containerName"))),
				&in->node, ref, &f.data, err);
		else
			rc = field_value(a, &in->fields,
					 json_str(json_at(item, "fieldRef", "fieldPath")), &f.data,
					 err);
		if (rc || put(a, p, &f, err))
			return -1;
	}
	return 0;
}

/* The user that all containers are told to run as. */
static bool common_user(const struct pod_spec *pod, uint32_t *ret)
{
	const struct json *of_pod = json_at(pod->spec, "securityContext", "runAsUser");

	for (size_t i = 0; i < pod->nmain; i++) {
		const struct json *own = json_at(pod->c[i].json, "securityContext", "runAsUser");
		int64_t uid = json_int(own ? own : of_pod, -1);
		if (uid < 0 || uid > UINT32_MAX || (i && uid != *ret))
			return false;
		*ret = (uint32_t)uid;
	}
	return pod->nmain > 0;
}

static int put_token(struct arena *a, const struct payload_in *in, const struct json *source,
		     const struct json *default_mode, struct payload *p, struct err *err)
{
	struct payload_file f = {.path = json_str(json_at(source, "path")),
				 .data = in->token(in->arg, source),
				 .mode = mode_of(NULL, default_mode)};

	/* Kube's rule for tokens: nobody but the pod's own user or group, where they are known. */
	f.owned = common_user(in->pod, &f.uid);
	if (f.owned || json_at(in->pod->spec, "securityContext", "fsGroup"))
		f.mode = 0600;

	if (!f.data.p)
		return err_set(err, ERR_UNAVAILABLE,
			       "the service account's token is not there yet");
	return put(a, p, &f, err);
}

static int put_projected(struct arena *a, const struct payload_in *in, const struct json *volume,
			 struct payload *p, struct err *err)
{
	const struct json *sources = json_at(volume, "sources"),
			  *mode = json_at(volume, "defaultMode");

	for (size_t i = 0; i < json_len(sources); i++) {
		const struct json *s = json_item(sources, i), *v;
		int rc = 0;
		if ((v = json_at(s, "configMap")))
			rc = put_object(a, in, v, false, mode, p, err);
		else if ((v = json_at(s, "secret")))
			rc = put_object(a, in, v, true, mode, p, err);
		else if ((v = json_at(s, "downwardAPI")))
			rc = put_downward(a, in, json_at(v, "items"), mode, p, err);
		else if ((v = json_at(s, "serviceAccountToken")))
			rc = put_token(a, in, v, mode, p, err);
		else
			rc = err_set(err, ERR_UNSUPPORTED,
				     "a projected source of this kind is not supported");
		if (rc)
			return -1;
	}
	return 0;
}

bool payload_is(const struct json *volume, bool *ret_secret)
{
	bool secret = json_is(json_at(volume, "secret"), JSON_OBJECT);
	bool projected = json_is(json_at(volume, "projected"), JSON_OBJECT);

	*ret_secret = secret || projected;
	return secret || projected || json_is(json_at(volume, "configMap"), JSON_OBJECT) ||
	       json_is(json_at(volume, "downwardAPI"), JSON_OBJECT);
}

int payload_of(struct arena *a, const struct payload_in *in, const struct json *volume,
	       struct payload *ret, struct err *err)
{
	const struct json *v;

	*ret = (struct payload){0};
	if ((v = json_at(volume, "configMap")))
		return put_object(a, in, v, false, json_at(v, "defaultMode"), ret, err);
	if ((v = json_at(volume, "secret")))
		return put_object(a, in, v, true, json_at(v, "defaultMode"), ret, err);
	if ((v = json_at(volume, "downwardAPI")))
		return put_downward(a, in, json_at(v, "items"), json_at(v, "defaultMode"), ret,
				    err);
	return put_projected(a, in, json_at(volume, "projected"), ret, err);
}

/* ---- what a pod refers to ---- */

struct refs_out {
	void (*put)(void *ctx, bool secret, struct str name);
	void *ctx;
};

static void ref(const struct refs_out *o, bool secret, const struct json *name)
{
	if (json_str(name).n && path_part_ok(json_str(name)))
		o->put(o->ctx, secret, json_str(name));
}

static void volume_refs(const struct json *v, const struct refs_out *o)
{
	const struct json *sources = json_at(v, "projected", "sources");

	ref(o, false, json_at(v, "configMap", "name"));
	ref(o, true, json_at(v, "secret", "secretName"));
	for (size_t i = 0; i < json_len(sources); i++) {
		ref(o, false, json_at(json_item(sources, i), "configMap", "name"));
		ref(o, true, json_at(json_item(sources, i), "secret", "name"));
	}
}

static void env_refs(const struct json *container, const struct refs_out *o)
{
	const struct json *from = json_at(container, "envFrom"), *env = json_at(container, "env");

	for (size_t i = 0; i < json_len(from); i++) {
		ref(o, false, json_at(json_item(from, i), "configMapRef", "name"));
		ref(o, true, json_at(json_item(from, i), "secretRef", "name"));
	}
	for (size_t i = 0; i < json_len(env); i++) {
		const struct json *v = json_at(json_item(env, i), "valueFrom");
		ref(o, false, json_at(v, "configMapKeyRef", "name"));
		ref(o, true, json_at(v, "secretKeyRef", "name"));
	}
}

void pod_refs(const struct pod_spec *pod, void (*fn)(void *ctx, bool secret, struct str name),
	      void *ctx)
{
	const struct json *volumes = json_at(pod->spec, "volumes");
	const struct json *pulls = json_at(pod->spec, "imagePullSecrets");
	struct refs_out o = {fn, ctx};

	for (size_t i = 0; i < json_len(volumes); i++)
		volume_refs(json_item(volumes, i), &o);
	for (size_t i = 0; i < pod->n; i++)
		env_refs(pod->c[i].json, &o);
	for (size_t i = 0; i < json_len(pulls); i++)
		ref(&o, true, json_at(json_item(pulls, i), "name"));
}

void pod_tokens(const struct pod_spec *pod, void (*fn)(void *ctx, const struct json *source),
		void *ctx)
{
	const struct json *volumes = json_at(pod->spec, "volumes");

	for (size_t i = 0; i < json_len(volumes); i++) {
		const struct json *sources = json_at(json_item(volumes, i), "projected", "sources");
		for (size_t j = 0; j < json_len(sources); j++) {
			const struct json *t =
				json_at(json_item(sources, j), "serviceAccountToken");
			if (t)
				fn(ctx, t);
		}
	}
}
