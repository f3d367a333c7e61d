/*
 * Vars, the older brother of replacements: $(NAME) in containers' commands, arguments and
 * environment, and a few more places, stands for a field of a resource. $$ stands for $, and a
 * name that is no var stays as it is, for it may be Kubernetes' own to expand.
 *
 * A text that is nothing but $(NAME) takes the field's type, too. Changed values carry no place.
 * Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "reconciler/kustomize/fieldpath.h"
#include "reconciler/kustomize/kustomize.h"

#include "lib/base/pure.h"

#define RESULT_MAX (1u << 20)

struct var {
	struct str name;
	struct json value;
};

struct vars {
	struct arena *a;
	struct var *v;
	size_t n;
	bool texts; /* labels and annotations are texts whatever stands in them */
};

/* ---- where vars are looked for, unless a kustomization adds to it ---- */

struct place {
	const char *kinds; /* with a space on either side; NULL = all */
	const char *base, *path;
};

#define WORKLOADS " DaemonSet Deployment Job ReplicaSet StatefulSet "

static const struct place containers[] = {
	{" Pod ", "spec/", NULL},
	{WORKLOADS, "spec/template/spec/", NULL},
	{" CronJob ", "spec/jobTemplate/spec/template/spec/", NULL},
};
static const char *const in_containers[] = {
	"containers/args",          "containers/command",
	"containers/env/value",     "containers/volumeMounts/mountPath",
	"initContainers/args",      "initContainers/command",
	"initContainers/env/value", "initContainers/volumeMounts/mountPath",
};
static const struct place others[] = {
	{" Pod ", "", "spec/volumes/nfs/server"},
	{" DaemonSet Deployment Job ReplicaSet ", "", "spec/template/spec/volumes/nfs/server"},
	{" CronJob ", "", "spec/jobTemplate/spec/template/volumes/nfs/server"},
	{" StatefulSet ", "", "spec/volumeClaimTemplates/spec/nfs/server"},
	{" PersistentVolume ", "", "spec/nfs/server"},
	{" Deployment ", "", "spec/template/metadata/annotations"},
	{" Ingress ", "", "spec/rules/host"},
	{" Ingress ", "", "spec/tls/hosts"},
	{" Ingress ", "", "spec/tls/secretName"},
	{" Service ", "", "spec/ports/port"},
	{" Service ", "", "spec/ports/targetPort"},
	{NULL, "", "metadata/labels"},
	{NULL, "", "metadata/annotations"},
};

static bool is_kind(const struct place *p, struct str kind)
{
	ptrdiff_t at = p->kinds ? str_find(str_c(p->kinds), kind) : -1;

	return !p->kinds || (kind.n && at > 0 && p->kinds[at - 1] == ' ' &&
			     p->kinds[(size_t)at + kind.n] == ' ');
}

/* ---- expansion ---- */

static const struct var *find(const struct vars *vars, struct str name)
{
	for (size_t i = 0; i < vars->n; i++) {
		if (str_eq(vars->v[i].name, name))
			return &vars->v[i];
	}
	return NULL;
}

static bool put_var(struct vars *vars, struct str name, struct buf *out, uint8_t *flags)
{
	const struct var *var = find(vars, name);

	if (!var) {
		buf_printf(out, "$(%.*s)", STR_ARG(name));
		return false;
	}
	buf_str(out, field_text(vars->a, &var->value));
	*flags |= var->value.flags;
	return true;
}

static int expand(struct vars *vars, struct json *v, struct err *err)
{
	struct str in = json_str(v), name, rest;
	AUTO(buf) struct buf out = {0};
	const struct var *whole;
	uint8_t flags = v->flags;

	if (str_find(in, STR("$")) < 0)
		return 0;
	if (str_starts(in, STR("$(")) && str_cut(str_sub(in, 2, in.n), ')', &name, &rest) &&
	    !rest.n && (whole = find(vars, name))) {
		*v = whole->value;
		if (vars->texts)
			*v = *json_new_str(vars->a, field_text(vars->a, &whole->value));
		v->flags |= whole->value.flags | flags;
		return 0;
	}
	for (size_t i = 0; i < in.n;) {
		struct str tail = str_sub(in, i, in.n);

		if (str_starts(tail, STR("$$"))) {
			buf_putc(&out, '$');
			i += 2;
		} else if (str_starts(tail, STR("$(")) &&
			   str_cut(str_sub(tail, 2, tail.n), ')', &name, &rest)) {
			put_var(vars, name, &out, &flags);
			i += name.n + 3;
		} else {
			buf_putc(&out, in.p[i++]);
		}
		if (out.n > RESULT_MAX)
			return err_set(err, ERR_LIMIT, "too long with its vars put in");
	}
	if (str_eq(buf_view(&out), in))
		return 0;
	*v = *json_new_str(vars->a, buf_view(&out));
	v->flags = flags;
	return 0;
}

