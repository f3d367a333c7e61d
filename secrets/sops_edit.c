/*
 * Changing encrypted files in place. A value's bytes are replaced, then the MAC is computed over
 * what the file says now and written with the time into each document's metadata. A file whose MAC
 * doesn't fit is not edited: that would make somebody's change look like ours. Plain text is wiped
 * where it is copied, and never put into an error.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "secrets/sops_open-internal.h"

/* ---- cuts ---- */

void sops_cuts_add(struct sops_cuts *c, size_t from, size_t to, struct str with)
{
	if (!(c->n & (c->n - 1)))
		c->v = xreallocarray(c->v, c->n ? c->n * 2 : 1, sizeof(*c->v));
	c->v[c->n++] = (struct sops_cut){from, to, with};
}

static int by_place(const void *x, const void *y)
{
	const struct sops_cut *a = x, *b = y;

	return a->from < b->from ? -1 : a->from > b->from;
}

int sops_cuts_make(struct sops_cuts *c, struct str text, struct buf *out, struct err *err)
{
	size_t at = 0;

	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), by_place);
	for (size_t i = 0; i < c->n; i++) {
		if (c->v[i].from < at || c->v[i].to < c->v[i].from || c->v[i].to > text.n)
			return err_set(err, ERR_UNSUPPORTED,
				       "sops: a value is said in a way that can't be edited");
		buf_str(out, str_sub(text, at, c->v[i].from - at));
		buf_str(out, c->v[i].with);
		at = c->v[i].to;
	}
	buf_str(out, str_sub(text, at, text.n));
	return 0;
}

void sops_cuts_release(struct sops_cuts *c)
{
	free(c->v);
	*c = (struct sops_cuts){0};
}

int sops_range(struct str text, const struct yaml_srcs *srcs, const struct json *v,
	       size_t *ret_from, size_t *ret_to)
{
	const struct yaml_src *src = yaml_src_of(srcs, v);
	size_t to;

	if (!src || src->end > text.n || src->begin >= src->end || src->style == YAML_ALIAS)
		return -1;
	to = src->end;
	while (to > src->begin && (text.p[to - 1] == '\n' || text.p[to - 1] == ' ' ||
				   text.p[to - 1] == '\r' || text.p[to - 1] == '\t'))
		to--;
	*ret_from = src->begin;
	*ret_to = to;
	return 0;
}

struct str sops_quoted(struct arena *a, const struct yaml_srcs *srcs, const struct sops_leaf *l,
		       struct str enc)
{
	const struct yaml_src *src = yaml_src_of(srcs, l->v);

	if (src && src->style == YAML_SINGLE && !l->flow)
		return arena_strf(a, "'%.*s'", STR_ARG(enc));
	if (l->flow || (src && src->style == YAML_DOUBLE))
		return arena_strf(a, "\"%.*s\"", STR_ARG(enc));
	return arena_str(a, enc);
}

/* ---- a file, open ---- */

int sops_open_init(struct sops_open *o, struct arena *a, const struct age_keys *keys,
		   struct str text, struct err *err)
{
	*o = (struct sops_open){.a = a, .text = text};
	if (yaml_parse(a, text, 0, &o->srcs, NULL, &o->docs, err) != 0)
		return -1;
	if (!o->docs.n || !json_is(json_get(o->docs.v[0], STR("sops")), JSON_OBJECT))
		return err_set(err, ERR_PARSE, "not encrypted with sops");
	o->metadata = arena_array(a, o->docs.n, sizeof(*o->metadata));
	for (size_t i = 0; i < o->docs.n; i++) {
		struct json *m = json_get(o->docs.v[i], STR("sops"));

		if (m) {
			o->metadata[i] = arena_dup(a, m, sizeof(*m));
			json_del(o->docs.v[i], STR("sops"));
		}
	}
	return keys ? sops_data_key(keys, o->metadata[0], &o->key, err) : 0;
}

void sops_open_release(struct sops_open *o)
{
	sodium_memzero(&o->key, sizeof(o->key));
	yaml_srcs_release(&o->srcs);
}

struct sops_docs sops_open_docs_of(const struct sops_open *o)
{
	return (struct sops_docs){NULL, o->text, &o->srcs, &o->docs};
}

/* ---- the MAC of what a file says ---- */

struct summing {
	const struct sops_open *o;
	const struct sops_docs *d;
	struct sops_mac *mac;
};

