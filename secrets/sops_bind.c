/*
 * The annotation that binds a SOPS file to its object: written into the plain text by bytes before
 * that is encrypted, so that layout and comments stay. Must never put a value into an error. Pure;
 * memory: the caller's arena.
 */
#include "secrets/sops_bind.h"

#include <stdlib.h>

#include "lib/kube/obj.h"
#include "secrets/sops_open-internal.h"

#define RULE "^plumb[.]dev/bound-to$"

enum { KEYS_MAX = 4096 };

/* ---- the text ---- */

int sops_binding_parse(struct str text, struct sops_binding *ret, struct err *err)
{
	struct str rest;

	*ret = (struct sops_binding){.keys = STR_NONE};
	if (!str_cut(text, '/', &ret->kind, &rest) || !str_cut(rest, '/', &ret->namespace, &rest) ||
	    !ret->kind.n)
		return err_set(err, ERR_PARSE, SOPS_BINDING ": must be KIND/NAMESPACE/NAME:KEY,…");
	if (!str_rcut(rest, ':', &ret->name, &ret->keys)) {
		ret->name = rest;
		ret->keys = STR_NONE;
	}
	if (!ret->name.n || str_find(ret->name, STR("/")) >= 0)
		return err_set(err, ERR_PARSE, SOPS_BINDING ": must be KIND/NAMESPACE/NAME:KEY,…");
	return 0;
}

bool sops_binding_has(const struct sops_binding *b, struct str key)
{
	struct str keys = b->keys, one;

	while (keys.p && str_next(&keys, ',', &one))
		if (str_eq(one, key))
			return true;
	return false;
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

struct str sops_binding_keys(struct arena *a, const struct json *object)
{
	static const char *const fields[] = {"data", "stringData", "binaryData"};
	struct str *v = arena_array(a, KEYS_MAX, sizeof(*v));
	AUTO(buf) struct buf out = {0};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct json *o = json_get(object, str_c(fields[i]));

		for (size_t j = 0; json_is(o, JSON_OBJECT) && j < json_len(o) && n < KEYS_MAX; j++)
			v[n++] = json_members(o)[j].key;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_text);
	for (size_t i = 0; i < n; i++) {
		if (i && str_eq(v[i], v[i - 1]))
			continue;
		if (out.n)
			buf_putc(&out, ',');
		buf_str(&out, v[i]);
	}
	return n ? arena_str(a, buf_view(&out)) : STR_NONE;
}

int sops_binding_text(struct arena *a, const struct json *object, struct sops_binding b,
		      struct str *ret, struct err *err)
{
	b.kind = json_str(json_get(object, STR("kind")));
	if (!b.namespace.n)
		b.namespace = meta_namespace(object);
	if (!b.name.n)
		b.name = meta_name(object);
	b.keys = sops_binding_keys(a, object);
	if (!b.kind.n || !b.name.n)
		return err_set(err, ERR_INVALID,
			       "only an object with kind and metadata.name can be bound");
	if (!b.namespace.n)
		return err_set(err, ERR_INVALID,
			       "%.*s says no namespace: where it will be goes into the binding "
			       "(-n NAMESPACE)",
			       STR_ARG(b.name));
	*ret = arena_strf(a, "%.*s/%.*s/%.*s%s%.*s", STR_ARG(b.kind), STR_ARG(b.namespace),
			  STR_ARG(b.name), b.keys.n ? ":" : "", STR_ARG(b.keys));
	return 0;
}

struct str sops_binding_of(const struct json *object)
{
	return json_str(json_get(json_at(object, "metadata", "annotations"), STR(SOPS_BINDING)));
}

/* ---- into a file in clear ---- */

struct binding {
	struct arena *a;
	struct str text;
	struct yaml_srcs srcs;
	struct sops_cuts cuts;
};

/* The annotation with this value, in front of a mapping's first key or behind its brace; nested:
 * the mapping is metadata, which has no annotations yet. */
