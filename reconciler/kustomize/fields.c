/*
 * Fields by kustomize's paths ("spec/template/spec/containers[]/image"): finding, making and
 * visiting them. Lists on the way are walked into, whether the path says [] or not. Never fails on
 * shapes that don't fit, but for a path through a scalar, which is what somebody's table has
 * wrong. Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "lib/json/yaml.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

static const char *const cluster_wide[] = {
	"/Namespace",
	"/Node",
	"/PersistentVolume",
	"/ComponentStatus",
	"admissionregistration.k8s.io/MutatingWebhookConfiguration",
	"admissionregistration.k8s.io/ValidatingAdmissionPolicy",
	"admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding",
	"admissionregistration.k8s.io/ValidatingWebhookConfiguration",
	"apiextensions.k8s.io/CustomResourceDefinition",
	"apiregistration.k8s.io/APIService",
	"authentication.k8s.io/TokenReview",
	"authorization.k8s.io/SelfSubjectAccessReview",
	"authorization.k8s.io/SelfSubjectRulesReview",
	"authorization.k8s.io/SubjectAccessReview",
	"certificates.k8s.io/CertificateSigningRequest",
	"flowcontrol.apiserver.k8s.io/FlowSchema",
	"flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
	"internal.apiserver.k8s.io/StorageVersion",
	"networking.k8s.io/IngressClass",
	"node.k8s.io/RuntimeClass",
	"policy/PodSecurityPolicy",
	"rbac.authorization.k8s.io/ClusterRole",
	"rbac.authorization.k8s.io/ClusterRoleBinding",
	"scheduling.k8s.io/PriorityClass",
	"storage.k8s.io/CSIDriver",
	"storage.k8s.io/CSINode",
	"storage.k8s.io/StorageClass",
	"storage.k8s.io/VolumeAttachment",
};

bool kid_cluster_scoped(const struct kid *id)
{
	for (size_t i = 0; i < ARRAY_LEN(cluster_wide); i++) {
		struct str row = str_c(cluster_wide[i]);

		if (row.n == id->group.n + 1 + id->kind.n && str_starts(row, id->group) &&
		    row.p[id->group.n] == '/' && str_ends(row, id->kind))
			return true;
	}
	return false;
}

bool kid_same_namespace(const struct kid *x, const struct kid *y)
{
	bool wide = kid_cluster_scoped(x);

	if (wide || kid_cluster_scoped(y))
		return wide == kid_cluster_scoped(y);
	return str_eq(x->namespace.n ? x->namespace : STR("default"),
		      y->namespace.n ? y->namespace : STR("default"));
}

void kres_remember(struct arena *a, struct kres *r)
{
	struct kid id = kres_id(r), *v;

	if (r->npast && kid_eq(&r->past[r->npast - 1], &id) &&
	    r->past[r->npast - 1].namespace.n == id.namespace.n)
		return;
	v = arena_array(a, r->npast + 1, sizeof(*v));
	if (r->npast)
		memcpy(v, r->past, r->npast * sizeof(*v));
	v[r->npast++] = id;
	r->past = v;
}

struct kid kres_first(const struct kres *r)
{
	return r->npast ? r->past[0] : kres_id(r);
}

void kres_remove_empty(struct kres_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (json_len(l->v[i].tree))
			l->v[n++] = l->v[i];
	}
	l->n = n;
}

struct json *kvalue(struct arena *a, const struct json *v)
{
	struct json *ret = json_copy(a, v);

	kvalue_requote(ret);
	return ret;
}

void kvalue_requote(struct json *v)
{
	struct str s = json_str(v);

	v->flags &= (uint8_t)~JSON_F_QUOTED;
	if (json_is(v, JSON_STRING) && (memchr(v->s, '\n', s.n) || !yaml_reads_as_text(s)))
		v->flags |= JSON_F_QUOTED;
}

/* ---- visiting ---- */

bool kspec_fits(const struct kspec *s, const struct kid *id)
{
	return (!s->group.n || str_eq(s->group, id->group)) &&
	       (!s->version.n || str_eq(s->version, id->version)) &&
	       (!s->kind.n || str_eq(s->kind, id->kind));
}

/* Takes the next step off: up to a slash that no backslash precedes. */
static struct str step(struct arena *a, struct str *rest, bool *ret_list)
{
	AUTO(buf) struct buf out = {0};
	size_t i = 0;
	struct str ret;

	for (; i < rest->n && rest->p[i] != '/'; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n && rest->p[i + 1] == '/')
			i++;
		buf_putc(&out, rest->p[i]);
	}
	*rest = str_sub(*rest, i < rest->n ? i + 1 : i, rest->n);
	ret = buf_view(&out);
	*ret_list = str_ends(ret, STR("[]"));
	if (*ret_list)
		ret.n -= 2;
	return arena_str(a, ret);
}

struct walk {
	const struct kvisit *v;
	const struct kspec *spec;
};

static int walk(const struct walk *w, struct json *at, struct str path, struct err *err);

static struct json *member(const struct walk *w, struct json *at, struct str key, bool list,
			   bool last)
{
	struct json *slot = json_get(at, key);
	bool create = w->spec->create && w->v->create != KCREATE_NONE && !list;
	enum json_type type = !last || w->v->create == KCREATE_MAP ? JSON_OBJECT : JSON_STRING;
	struct json fresh = {.type = (uint8_t)type};

	/* A list that is said to be one is none yet. */
	if (slot && slot->type == JSON_NULL && list)
		slot->type = JSON_ARRAY;
	if (slot && !(slot->type == JSON_NULL && create))
		return slot;
	if (!create)
		return NULL;
	if (type == JSON_STRING)
		fresh.s = "";
	return json_set(w->v->a, at, key, &fresh);
}

static int walk_list(const struct walk *w, struct json *list, struct str path, struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (walk(w, json_item(list, i), path, err))
			return -1;
	}
	return 0;
}

static int walk(const struct walk *w, struct json *at, struct str path, struct err *err)
{
	struct json *next;
	struct str key;
	bool list;

	if (!path.n)
		return w->v->set(w->v->ctx, at, err);
	if (json_is(at, JSON_NULL))
		return 0;
	if (json_is(at, JSON_ARRAY))
		return walk_list(w, at, path, err);
	if (!json_is(at, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "%.*s leads through what is neither map nor list",
			       STR_ARG(w->spec->path));
	key = step(w->v->a, &path, &list);
	if (!key.n)
		return err_set(err, ERR_INVALID, "%.*s has an empty step", STR_ARG(w->spec->path));
	next = member(w, at, key, list, !path.n);
	return next ? walk(w, next, path, err) : 0;
}

int kspec_visit(const struct kvisit *v, const struct kspec *s, struct kres *r, struct err *err)
{
	const struct walk w = {v, s};
	struct kid id = kres_id(r);

	if (!kspec_fits(s, &id) || !s->path.n)
		return 0;
	if (walk(&w, r->tree, s->path, err))
		return err_wrap(err, "%.*s %.*s", STR_ARG(id.kind), STR_ARG(id.name));
	return 0;
}

int kspecs_visit(const struct kvisit *v, const struct kspecs *l, struct kres *r, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (kspec_visit(v, &l->v[i], r, err))
			return -1;
	}
	return 0;
}