static int sum_leaf(void *arg, const struct sops_leaf *l, struct err *err)
{
	struct summing *s = arg;
	struct str text = json_str(l->v);
	bool empty = json_is(l->v, JSON_STRING) && !text.n;
	struct buf plain = {0};
	enum sops_type type;
	int rc = 0;

	if (json_is(l->v, JSON_NULL) || empty)
		return 0;
	if (sops_is_value(text))
		rc = sops_value_open(&s->o->key, text, l->aad, &plain, &type, err);
	else if (l->encrypted)
		rc = err_set(err, ERR_CORRUPT, "in clear, though its place says encrypted");
	else
		sops_scalar(s->d, l->v, &plain);
	if (rc == 0)
		sops_mac_add(s->mac, buf_view(&plain), sops_is_value(text));
	buf_wipe(&plain);
	return rc;
}

static int sum(const struct sops_open *o, struct sops_mac **ret, struct err *err)
{
	struct sops_docs d = sops_open_docs_of(o);
	struct summing s = {o, &d, NULL};

	s.mac = *ret =
		sops_mac_new(json_bool(json_get(o->metadata[0], STR("mac_only_encrypted")), false));
	return sops_each(&d, o->metadata[0], sum_leaf, &s, err);
}

int sops_check(const struct sops_open *o, struct err *err)
{
	const struct json *m = o->metadata[0];
	struct sops_mac *mac;
	int rc = sum(o, &mac, err);

	if (rc == 0)
		rc = sops_mac_check(mac, &o->key, json_str(json_get(m, STR("mac"))),
				    json_str(json_get(m, STR("lastmodified"))), err);
	sops_mac_free(mac);
	return rc;
}

int sops_verify(const struct sops_key *k, struct str text, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_open o;
	int rc = sops_open_init(&o, &a, NULL, text, err);

	o.key = *k;
	if (rc == 0)
		rc = sops_check(&o, err);
	sops_open_release(&o);
	return rc;
}

static int put_text(struct sops_open *o, const struct json *slot, struct str text,
		    struct sops_cuts *cuts)
{
	const struct yaml_src *src = yaml_src_of(&o->srcs, slot);
	struct sops_leaf l = {.v = (struct json *)slot};
	size_t from, to;

	if (!src || sops_range(o->text, &o->srcs, slot, &from, &to) != 0)
		return -1;
	sops_cuts_add(cuts, from, to, sops_quoted(o->a, &o->srcs, &l, text));
	return 0;
}

int sops_stamp(struct sops_open *o, struct sops_mac *mac, struct str modified,
	       struct sops_cuts *cuts, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	struct str enc;

	if (sops_mac_write(mac, &o->key, modified, &text, err) != 0)
		return -1;
	enc = arena_str(o->a, buf_view(&text));
	for (size_t i = 0; i < o->docs.n; i++) {
		const struct json *m = o->metadata[i];

		if (!m)
			continue;
		if (put_text(o, json_get(m, STR("mac")), enc, cuts) != 0 ||
		    put_text(o, json_get(m, STR("lastmodified")), modified, cuts) != 0)
			return err_set(err, ERR_UNSUPPORTED,
				       "sops: its metadata has no mac or lastmodified");
	}
	return 0;
}

int sops_restamp(const struct sops_edit *e, struct str changed, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_cuts cuts = {0};
	struct sops_mac *mac = NULL;
	struct sops_open o;
	int rc = sops_open_init(&o, &a, e->keys, changed, err);

	if (rc == 0)
		rc = sum(&o, &mac, err);
	if (rc == 0)
		rc = sops_stamp(&o, mac, e->modified, &cuts, err);
	if (rc == 0)
		rc = sops_cuts_make(&cuts, changed, out, err);
	sops_mac_free(mac);
	sops_cuts_release(&cuts);
	sops_open_release(&o);
	return rc;
}

/* ---- one value ---- */

struct putting {
	struct sops_open *o;
	const struct sops_put *p;
	const struct json *target;
	struct sops_cuts cuts;
	bool clear;
};

static int put_leaf(void *arg, const struct sops_leaf *l, struct err *err)
{
	struct putting *s = arg;
	struct sops_sealing v = {.plain = s->p->plain, .aad = l->aad, .type = SOPS_STR};
	AUTO(buf) struct buf enc = {0};
	size_t from, to;

	if (l->v != s->target)
		return 0;
	if (!l->encrypted) {
		s->clear = true;
		return 0;
	}
	if (sops_range(s->o->text, &s->o->srcs, l->v, &from, &to) != 0)
		return err_set(err, ERR_UNSUPPORTED, "sops: its place isn't known");
	if (s->p->plain.n && sops_value_seal(&s->o->key, &v, &enc, err) != 0)
		return -1;
	sops_cuts_add(&s->cuts, from, to,
		      s->p->plain.n ? sops_quoted(s->o->a, &s->o->srcs, l, buf_view(&enc))
				    : STR("\"\""));
	return 0;
}

