/*
 * Which bytes of a manifest change when its sealed values come under a newer key. A value is opened
 * with the names it is bound to and sealed with the same ones, so that nobody gains anything by
 * having it done; its plain text is wiped at once. The new file is read again and must say the old
 * one's text but for those values. Pure but for the dice of sealing; memory: the caller's arena.
 */
#include "reconciler/reseal.h"

#include <stdlib.h>
#include <string.h>

#include "lib/json/yaml.h"
#include "lib/kube/obj.h"
#include "reconciler/edit.h"

#include "lib/base/pure.h"

enum { VALUES_MAX = 10000 };

struct change {
	struct json *slot; /* in the tree that is being read */
	struct str value;  /* the new one */
	uint32_t begin, end;
};
struct work {
	struct arena *a;
	struct reseal *r;
	const struct git_file *f;
	struct yaml_srcs srcs;
	struct change *v;
	size_t n;
};

/* ---- one value ---- */

static int open_as(const struct work *w, struct seal_binding *b, struct str sealed,
		   struct str namespace, struct str name, struct buf *plain)
{
	b->namespace = namespace;
	b->name = name;
	return seal_open(w->r->keys, b, sealed, plain, NULL);
}

/* With the names that the document says, else with those that it was applied under. */
static int open_any(const struct work *w, const struct json *doc, uint32_t number,
		    struct seal_binding *b, struct str sealed, struct buf *plain)
{
	if (open_as(w, b, sealed, meta_namespace(doc), meta_name(doc), plain) == 0)
		return 0;
	for (size_t i = 0; i < w->r->nowners; i++) {
		const struct reseal_owner *o = &w->r->owners[i];

		if (o->doc == number && str_eq(o->file, w->f->path) &&
		    open_as(w, b, sealed, o->namespace, o->name, plain) == 0)
			return 0;
	}
	return -1;
}

static void count(struct reseal *r, const uint8_t id[SEAL_ID_BYTES])
{
	size_t i = 0;

	while (i < r->nuses && memcmp(r->uses[i].id, id, SEAL_ID_BYTES) != 0)
		i++;
	if (i == RESEAL_USES_MAX)
		return;
	if (i == r->nuses)
		memcpy(r->uses[r->nuses++].id, id, SEAL_ID_BYTES);
	r->uses[i].values++;
}

static int by_id(const void *x, const void *y)
{
	return memcmp(x, y, SEAL_ID_BYTES);
}

struct str reseal_uses_text(struct arena *a, struct reseal *r)
{
	AUTO(buf) struct buf out = {0};
	char text[SEAL_ID_TEXT];

	if (r->nuses)
		qsort(r->uses, r->nuses, sizeof(r->uses[0]), by_id);
	for (size_t i = 0; i < r->nuses; i++)
		buf_printf(&out, "%s%s=%zu", i ? "," : "", seal_id_text(r->uses[i].id, text),
			   r->uses[i].values);
	return arena_str(a, buf_view(&out));
}

static void take_value(struct work *w, const struct json *doc, const struct yaml_src *at,
		       struct json_member *m)
{
	struct str sealed = json_str(&m->value);
	struct seal_binding b = {.key = m->key};
	const struct yaml_src *src = yaml_src_of(&w->srcs, &m->value);
	struct buf plain = {0};
	AUTO(buf) struct buf text = {0};
	uint8_t id[SEAL_ID_BYTES];

	if (!src || seal_value_id(sealed, id, NULL) != 0)
		return;
	count(w->r, id);
	if (!memcmp(id, w->r->pub->id, sizeof(id)) || w->n == VALUES_MAX)
		return;
	if (seal_scope_parse(json_str(json_at(doc, "spec", "scope")), &b.scope) != 0 ||
	    open_any(w, doc, at->doc, &b, sealed, &plain) != 0 ||
	    seal_value(w->r->pub, &b, buf_view(&plain), &text, NULL) != 0) {
		w->r->left++;
		w->r->left_in = w->f->path;
	} else {
		w->v = xreallocarray(w->v, w->n + 1, sizeof(*w->v));
		w->v[w->n++] = (struct change){&m->value, arena_str(w->a, buf_view(&text)),
					       src->begin, src->end};
	}
	buf_wipe(&plain);
}

static void take_document(struct work *w, const struct json *doc)
{
	struct json *values = json_at(doc, "spec", "encryptedData");
	const struct yaml_src *at = yaml_src_of(&w->srcs, doc);
	struct json_member *m = json_members(values);

	if (!at || !str_is(json_str(json_get(doc, STR("kind"))), "SealedSecret") ||
	    !str_starts(json_str(json_get(doc, STR("apiVersion"))), STR("plumb.dev/")))
		return;
	for (size_t i = 0; i < json_len(values); i++)
		take_value(w, doc, at, &m[i]);
}

