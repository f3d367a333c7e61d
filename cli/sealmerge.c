/*
 * One value of a SealedSecret's file, replaced or added in place by byte ranges, so that comments,
 * order and layout stay. The result is parsed again and compared with what was meant: a layout
 * that isn't understood is refused, never mangled. Pure.
 */
#include "cli/sealmerge.h"

#include "lib/json/yaml.h"
#include "lib/kube/obj.h"

struct place {
	size_t begin, end; /* bytes to replace */
	size_t indent;     /* of a new line */
	bool add;
	uint8_t style;
};

static struct json *find_one(const struct yaml_docs *docs, struct err *err)
{
	struct json *found = NULL;

	for (size_t i = 0; i < docs->n; i++) {
		if (!str_is(json_str(json_get(docs->v[i], STR("kind"))), "SealedSecret"))
			continue;
		if (found) {
			err_set(err, ERR_BAD_REQUEST, "holds more than one SealedSecret");
			return NULL;
		}
		found = docs->v[i];
	}
	if (!found)
		err_set(err, ERR_BAD_REQUEST, "holds no SealedSecret");
	return found;
}

static int locate(struct str text, const struct yaml_srcs *srcs, const struct json *values,
		  struct str key, struct place *ret, struct err *err)
{
	const struct json *at = json_get(values, key);
	const struct yaml_src *src;

	ret->add = !at;
	if (!json_len(values))
		return err_set(err, ERR_UNSUPPORTED, "spec.encryptedData is empty: seal it anew");
	if (!at)
		at = &json_members(values)[json_len(values) - 1].value;
	src = yaml_src_of(srcs, at);
	if (!src || src->end > text.n || src->begin > src->end || src->key_begin > src->begin)
		return err_set(err, ERR_UNSUPPORTED, "the place of the value isn't known");
	ret->begin = src->begin;
	ret->end = src->end;
	ret->style = src->style;
	if (!ret->add)
		return 0;
	while (ret->indent < src->key_begin && text.p[src->key_begin - ret->indent - 1] != '\n')
		ret->indent++;
	for (size_t i = 0; i < ret->indent; i++)
		if (text.p[src->key_begin - ret->indent + i] != ' ')
			return err_set(err, ERR_UNSUPPORTED,
				       "spec.encryptedData isn't written one key a line");
	/* Behind the line that the last value ends on. */
	while (ret->end < text.n && (ret->end == 0 || text.p[ret->end - 1] != '\n'))
		ret->end++;
	ret->begin = ret->end;
	return 0;
}

static void put_key(struct str key, struct buf *out)
{
	/* Quoted unless it can't be anything but a string. */
	bool plain = key.n > 0;

	for (size_t i = 0; i < key.n; i++)
		plain &= (key.p[i] >= 'a' && key.p[i] <= 'z') || (i && key.p[i] == '-');
	if (plain && key.n > 5)
		buf_str(out, key);
	else
		json_write_string(key, out);
}

static void splice(struct str text, const struct place *at, struct str key, struct str value,
		   struct buf *out)
{
	const char *quote = at->style == YAML_DOUBLE ? "\"" : at->style == YAML_SINGLE ? "'" : "";

	buf_str(out, str_sub(text, 0, at->begin));
	if (at->add) {
		if (at->begin && text.p[at->begin - 1] != '\n')
			buf_putc(out, '\n');
		for (size_t i = 0; i < at->indent; i++)
			buf_putc(out, ' ');
		put_key(key, out);
		buf_puts(out, ": ");
		buf_str(out, value);
		buf_putc(out, '\n');
	} else {
		buf_puts(out, quote);
		buf_str(out, value);
		buf_puts(out, quote);
		if (at->end > at->begin && text.p[at->end - 1] == '\n')
			buf_putc(out, '\n');
	}
	buf_str(out, str_sub(text, at->end, text.n));
}

/* What came out says what was meant. */
static int verify(struct arena *a, struct str result, const struct yaml_docs *before,
		  struct json *doc, const struct sealmerge *m, struct str value)
{
	struct yaml_docs after;
	struct json *values = json_at(doc, "spec", "encryptedData");

	json_set(a, values, m->key, json_new_str(a, value));
	if (yaml_parse(a, result, 0, NULL, NULL, &after, NULL) != 0 || after.n != before->n)
		return -1;
	for (size_t i = 0; i < after.n; i++)
		if (!json_equal(before->v[i], after.v[i]))
			return -1;
	return 0;
}

static int merge(struct arena *a, struct str text, const struct sealmerge *m, struct buf *out,
		 struct err *err)
{
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	struct place at = {0};
	AUTO(buf) struct buf value = {0};
	struct seal_binding b = {.key = m->key};
	struct json *doc;
	int rc = yaml_parse(a, text, 0, &srcs, NULL, &docs, err);

	doc = rc ? NULL : find_one(&docs, err);
	if (doc)
		rc = locate(text, &srcs, json_at(doc, "spec", "encryptedData"), m->key, &at, err);
	yaml_srcs_release(&srcs);
	if (!doc || rc != 0)
		return -1;
	b.namespace = meta_namespace(doc);
	b.name = meta_name(doc);
	if (seal_scope_parse(json_str(json_at(doc, "spec", "scope")), &b.scope) != 0)
		return err_set(err, ERR_INVALID,
			       "spec.scope: must be strict, namespace or cluster");
	if ((b.scope != SEAL_CLUSTER && !b.namespace.n) || !b.name.n)
		return err_set(err, ERR_INVALID, "metadata.namespace or name is missing");
	if (seal_value(m->pub, &b, m->plain, &value, err) != 0)
		return -1;
	splice(text, &at, m->key, buf_view(&value), out);
	if (verify(a, buf_view(out), &docs, doc, m, buf_view(&value)) != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "its layout isn't understood: seal the Secret anew");
	return 0;
}

int sealmerge(struct str text, const struct sealmerge *m, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};

	return merge(&a, text, m, out, err);
}