static int insert(struct binding *b, const struct json *map, bool nested, struct str value)
{
	const struct yaml_src *src = yaml_src_of(&b->srcs, map), *first;
	size_t at, n = 0;
	struct str line;

	if (!src || src->style == YAML_ALIAS || src->end > b->text.n || !json_len(map))
		return -1;
	if (src->style == YAML_FLOW) {
		at = src->begin + 1;
		line = arena_strf(b->a, "%s\"" SOPS_BINDING "\": %.*s%s, ",
				  nested ? "\"annotations\": {" : "", STR_ARG(value),
				  nested ? "}" : "");
		sops_cuts_add(&b->cuts, at, at, line);
		return 0;
	}
	first = yaml_src_of(&b->srcs, &json_members(map)[0].value);
	if (!first)
		return -1;
	at = first->key_begin;
	while (n < at && b->text.p[at - n - 1] == ' ')
		n++;
	if (at == n || b->text.p[at - n - 1] != '\n')
		return -1;
	line = nested ? arena_strf(b->a, "annotations:\n%*s" SOPS_BINDING ": %.*s\n%*s", (int)n + 2,
				   "", STR_ARG(value), (int)n, "")
		      : arena_strf(b->a, SOPS_BINDING ": %.*s\n%*s", STR_ARG(value), (int)n, "");
	sops_cuts_add(&b->cuts, at, at, line);
	return 0;
}

static int bind_one(struct binding *b, struct json *doc, const struct sops_binding *to,
		    struct err *err)
{
	struct json *meta = json_get(doc, STR("metadata"));
	struct json *annotations = json_get(meta, STR("annotations"));
	struct json *old = json_get(annotations, STR(SOPS_BINDING));
	AUTO(buf) struct buf quoted = {0};
	struct str text, value;
	size_t from, end;
	int rc;

	if (sops_binding_text(b->a, doc, *to, &text, err) != 0)
		return -1;
	json_write_string(text, &quoted);
	value = arena_str(b->a, buf_view(&quoted));
	if (old) {
		rc = sops_range(b->text, &b->srcs, old, &from, &end);
		if (rc == 0)
			sops_cuts_add(&b->cuts, from, end, value);
	} else {
		rc = insert(b, annotations ? annotations : meta, !annotations, value);
	}
	return rc ? err_set(err, ERR_UNSUPPORTED,
			    "its metadata is written in a way that can't be edited")
		  : 0;
}

int sops_bind(struct str plain, const struct sops_binding *to, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct binding b = {.a = &a, .text = plain};
	struct yaml_docs docs;
	int rc = yaml_parse(&a, plain, 0, &b.srcs, NULL, &docs, err);

	for (size_t i = 0; rc == 0 && i < docs.n; i++)
		if (bind_one(&b, docs.v[i], to, err) != 0)
			rc = err_wrap(err, "document %zu", i + 1);
	if (rc == 0)
		rc = sops_cuts_make(&b.cuts, plain, out, err);
	sops_cuts_release(&b.cuts);
	yaml_srcs_release(&b.srcs);
	return rc;
}

int sops_bind_rule(struct arena *a, struct sops_policy *p, struct err *err)
{
	struct str rule = str_c(p->rule ? p->rule : "");

	if (!rule.n) {
		p->rule = "encrypted_regex";
		p->value = STR("^(data|stringData|plumb[.]dev/bound-to)$");
		return 0;
	}
	if (str_is(rule, "encrypted_regex")) {
		if (str_find(p->value, STR("bound-to")) < 0)
			p->value = arena_strf(a, "(%.*s)|" RULE, STR_ARG(p->value));
		return 0;
	}
	if (str_starts(rule, STR("unencrypted_")))
		return 0; /* what it leaves in clear is found when the leaf comes */
	return err_set(err, ERR_UNSUPPORTED,
		       "under %s the binding can't be encrypted: use encrypted_regex", p->rule);
}

/* ---- a file that changed ---- */

int sops_bind_again(const struct sops_edit *e, size_t doc, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_put put = {.doc = doc, .pointer = STR(SOPS_BINDING_POINTER)};
	struct sops_binding now;
	struct sops_report report;
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct sops_docs d = {e->keys, e->text, &srcs, &docs};
	int rc = yaml_parse(&a, e->text, 0, &srcs, NULL, &docs, err);

	if (rc == 0)
		rc = sops_open_docs(&a, &d, &report, err);
	yaml_srcs_release(&srcs);
	if (rc != 0)
		return -1;
	if (doc >= docs.n || !sops_binding_of(docs.v[doc]).n) {
		buf_str(out, e->text);
		return 0;
	}
	if (sops_binding_parse(sops_binding_of(docs.v[doc]), &now, err) != 0 ||
	    sops_binding_text(&a, docs.v[doc], now, &put.plain, err) != 0)
		return -1;
	if (str_eq(put.plain, sops_binding_of(docs.v[doc]))) {
		buf_str(out, e->text);
		return 0;
	}
	return sops_edit_put(e, &put, out, err);
}