/* ---- the file ---- */

/* The old value's text within its range, or STR_NONE when it is broken over lines. */
static struct str range_of(const struct work *w, const struct change *c)
{
	struct str old = json_str(c->slot), in;
	ptrdiff_t at;

	if (c->end > w->f->data.n || c->begin > c->end)
		return STR_NONE;
	in = str_sub(w->f->data, c->begin, c->end - c->begin);
	at = str_find(in, old);
	return at < 0 || !old.n ? STR_NONE : str_sub(in, (size_t)at, old.n);
}

/* Changes stand in the file's order, because the tree does; an alias would stand twice. */
static int splice(const struct work *w, struct buf *out, struct err *err)
{
	struct str text = w->f->data;
	size_t from = 0;

	for (size_t i = 0; i < w->n; i++) {
		struct str old = range_of(w, &w->v[i]);

		if (!old.p || (size_t)(old.p - text.p) < from)
			return err_set(err, ERR_UNSUPPORTED,
				       "a sealed value is broken over lines or aliased");
		buf_str(out, str_sub(text, from, (size_t)(old.p - text.p) - from));
		buf_str(out, w->v[i].value);
		from = (size_t)(old.p - text.p) + old.n;
	}
	buf_str(out, str_sub(text, from, text.n));
	return 0;
}

/* The new text says what was meant: the old trees, which have the new values by now. */
static int verify(struct arena *a, const struct yaml_docs *want, struct str text, struct err *err)
{
	struct yaml_docs now;

	if (yaml_parse(a, text, 0, NULL, NULL, &now, err) != 0 || now.n != want->n)
		return err_set(err, ERR_UNSUPPORTED, "the file could not be edited safely");
	for (size_t i = 0; i < now.n; i++)
		if (!json_equal(now.v[i], want->v[i]))
			return err_set(err, ERR_UNSUPPORTED, "the file could not be edited safely");
	return 0;
}

static struct str rewrite(struct work *w, const struct yaml_docs *docs, struct err *err)
{
	AUTO(buf) struct buf out = {0};
	int rc = splice(w, &out, err);

	for (size_t i = 0; i < w->n && rc == 0; i++)
		*w->v[i].slot = *json_new_str(w->a, w->v[i].value);
	if (rc != 0 || verify(w->a, docs, buf_view(&out), err) != 0) {
		w->r->left += w->n;
		return STR_NONE;
	}
	w->r->done += w->n;
	return arena_str(w->a, buf_view(&out));
}

struct str reseal_file(struct arena *a, struct reseal *r, const struct git_file *f, struct err *err)
{
	struct work w = {.a = a, .r = r, .f = f};
	struct yaml_docs docs;
	struct str ret = STR_NONE;

	if (str_find(f->data, STR("SealedSecret")) < 0)
		return STR_NONE;
	/* What isn't YAML is for the unit that reads it to complain about. */
	if (yaml_parse(a, f->data, 0, &w.srcs, NULL, &docs, NULL) == 0) {
		for (size_t i = 0; i < docs.n; i++)
			take_document(&w, docs.v[i]);
		if (w.n)
			ret = rewrite(&w, &docs, err);
	}
	yaml_srcs_release(&w.srcs);
	free_cleanup(&w.v);
	return ret;
}

/* ---- the key file ---- */

enum sealing_file sealing_file_is(struct str text, const struct seal_pub *current,
				  const struct seal_pub *all, size_t n)
{
	struct seal_pub there;
	struct err err = {0};

	if (!text.p)
		return SEALING_MISSING;
	if (seal_pub_parse(text, &there, &err) != 0)
		return str_is(str_c(err.msg), "no public key in it") ? SEALING_EMPTY
								     : SEALING_FOREIGN;
	if (!memcmp(there.bytes, current->bytes, sizeof(there.bytes)))
		return SEALING_CURRENT;
	for (size_t i = 0; i < n; i++)
		if (!memcmp(there.bytes, all[i].bytes, sizeof(there.bytes)))
			return SEALING_OLD;
	return SEALING_FOREIGN;
}

struct str sealing_file_text(struct arena *a, struct str old, const struct seal_pub *pub)
{
	AUTO(buf) struct buf out = {0};
	struct str line;
	bool put = false;

	if (!old.n)
		buf_puts(&out, "# The cluster's public key: `plumb seal` encrypts to it.\n");
	while (old.n && str_next(&old, '\n', &line)) {
		struct str word = str_trim(line);

		if (!line.n && !old.p)
			break;
		if (!word.n || *word.p == '#') {
			buf_str(&out, line);
			buf_putc(&out, '\n');
		} else if (!put) {
			seal_pub_write(pub, &out);
			put = true;
		}
	}
	if (!put)
		seal_pub_write(pub, &out);
	return arena_str(a, buf_view(&out));
}
