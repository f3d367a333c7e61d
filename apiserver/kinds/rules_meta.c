/*
 * Rules of metadata and of label selectors, the same for every kind.
 *
 * Pure. What a request may not set at all (uid, resourceVersion, …) is put right before by the
 * registry; here is what makes a request invalid.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

#define ANNOTATIONS_MAX (256 * 1024)

void rule_labels(struct kind_ctx *c, const struct spath *at, const char *field,
		 const struct json *labels)
{
	for (size_t i = 0; i < json_len(labels); i++) {
		const struct json_member *m = &labels->members[i];
		const char *why = name_check_qualified(m->key);
		if (why)
			rule_invalid(c, at, field, json_new_str(c->a, m->key),
				     arena_printf(c->a, "%s", why));
		why = name_check_label_value(json_str(&m->value));
		if (why)
			rule_invalid(c, at, field, &m->value, why);
	}
}

void rule_annotations(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *annotations)
{
	size_t total = 0;
	for (size_t i = 0; i < json_len(annotations); i++) {
		const struct json_member *m = &annotations->members[i];
		AUTO(buf) struct buf lower = {0};
		for (size_t k = 0; k < m->key.n; k++) {
			char ch = m->key.p[k];
			buf_putc(&lower, ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch);
		}
		const char *why = name_check_qualified(buf_view(&lower));
		if (why)
			rule_invalid(c, at, field, json_new_str(c->a, m->key), why);
		total += m->key.n + json_str(&m->value).n;
	}
	if (total > ANNOTATIONS_MAX)
		rule_too_long(c, at, field, ANNOTATIONS_MAX);
}

static void check_owners(struct kind_ctx *c, const struct spath *at, const struct json *owners)
{
	size_t controllers = 0;
	struct spath list = SPATH_FIELD(at, "ownerReferences");
	for (size_t i = 0; i < json_len(owners); i++) {
		/* Kubernetes doesn't say which one it is. */
		const struct json *o = json_item(owners, i);
		if (!json_str(json_get(o, STR("apiVersion"))).n)
			rule_invalid(c, &list, "apiVersion", NULL, "version must not be empty");
		if (!json_str(json_get(o, STR("kind"))).n)
			rule_invalid(c, &list, "kind", NULL, "must not be empty");
		if (!json_str(json_get(o, STR("name"))).n)
			rule_invalid(c, &list, "name", NULL, "must not be empty");
		if (!json_str(json_get(o, STR("uid"))).n)
			rule_invalid(c, &list, "uid", NULL, "must not be empty");
		if (json_bool(json_get(o, STR("controller")), false) && ++controllers == 2)
			rule_invalid(c, at, "ownerReferences", owners,
				     "Only one reference can have Controller set to true. Found "
				     "\"true\" in several references");
	}
}

/* What a name begins with may end with a dash, which more will follow. */
static void check_prefix(struct kind_ctx *c, const struct spath *at, const struct json *prefix,
			 const char *(*check)(struct str))
{
	struct str s = json_str(prefix);
	const char *why;

	if (!s.n)
		return;
	if (s.n > 1 && s.p[s.n - 1] == '-')
		s = arena_strf(c->a, "%.*sa", (int)s.n - 2, s.p);
	why = check(s);
	if (why)
		rule_invalid(c, at, "generateName", prefix, why);
}

static void check_name(struct kind_ctx *c, const struct spath *at, const struct kind *k,
		       const struct json *meta)
{
	const struct json *name = json_get(meta, STR("name"));
	const char *(*check)(struct str) =
		k->name_check ? k->name_check : name_check_dns1123_subdomain;
	if (!json_str(name).n)
		rule_required(c, at, "name", "name or generateName is required");
	else
		rule_name(c, at, "name", name, check);
	if (!(k->flags & KIND_EXPIRES)) /* of Events it never was asked */
		check_prefix(c, at, json_get(meta, STR("generateName")), check);
	const struct json *ns = json_get(meta, STR("namespace"));
	if (k->flags & KIND_NAMESPACED) {
		if (!json_str(ns).n)
			rule_required(c, at, "namespace", NULL);
		else
			rule_name(c, at, "namespace", ns, name_check_dns1123_label);
	} else if (json_str(ns).n) {
		rule_forbidden(c, at, "namespace", "not allowed on this type");
	}
}