/* The field itself: a text, a list of texts or a map of texts. */
static int expand_field(struct vars *vars, struct json *v, struct err *err)
{
	struct json_member *m = json_members(v);

	if (json_is(v, JSON_STRING))
		return expand(vars, v, err);
	for (size_t i = 0; i < json_len(v) && !field_is_scalar(v); i++) {
		struct json *item = m ? &m[i].value : json_item(v, i);

		if (!json_is(item, JSON_STRING))
			return err_set(err, ERR_INVALID, "only texts can hold vars");
		if (expand(vars, item, err))
			return -1;
	}
	return 0;
}

static int walk(struct vars *vars, struct json *v, const struct field_path *path, size_t at,
		struct err *err)
{
	struct str part;

	if (!v)
		return 0;
	if (at == path->n)
		return expand_field(vars, v, err);
	if (json_is(v, JSON_ARRAY)) {
		for (size_t i = 0; i < json_len(v); i++) {
			if (walk(vars, json_item(v, i), path, at, err))
				return -1;
		}
		return 0;
	}
	part = path->v[at];
	if (str_ends(part, STR("[]")))
		part.n -= 2;
	return walk(vars, json_get(v, part), path, at + 1, err);
}

static int expand_at(struct vars *vars, struct kres *r, struct str path, struct err *err)
{
	struct field_path split;

	if (str_starts(path, STR("/")))
		path = str_sub(path, 1, path.n);
	split = field_path_split(vars->a, path, '/');
	vars->texts = str_is(path, "metadata/labels") || str_is(path, "metadata/annotations");
	if (walk(vars, r->tree, &split, 0, err))
		return err_wrap(err, "%.*s %.*s: %.*s", STR_ARG(kres_id(r).kind),
				STR_ARG(kres_id(r).name), STR_ARG(path));
	return 0;
}

static int expand_default(struct vars *vars, struct kres *r, struct err *err)
{
	struct str kind = kres_id(r).kind;

	for (size_t i = 0; i < ARRAY_LEN(containers); i++) {
		for (size_t k = 0; k < ARRAY_LEN(in_containers); k++) {
			struct str path =
				arena_strf(vars->a, "%s%s", containers[i].base, in_containers[k]);

			if (is_kind(&containers[i], kind) && expand_at(vars, r, path, err))
				return -1;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (is_kind(&others[i], kind) && expand_at(vars, r, str_c(others[i].path), err))
			return -1;
	}
	return 0;
}

/* The same place is not asked twice: what $$ became must not be read again. */
static bool is_default(struct str kind, struct str path)
{
	for (size_t i = 0; i < ARRAY_LEN(containers); i++) {
		for (size_t k = 0; k < ARRAY_LEN(in_containers); k++) {
			struct str base = str_c(containers[i].base);

			if (is_kind(&containers[i], kind) && str_starts(path, base) &&
			    str_is(str_sub(path, base.n, path.n), in_containers[k]))
				return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (is_kind(&others[i], kind) && str_is(path, others[i].path))
			return true;
	}
	return false;
}

static bool field_fits(const struct json *reference, const char *field, struct str value)
{
	struct str wanted = json_str(json_get(reference, str_c(field)));

	return !wanted.n || str_eq(wanted, value);
}

static int expand_all(struct vars *vars, struct kres *r, const struct json *references,
		      struct err *err)
{
	struct kid id = kres_id(r);

	if (expand_default(vars, r, err))
		return -1;
	for (size_t i = 0; i < json_len(references); i++) {
		const struct json *ref = json_item(references, i);
		struct str path = json_str(json_get(ref, STR("path")));

		if (!path.n)
			return err_set(err, ERR_INVALID, "varReference[%zu]: a path is expected",
				       i);
		if (field_fits(ref, "group", id.group) && field_fits(ref, "version", id.version) &&
		    field_fits(ref, "kind", id.kind) && !is_default(id.kind, path) &&
		    expand_at(vars, r, path, err))
			return -1;
	}
	return 0;
}

/* ---- what vars stand for ---- */

static bool is_object(const struct kid *id, const struct json *ref)
{
	struct str api = json_str(json_get(ref, STR("apiVersion")));
	struct str group = json_str(json_get(ref, STR("group")));
	struct str version = json_str(json_get(ref, STR("version")));
	struct str namespace = json_str(json_get(ref, STR("namespace")));

	if (api.n && !str_cut(api, '/', &group, &version)) {
		group = STR_NONE;
		version = api;
	}
	return str_eq(group, id->group) && str_eq(version, id->version) &&
	       str_eq(json_str(json_get(ref, STR("kind"))), id->kind) &&
	       str_eq(json_str(json_get(ref, STR("name"))), id->name) &&
	       (!namespace.n || str_eq(namespace, id->namespace) ||
		(!id->namespace.n && str_is(namespace, "default")));
}

static bool has_been(const struct kres *r, const struct json *ref)
{
	struct kid now = kres_id(r);

	for (size_t i = 0; i < r->npast; i++) {
		if (is_object(&r->past[i], ref))
			return true;
	}
	return is_object(&now, ref);
}

int kustomize_bind_var(struct arena *a, struct kres_list *l, const struct json *var,
		       struct err *err)
{
	const struct json *ref = json_get(var, STR("objref"));
	struct str name = json_str(json_get(var, STR("name"))), *names;
	struct kres *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		if (!has_been(&l->v[i], ref))
			continue;
		if (found)
			return err_set(err, ERR_INVALID,
				       "var %.*s: objref is more than one resource", STR_ARG(name));
		found = &l->v[i];
	}
	if (!found)
		return 0;
	/* Copies of a resource share what stands before. */
	names = arena_array(a, found->nvars + 1, sizeof(*names));
	if (found->nvars)
		memcpy(names, found->vars, found->nvars * sizeof(*names));
	names[found->nvars++] = name;
	found->vars = names;
	return 0;
}

static struct kres *bound(struct kres_list *l, struct str name)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < l->v[i].nvars; k++) {
			if (str_eq(l->v[i].vars[k], name))
				return &l->v[i];
		}
	}
	return NULL;
}

