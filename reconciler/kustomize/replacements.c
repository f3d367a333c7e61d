/*
 * Replacements: a value out of one resource, put into fields of others. A source must be one
 * resource and its field must be there; a target's field must be there too unless it may be
 * created, while a target that selects nothing is no error, as in kustomize.
 *
 * What is copied stands somewhere else, often as the name of a thing: it carries no place, so
 * that drift of a target never edits the source behind its owner's back.
 * Pure. Memory: the caller's arena.
 */
#include "lib/json/yaml.h"
#include "reconciler/kustomize/fieldpath.h"
#include "reconciler/kustomize/kustomize.h"

#include "lib/base/pure.h"

#define DEFAULT_FIELD "metadata.name"

struct replace {
	struct arena *a;
	struct kres_list *l;
	struct json value;
};

/* A known field's name or nothing: what a misspelt one asks for must not be lost. */
static int check_fields(const struct json *v, const char *what, const char *const *known,
			struct err *err)
{
	struct json_member *m = json_members(v);

	if (!json_is(v, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "%s: a map is expected", what);
	for (size_t i = 0; m && i < json_len(v); i++) {
		const char *const *k = known;

		while (*k && !str_is(m[i].key, *k))
			k++;
		if (!*k)
			return err_set(err, ERR_INVALID, "%s: unknown field %.*s", what,
				       STR_ARG(m[i].key));
	}
	return 0;
}

static void forget_places(struct json *v)
{
	struct json_member *m = json_members(v);

	v->src = 0;
	for (size_t i = 0; m && i < json_len(v); i++)
		forget_places(&m[i].value);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		forget_places(json_item(v, i));
}

/* ---- choosing resources: exact here, patterns are for patches ---- */

static bool id_selected(const struct kid *id, const struct json *selector)
{
	static const char *const fields[] = {"group", "version", "kind", "name"};
	const struct str values[] = {id->group, id->version, id->kind, id->name};
	struct str namespace = json_str(json_get(selector, STR("namespace")));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct str wanted = json_str(json_get(selector, str_c(fields[i])));

		if (wanted.n && !str_eq(wanted, values[i]))
			return false;
	}
	return !namespace.n || str_eq(namespace, id->namespace) ||
	       (!id->namespace.n && str_is(namespace, "default"));
}

static bool any_id_selected(const struct kres *r, const struct json *selector)
{
	struct kid now = kres_id(r);

	for (size_t i = 0; i < r->npast; i++) {
		if (id_selected(&r->past[i], selector))
			return true;
	}
	return id_selected(&now, selector);
}

static bool has(const struct json *selector, const char *field)
{
	return json_str(json_get(selector, str_c(field))).n > 0;
}

/* Labels and annotations only. */
static int selected_by_labels(struct arena *a, const struct kres *r, const struct json *selector,
			      bool *ret, struct err *err)
{
	struct json *only = json_new(a, JSON_OBJECT);

	json_set_str(a, only, "labelSelector", json_str(json_get(selector, STR("labelSelector"))));
	json_set_str(a, only, "annotationSelector",
		     json_str(json_get(selector, STR("annotationSelector"))));
	return kustomize_selects(r, only, ret, err);
}

static int rejected(struct replace *p, const struct kres *r, const struct json *rejects, bool *ret,
		    struct err *err)
{
	*ret = false;
	for (size_t i = 0; i < json_len(rejects) && !*ret; i++) {
		const struct json *s = json_item(rejects, i);

		if (has(s, "group") || has(s, "version") || has(s, "kind") || has(s, "name") ||
		    has(s, "namespace"))
			*ret = any_id_selected(r, s);
		if (!*ret && (has(s, "labelSelector") || has(s, "annotationSelector")) &&
		    selected_by_labels(p->a, r, s, ret, err))
			return -1;
	}
	return 0;
}

static struct str selector_text(struct arena *a, const struct json *selector)
{
	AUTO(buf) struct buf out = {0};

	json_write(selector, &out);
	return arena_str(a, buf_view(&out));
}

/* ---- the source ---- */

static int find_source(struct replace *p, const struct json *source, struct kres **ret,
		       struct err *err)
{
	*ret = NULL;
	for (size_t i = 0; i < p->l->n; i++) {
		if (!any_id_selected(&p->l->v[i], source))
			continue;
		if (*ret)
			return err_set(err, ERR_INVALID, "source %.*s is more than one resource",
				       STR_ARG(selector_text(p->a, source)));
		*ret = &p->l->v[i];
	}
	if (!*ret)
		return err_set(err, ERR_INVALID, "source %.*s is no resource",
			       STR_ARG(selector_text(p->a, source)));
	return 0;
}

/* The part of a text between two delimiters. */
static int cut_value(struct replace *p, const struct json *options, struct str delimiter,
		     struct err *err)
{
	int64_t index = json_int(json_get(options, STR("index")), 0), i = 0;
	struct str rest = field_text(p->a, &p->value), part;
	uint8_t flags = p->value.flags;