/* A new key in {…}, on a line of its own where the last one is. */
static void add_flow(struct str text, size_t last, size_t at, struct str key, struct buf *out)
{
	size_t line = last;

	while (line && (text.p[line - 1] == ' ' || text.p[line - 1] == '\t'))
		line--;
	buf_str(out, str_sub(text, 0, at));
	buf_putc(out, ',');
	if (line && text.p[line - 1] == '\n')
		buf_str(out, str_sub(text, line - 1, last - line + 1));
	else
		buf_putc(out, ' ');
	json_write_string(key, out);
	buf_puts(out, ": \"?\"");
	buf_str(out, str_sub(text, at, text.n));
}

/* A line for a new key behind the last of its mapping, with an empty value. */
static int add_line(struct sops_open *o, const struct sops_put *p, struct buf *out, struct err *err)
{
	struct str head, key;
	const struct json *in, *last;
	const struct yaml_src *src;
	size_t at, indent = 0;

	if (p->doc >= o->docs.n || !str_rcut(p->pointer, '/', &head, &key))
		return err_set(err, ERR_NOT_FOUND, "the file has no such place");
	in = json_pointer(o->docs.v[p->doc], head);
	if (!json_is(in, JSON_OBJECT) || !json_len(in))
		return err_set(err, ERR_NOT_FOUND, "the file has no such place");
	last = &json_members(in)[json_len(in) - 1].value;
	src = yaml_src_of(&o->srcs, last);
	if (!src || sops_range(o->text, &o->srcs, last, &at, &at) != 0)
		return err_set(err, ERR_UNSUPPORTED, "sops: its place isn't known");
	if (yaml_src_of(&o->srcs, in) && yaml_src_of(&o->srcs, in)->style == YAML_FLOW) {
		add_flow(o->text, src->key_begin, at, key, out);
		return 0;
	}
	while (indent < src->key_begin && o->text.p[src->key_begin - indent - 1] != '\n')
		indent++;
	for (size_t i = 0; i < indent; i++)
		if (o->text.p[src->key_begin - indent + i] != ' ')
			return err_set(err, ERR_UNSUPPORTED,
				       "sops: the mapping isn't written one key a line");
	while (at < o->text.n && o->text.p[at] != '\n')
		at++;
	buf_str(out, str_sub(o->text, 0, at));
	buf_printf(out, "\n%*s", (int)indent, "");
	json_write_string(key, out);
	/* Not empty: an empty value has no place of its own. */
	buf_puts(out, ": \"?\"");
	buf_str(out, str_sub(o->text, at, o->text.n));
	return 0;
}

/* text: with the place there, whatever it holds. */
static int put_into(const struct sops_edit *e, const struct sops_put *p, struct str text,
		    struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf changed = {0};
	struct sops_open o;
	struct sops_docs d;
	struct putting s = {.o = &o, .p = p};
	int rc = sops_open_init(&o, &a, e->keys, text, err);

	if (rc == 0) {
		s.target = json_pointer(o.docs.v[p->doc], p->pointer);
		d = sops_open_docs_of(&o);
		rc = sops_each(&d, o.metadata[0], put_leaf, &s, err);
	}
	if (rc == 0 && (json_is(s.target, JSON_OBJECT) || json_is(s.target, JSON_ARRAY)))
		rc = err_set(err, ERR_INVALID, "a mapping or a list stands there");
	if (rc == 0 && (s.clear || !s.cuts.n))
		rc = err_set(err, ERR_INVALID, "the file's rule leaves this place in clear");
	if (rc == 0)
		rc = sops_cuts_make(&s.cuts, text, &changed, err);
	sops_cuts_release(&s.cuts);
	sops_open_release(&o);
	return rc ? -1 : sops_restamp(e, buf_view(&changed), out, err);
}

int sops_edit_put(const struct sops_edit *e, const struct sops_put *p, struct buf *out,
		  struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf longer = {0};
	struct str text = e->text;
	struct sops_open o;
	int rc = sops_open_init(&o, &a, e->keys, text, err);

	if (rc == 0)
		rc = sops_check(&o, err);
	if (rc == 0 && p->doc >= o.docs.n)
		rc = err_set(err, ERR_NOT_FOUND, "the file has no such document");
	if (rc == 0 && !json_pointer(o.docs.v[p->doc], p->pointer)) {
		rc = add_line(&o, p, &longer, err);
		text = buf_view(&longer);
	}
	sops_open_release(&o);
	return rc ? -1 : put_into(e, p, text, out, err);
}