/* ports[0] is ports.0 here. */
static struct str dotted(struct arena *a, struct str path)
{
	AUTO(buf) struct buf out = {0};

	for (size_t i = 0; i < path.n; i++) {
		if (path.p[i] == '[' && i && path.p[i - 1] != '.')
			buf_putc(&out, '.');
		buf_putc(&out, path.p[i]);
	}
	return arena_str(a, buf_view(&out));
}

/* [0] is a number like any other. */
static struct field_path var_path(struct arena *a, struct str path)
{
	struct field_path split = field_path_split(a, dotted(a, path), '.');

	for (size_t i = 0; i < split.n; i++) {
		struct str inner = str_sub(split.v[i], 1, split.v[i].n - 2);
		int64_t number;

		if (str_starts(split.v[i], STR("[")) && split.v[i].n > 2 &&
		    !str_to_i64(inner, &number))
			split.v[i] = inner;
	}
	return split;
}

static int resolve(struct vars *vars, struct kres_list *l, const struct json *var, struct err *err)
{
	const struct json *field = json_get(var, STR("fieldref"));
	struct str path = json_str(json_get(field, STR("fieldpath")));
	struct str name = json_str(json_get(var, STR("name")));
	struct field_path split;
	struct json *found;
	struct kres *r;

	if (!path.n)
		path = json_str_or(json_get(field, STR("fieldPath")), STR("metadata.name"));
	if (!name.n)
		return err_set(err, ERR_INVALID, "a var needs a name");
	if (find(vars, name))
		return err_set(err, ERR_INVALID, "there are two vars %.*s", STR_ARG(name));
	r = bound(l, name);
	if (!r)
		return err_set(err, ERR_INVALID, "var %.*s: objref is no resource", STR_ARG(name));
	split = var_path(vars->a, path);
	if (field_get(r->tree, &split, &found, err))
		return err_wrap(err, "var %.*s", STR_ARG(name));
	if (!found || !field_is_scalar(found) || json_is(found, JSON_NULL))
		return err_set(err, ERR_INVALID, "var %.*s: there is no value %.*s", STR_ARG(name),
			       STR_ARG(path));
	vars->v[vars->n] = (struct var){.name = name, .value = *found};
	vars->v[vars->n++].value.src = 0;
	return 0;
}

int kustomize_vars(struct arena *a, struct kres_list *l, const struct json *vars,
		   const struct json *var_reference, struct err *err)
{
	struct vars known = {.a = a};

	if (!json_len(vars))
		return 0;
	known.v = arena_array(a, json_len(vars), sizeof(*known.v));
	for (size_t i = 0; i < json_len(vars); i++) {
		if (resolve(&known, l, json_item(vars, i), err))
			return -1;
	}
	for (size_t i = 0; i < l->n; i++) {
		if (expand_all(&known, &l->v[i], var_reference, err))
			return -1;
	}
	return 0;
}