	if (!field_is_scalar(&p->value))
		return err_set(err, ERR_INVALID, "source: only single values have a delimiter");
	for (; index >= 0; i++) {
		ptrdiff_t at = str_find(rest, delimiter);

		part = at < 0 ? rest : str_sub(rest, 0, (size_t)at);
		if (i == index)
			break;
		if (at < 0)
			index = -1;
		else
			rest = str_sub(rest, (size_t)at + delimiter.n, rest.n);
	}
	if (index < 0)
		return err_set(err, ERR_INVALID, "source: options.index is out of bounds");
	p->value = *json_new_str(p->a, part);
	p->value.flags |= flags;
	return 0;
}

static int load_value(struct replace *p, const struct json *source, struct err *err)
{
	static const char *const known[] = {"group",     "version",   "kind",    "name",
					    "namespace", "fieldPath", "options", NULL};
	static const char *const known_options[] = {"delimiter", "index", "create", NULL};
	struct str path = json_str(json_get(source, STR("fieldPath")));
	const struct json *options = json_get(source, STR("options"));
	struct str delimiter = json_str(json_get(options, STR("delimiter")));
	struct field_path split;
	struct json *found;
	struct kres *r;

	if (check_fields(source, "source", known, err) ||
	    (options && check_fields(options, "source.options", known_options, err)) ||
	    find_source(p, source, &r, err))
		return -1;
	if (!path.n)
		path = STR(DEFAULT_FIELD);
	split = field_path_split(p->a, path, '.');
	if (field_get(r->tree, &split, &found, err))
		return err_wrap(err, "source %.*s", STR_ARG(path));
	if (!found || json_is(found, JSON_NULL) || (!field_is_scalar(found) && !json_len(found)))
		return err_set(err, ERR_INVALID, "source: there is no %.*s in %.*s", STR_ARG(path),
			       STR_ARG(selector_text(p->a, source)));
	p->value = *json_copy(p->a, found);
	forget_places(&p->value);
	return delimiter.n ? cut_value(p, options, delimiter, err) : 0;
}

/* ---- the targets ---- */

/* `text` between two delimiters of the target's, or before or behind all of it. */
static struct str splice(struct arena *a, struct str target, struct str text, struct str delimiter,
			 int64_t index)
{
	size_t from = 0;
	ptrdiff_t at;

	if (index < 0)
		return arena_strf(a, "%.*s%.*s%.*s", STR_ARG(text), STR_ARG(delimiter),
				  STR_ARG(target));
	for (; index; index--) {
		at = str_find(str_sub(target, from, target.n), delimiter);
		if (at < 0)
			return arena_strf(a, "%.*s%.*s%.*s", STR_ARG(target), STR_ARG(delimiter),
					  STR_ARG(text));
		from += (size_t)at + delimiter.n;
	}
	at = str_find(str_sub(target, from, target.n), delimiter);
	return arena_strf(a, "%.*s%.*s%.*s", STR_ARG(str_sub(target, 0, from)), STR_ARG(text),
			  STR_ARG(at < 0 ? STR("") : str_sub(target, from + (size_t)at, target.n)));
}

/* A field keeps the type it has; one that was made has its type from the text, as YAML would. */
static int set_scalar(struct replace *p, struct field_match *f, struct str text, bool names,
		      struct err *err)
{
	struct json v = *json_new_str(p->a, text), as = field_resolve(p->a, text);
	uint8_t was = f->v->type;
	bool number = as.type == JSON_INT || as.type == JSON_NUM, fits = true;

	if (f->made || was == JSON_NULL)
		v = names ? v : as;
	else if (was != JSON_STRING)
		v = as;
	if (!f->made && was == JSON_BOOL)
		fits = as.type == JSON_BOOL;
	if (!f->made && was == JSON_INT)
		fits = as.type == JSON_INT;
	if (!f->made && was == JSON_NUM)
		fits = number;
	if (!fits)
		return err_set(err, ERR_INVALID, "a %s is expected there",
			       was == JSON_BOOL ? "boolean" : "number");
	v.flags |= (uint8_t)(p->value.flags & ~JSON_F_QUOTED) |
		   (f->made ? 0 : f->v->flags & JSON_F_QUOTED);
	v.src = 0;
	*f->v = v;
	return 0;
}

static int set_field(struct replace *p, struct field_match *f, const struct json *options,
		     bool names, struct err *err)
{
	struct str delimiter = json_str(json_get(options, STR("delimiter")));
	struct str text = field_text(p->a, &p->value);

	if (delimiter.n && !field_is_scalar(f->v))
		return err_set(err, ERR_INVALID, "only single values have a delimiter");
	if (delimiter.n)
		text = splice(p->a, field_text(p->a, f->v), text, delimiter,
			      json_int(json_get(options, STR("index")), 0));
	if (field_is_scalar(f->v) && (field_is_scalar(&p->value) || !f->made))
		return set_scalar(p, f, text, names, err);
	*f->v = *json_copy(p->a, &p->value);
	return 0;
}