static void check_update(struct kind_ctx *c, const struct spath *at, const struct json *next,
			 const struct json *live)
{
	static const char *const fixed[] = {"name",
					    "namespace",
					    "uid",
					    "creationTimestamp",
					    "deletionTimestamp",
					    "deletionGracePeriodSeconds"};
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		rule_immutable(c, at, next, live, fixed[i]);
	if (json_str(json_get(live, STR("deletionTimestamp"))).n == 0)
		return;
	/* Once deletion has begun finalizers only go away. */
	const struct json *before = json_get(live, STR("finalizers"));
	const struct json *after = json_get(next, STR("finalizers"));
	for (size_t i = 0; i < json_len(after); i++) {
		bool known = false;
		for (size_t j = 0; j < json_len(before) && !known; j++)
			known = json_equal(json_item(before, j), json_item(after, i));
		if (known)
			continue;
		rule_forbidden(c, at, "finalizers",
			       "no new finalizers can be added if the object is being deleted");
		return;
	}
}

static bool says(const struct json *list, const struct json *text)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (json_equal(json_item(list, i), text))
			return true;
	return false;
}

static bool is_qualified_finalizer(struct str name)
{
	return str_find(name, STR("/")) >= 0 || str_is(name, "orphan") ||
	       str_is(name, "foregroundDeletion") || str_is(name, "kubernetes");
}

/* Kinds of Kubernetes' own; what is built in here but a definition there doesn't count. */
static bool is_kubernetes(const struct kind *k)
{
	struct str group = str_c(k->group);

	if (k->crd || str_starts(group, STR("apiextensions.")) ||
	    str_starts(group, STR("apiregistration.")))
		return false;
	return str_find(group, STR(".")) < 0 || str_ends(group, STR(".k8s.io"));
}

/* Definitions' finalizer is put there by the API server: the client would hear of what it never
 * wrote. */
static bool asks_for_owner(const struct kind *k)
{
	return k->crd || str_find(str_c(k->group), STR(".k8s.io")) < 0;
}

/*
 * A finalizer says whose it is: of Kubernetes' own kinds that is demanded (of those that were there
 * already it never was), of others only asked for.
 */
static void check_finalizers(struct kind_ctx *c, const struct kind *k, const struct spath *at,
			     const struct json *meta, const struct json *live)
{
	const struct json *all = json_get(meta, STR("finalizers")),
			  *had = json_get(live, STR("finalizers"));
	struct spath list = SPATH_FIELD(at, "finalizers");

	for (size_t i = 0; i < json_len(all); i++) {
		struct spath one = SPATH_INDEX(&list, i);
		struct str name = json_str(json_item(all, i));

		rule_name(c, &list, NULL, json_item(all, i), name_check_qualified);
		if (is_qualified_finalizer(name) || says(had, json_item(all, i)))
			continue;
		if (is_kubernetes(k))
			rule_invalid(c, &one, NULL, json_item(all, i),
				     "name is neither a standard finalizer name nor is it fully "
				     "qualified");
		else if (c->warnings && asks_for_owner(k))
			buf_printf(c->warnings,
				   "metadata.finalizers: \"%.*s\": prefer a domain-qualified "
				   "finalizer name including a path (/) to avoid accidental "
				   "conflicts with other finalizer writers\n",
				   (int)MIN(name.n, 253), name.p ? name.p : "");
	}
}

