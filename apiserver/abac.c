/*
 * Attribute based access control, for who has a policy file: one Policy a line. Must never let a
 * line that isn't understood pass: it might have been meant to be narrower. Immutable once read.
 * Pure. Specification: Kubernetes' "Using ABAC Authorization",
 * abac.authorization.kubernetes.io/v1beta1.
 */
#include <stdlib.h>

#include "apiserver/authz.h"
#include "lib/json/json.h"

#include "lib/base/pure.h"

struct policy {
	struct str user, group, api_group, namespace, resource, path;
	bool read_only;
};

struct abac {
	struct arena arena;
	struct policy *v;
	size_t n;
};

static int read_spec(const struct json *spec, struct policy *p, struct err *err)
{
	const struct {
		const char *name;
		struct str *to;
	} fields[] = {{"user", &p->user},          {"group", &p->group},
		      {"apiGroup", &p->api_group}, {"namespace", &p->namespace},
		      {"resource", &p->resource},  {"nonResourcePath", &p->path}};

	for (size_t i = 0; i < json_len(spec); i++) {
		const struct json_member *m = &json_members(spec)[i];
		size_t k = 0;

		while (k < ARRAY_LEN(fields) && !str_is(m->key, fields[k].name))
			k++;
		if (k < ARRAY_LEN(fields) && json_is(&m->value, JSON_STRING))
			*fields[k].to = json_str(&m->value);
		else if (str_is(m->key, "readonly") && json_is(&m->value, JSON_BOOL))
			p->read_only = m->value.b;
		else
			return err_set(err, ERR_INVALID, "spec.%.*s: unknown, or of another type",
				       (int)MIN(m->key.n, (size_t)64), m->key.p);
	}
	return 0;
}

static int read_line(struct abac *x, struct str line, struct policy *p, struct err *err)
{
	const struct json *v = json_parse(&x->arena, line, NULL, err),
			  *spec = json_get(v, STR("spec"));

	if (!v)
		return -1;
	if (!str_is(json_str(json_get(v, STR("kind"))), "Policy") ||
	    !str_is(json_str(json_get(v, STR("apiVersion"))),
		    "abac.authorization.kubernetes.io/v1beta1") ||
	    !json_is(spec, JSON_OBJECT))
		return err_set(err, ERR_INVALID,
			       "no Policy of abac.authorization.kubernetes.io/v1beta1");
	return read_spec(spec, p, err);
}

struct abac *abac_new(struct str text, struct err *err)
{
	struct abac *x = xalloc(sizeof(*x));
	struct str rest = arena_str(&x->arena, text), line;
	size_t lines = 1, n = 0;

	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	x->v = arena_array(&x->arena, lines, sizeof(*x->v));
	while (rest.p && str_next(&rest, '\n', &line)) {
		n++;
		line = str_trim(line);
		if (!line.n || line.p[0] == '#')
			continue;
		if (read_line(x, line, &x->v[x->n++], err)) {
			err_wrap(err, "line %zu", n);
			abac_free(x);
			return NULL;
		}
	}
	return x;
}

void abac_free(struct abac *x)
{
	if (!x)
		return;
	arena_release(&x->arena);
	free(x);
}

/* ---- deciding ---- */

static bool is_member(const struct admission_user *u, struct str group)
{
	for (size_t i = 0; i < u->ngroups; i++) {
		if (str_eq(u->groups[i], group))
			return true;
	}
	return false;
}

/* A star is everybody who could say who they are. A line that names nobody means nobody. */
static bool is_subject(const struct policy *p, const struct admission_user *u)
{
	bool known = is_member(u, STR("system:authenticated"));

	if (p->user.n && !(str_is(p->user, "*") ? known : str_eq(p->user, u->name)))
		return false;
	if (p->group.n && !(str_is(p->group, "*") ? known : is_member(u, p->group)))
		return false;
	return p->user.n || p->group.n;
}

static bool fits(struct str pattern, struct str text)
{
	return str_is(pattern, "*") || (str_eq(pattern, text) && pattern.n == text.n);
}

static bool fits_path(struct str pattern, struct str path)
{
	return pattern.n &&
	       (str_eq(pattern, path) || (str_ends(pattern, STR("*")) &&
					  str_starts(path, str_sub(pattern, 0, pattern.n - 1))));
}

bool abac_allows(const struct abac *x, const struct authz_ask *q)
{
	bool reads = str_is(q->verb, "get") || str_is(q->verb, "list") || str_is(q->verb, "watch");

	for (size_t i = 0; x && i < x->n; i++) {
		const struct policy *p = &x->v[i];

		if ((p->read_only && !reads) || !is_subject(p, q->user))
			continue;
		if (q->path.n ? fits_path(p->path, q->path)
			      : p->resource.n && fits(p->resource, q->resource) &&
					fits(p->namespace, q->namespace) &&
					fits(p->api_group, q->group))
			return true;
	}
	return false;
}