/* Labels and annotations are texts whatever they look like. */
static bool holds_texts(const struct field_path *path)
{
	return path->n >= 2 && str_is(path->v[0], "metadata") &&
	       (str_is(path->v[1], "labels") || str_is(path->v[1], "annotations"));
}

static int set_path(struct replace *p, struct kres *r, struct str path, const struct json *options,
		    struct err *err)
{
	struct field_path split = field_path_split(p->a, path, '.');
	bool create = json_bool(json_get(options, STR("create")), false);
	struct field_matches found;

	if (field_match(p->a, r->tree, &split, create, &found, err))
		return err_wrap(err, "target %.*s", STR_ARG(path));
	if (!found.n)
		return err_set(err, ERR_INVALID, "target: there is no %.*s in %.*s %.*s",
			       STR_ARG(path), STR_ARG(kres_id(r).kind), STR_ARG(kres_id(r).name));
	for (size_t i = 0; i < found.n; i++) {
		if (set_field(p, &found.v[i], options, holds_texts(&split), err))
			return err_wrap(err, "target %.*s", STR_ARG(path));
	}
	return 0;
}

static int set_target(struct replace *p, struct kres *r, const struct json *target, struct err *err)
{
	const struct json *paths = json_get(target, STR("fieldPaths"));
	const struct json *options = json_get(target, STR("options"));

	if (!json_len(paths))
		return set_path(p, r, STR(DEFAULT_FIELD), options, err);
	for (size_t i = 0; i < json_len(paths); i++) {
		if (set_path(p, r, json_str(json_item(paths, i)), options, err))
			return -1;
	}
	return 0;
}

static int apply_target(struct replace *p, const struct json *target, struct err *err)
{
	static const char *const known[] = {"select", "reject", "fieldPaths", "options", NULL};
	static const char *const known_options[] = {"delimiter", "index", "create", NULL};
	const struct json *selected = json_get(target, STR("select"));
	const struct json *options = json_get(target, STR("options"));

	if (check_fields(target, "target", known, err) ||
	    (options && check_fields(options, "target.options", known_options, err)))
		return -1;
	if (!json_is(selected, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "target: select must say which resources");
	for (size_t i = 0; i < p->l->n; i++) {
		struct kres *r = &p->l->v[i];
		bool out, in;

		if (rejected(p, r, json_get(target, STR("reject")), &out, err) ||
		    selected_by_labels(p->a, r, selected, &in, err))
			return -1;
		if (!out && in && any_id_selected(r, selected) && set_target(p, r, target, err))
			return -1;
	}
	return 0;
}

/* ---- the list ---- */

static int apply(struct arena *a, struct kres_list *l, const struct json *replacement,
		 struct err *err)
{
	static const char *const known[] = {"source", "targets", NULL};
	const struct json *source = json_get(replacement, STR("source"));
	const struct json *targets = json_get(replacement, STR("targets"));
	struct replace p = {.a = a, .l = l};

	if (check_fields(replacement, "replacement", known, err))
		return -1;
	if (!source || !json_len(targets))
		return err_set(err, ERR_INVALID,
			       "a replacement needs a source and at least one target");
	if (load_value(&p, source, err))
		return -1;
	for (size_t i = 0; i < json_len(targets); i++) {
		if (apply_target(&p, json_item(targets, i), err))
			return -1;
	}
	return 0;
}

static int apply_file(struct arena *a, const struct kfiles *files, struct kres_list *l,
		      const struct json *entry, struct err *err)
{
	struct str path = json_str(json_get(entry, STR("path"))), text;
	struct yaml_docs docs;
	uint32_t number;

	if (json_len(entry) > 1)
		return err_set(err, ERR_INVALID, "a replacement has a path or is written out");
	if (files->load(files->ctx, path, &text, &number, err) ||
	    yaml_parse(a, text, number, NULL, NULL, &docs, err))
		return err_wrap(err, "%.*s", STR_ARG(path));
	for (size_t i = 0; i < docs.n; i++) {
		size_t n = json_is(docs.v[i], JSON_ARRAY) ? json_len(docs.v[i]) : 1;

		for (size_t k = 0; k < n; k++) {
			const struct json *v = json_item(docs.v[i], k);

			if (apply(a, l, v ? v : docs.v[i], err))
				return err_wrap(err, "%.*s", STR_ARG(path));
		}
	}
	return 0;
}

int kustomize_replacements(struct arena *a, const struct kfiles *files, struct kres_list *l,
			   const struct json *replacements, struct err *err)
{
	for (size_t i = 0; i < json_len(replacements); i++) {
		const struct json *entry = json_item(replacements, i);
		int failed = json_get(entry, STR("path")) ? apply_file(a, files, l, entry, err)
							  : apply(a, l, entry, err);

		if (failed)
			return err_wrap(err, "replacements[%zu]", i);
	}
	return 0;
}