void rule_metadata(struct kind_ctx *c, const struct kind *k, const struct json *next,
		   const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "metadata");
	const struct json *meta = json_get(next, STR("metadata"));
	check_name(c, &at, k, meta);
	rule_labels(c, &at, "labels", json_get(meta, STR("labels")));
	rule_annotations(c, &at, "annotations", json_get(meta, STR("annotations")));
	check_owners(c, &at, json_get(meta, STR("ownerReferences")));
	check_finalizers(c, k, &at, meta, json_get(live, STR("metadata")));
	if (live)
		check_update(c, &at, meta, json_get(live, STR("metadata")));
}

void rule_key(struct kind_ctx *c, const struct spath *at, const struct json *key)
{
	struct json none = {.type = JSON_STRING, .s = ""};

	rule_name(c, at, "key", key ? key : &none, name_check_qualified);
}

static void check_expression(struct kind_ctx *c, const struct spath *at, const struct json *e)
{
	const struct json *values = json_get(e, STR("values"));
	struct str op = json_str(json_get(e, STR("operator")));
	bool in = str_is(op, "In") || str_is(op, "NotIn");
	bool exists = str_is(op, "Exists") || str_is(op, "DoesNotExist");
	if (in && !json_len(values))
		rule_required(c, at, "values",
			      "must be specified when `operator` is 'In' or 'NotIn'");
	if (exists && json_len(values))
		rule_forbidden(c, at, "values",
			       "may not be specified when `operator` is 'Exists' or "
			       "'DoesNotExist'");
	if (!in && !exists)
		rule_invalid(c, at, "operator", json_get(e, STR("operator")),
			     "not a valid selector operator");
	rule_key(c, at, json_get(e, STR("key")));
	struct spath list = SPATH_FIELD(at, "values");
	for (size_t i = 0; i < json_len(values); i++) {
		struct spath here = SPATH_INDEX(&list, i);
		rule_name(c, &here, NULL, json_item(values, i), name_check_label_value);
	}
}

void rule_selector(struct kind_ctx *c, const struct spath *at, const char *field,
		   const struct json *selector)
{
	struct spath named = {.up = at, .name = str_c(field)};
	const struct spath *here = field ? &named : at;
	rule_labels(c, here, "matchLabels", json_get(selector, STR("matchLabels")));
	const struct json *list = json_get(selector, STR("matchExpressions"));
	struct spath expressions = SPATH_FIELD(here, "matchExpressions");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath one = SPATH_INDEX(&expressions, i);
		check_expression(c, &one, json_item(list, i));
	}
}

static bool is_empty(const struct json *selector)
{
	return !json_len(json_get(selector, STR("matchLabels"))) &&
	       !json_len(json_get(selector, STR("matchExpressions")));
}

bool rule_selector_matches(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *selector = json_get(spec, STR("selector")),
			  *labels = json_at(spec, "template", "metadata", "labels");
	bool there = json_is(selector, JSON_OBJECT);
	struct spath template = SPATH_FIELD(at, "template"),
		     meta = SPATH_FIELD(&template, "metadata");
	struct selector sel = {0};
	struct err err = {0};

	if (!there)
		rule_required(c, at, "selector", NULL);
	else if (is_empty(selector))
		rule_invalid(c, at, "selector", selector,
			     "empty selector is invalid for this kind");
	rule_selector(c, at, "selector", selector);
	if (there && selector_from_json(c->a, selector, &sel, &err)) {
		rule_invalid(c, at, "selector", selector, "invalid label selector");
		return false;
	}
	if (!there || !selector_match_json(&sel, labels)) /* none selects nothing */
		rule_invalid(c, &meta, "labels", labels ? labels : json_new(c->a, JSON_OBJECT),
			     "`selector` does not match template `labels`");
	return true;
}

void rule_keep_meta(struct kind_ctx *c, struct json *next, const struct json *live,
		    const char *field)
{
	const struct json *was = json_at(live, "metadata", field);

	if (was)
		json_set(c->a, json_set_object(c->a, next, "metadata"), str_c(field), was);
	else
		json_del(json_get(next, STR("metadata")), str_c(field));
}
