/*
 * Two branches of an encrypted file become one. Text merging cannot do it: mac and lastmodified
 * always conflict, and a value sealed anew looks changed. Here leaves are compared in clear, by
 * their paths; what only they changed, added or removed is done to our text, line by line, and the
 * MAC is computed anew. Plain text is held in buffers that are wiped; errors name paths only.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "secrets/sops_bind.h"
#include "secrets/sops_open-internal.h"

enum { LEAVES_MAX = 100000 };

struct leaf {
	struct json *v;
	struct str aad; /* in the arena of its side */
	size_t nth;     /* among those of this aad: items of a list share it */
	size_t doc;
	bool encrypted, flow;
	struct buf plain;
	bool seen;
};
struct side {
	struct arena a;
	struct sops_open o;
	struct sops_docs d;
	struct leaf *v;
	size_t n;
};

static void side_release(struct side *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_wipe(&s->v[i].plain);
	free(s->v);
	sops_open_release(&s->o);
	arena_release(&s->a);
}

static size_t doc_of(const struct side *s, const struct json *v)
{
	const struct yaml_src *src = yaml_src_of(&s->o.srcs, v);

	return src ? src->doc : 0;
}

static int take_leaf(void *arg, const struct sops_leaf *l, struct err *err)
{
	struct side *s = arg;
	struct str text = json_str(l->v);
	struct leaf *to;
	enum sops_type type;
	size_t nth = 0;

	if (s->n == LEAVES_MAX)
		return err_set(err, ERR_LIMIT, "sops: more than %d values", LEAVES_MAX);
	if (!(s->n & (s->n - 1)))
		s->v = xreallocarray(s->v, s->n ? s->n * 2 : 1, sizeof(*s->v));
	if (s->n && str_eq(s->v[s->n - 1].aad, l->aad))
		nth = s->v[s->n - 1].nth + 1;
	to = &s->v[s->n++];
	*to = (struct leaf){.v = l->v,
			    .aad = arena_str(&s->a, l->aad),
			    .nth = nth,
			    .doc = doc_of(s, l->v),
			    .encrypted = l->encrypted,
			    .flow = l->flow};
	if (sops_is_value(text))
		return sops_value_open(&s->o.key, text, l->aad, &to->plain, &type, err);
	if (!json_is(l->v, JSON_NULL))
		sops_scalar(&s->d, l->v, &to->plain);
	return 0;
}

static int side_init(struct side *s, const struct age_keys *keys, struct str text,
		     const char *which, struct err *err)
{
	s->a.wipes = true;
	/* A side that somebody edited without the key isn't made good by merging it. */
	if (sops_open_init(&s->o, &s->a, keys, text, err) != 0 || sops_check(&s->o, err) != 0)
		return err_wrap(err, "%s", which);
	s->d = sops_open_docs_of(&s->o);
	return sops_each(&s->d, s->o.metadata[0], take_leaf, s, err) ? err_wrap(err, "%s", which)
								     : 0;
}

/* NULL when it isn't there. Looks from where the same leaf of the other side stood. */
static struct leaf *find(struct side *s, const struct leaf *like, size_t from)
{
	for (size_t i = 0; i < s->n; i++) {
		struct leaf *l = &s->v[(from + i) % s->n];

		if (l->doc == like->doc && l->nth == like->nth && str_eq(l->aad, like->aad))
			return l;
	}
	return NULL;
}

static bool same(const struct leaf *a, const struct leaf *b)
{
	return a->v->type == b->v->type && str_eq(buf_view(&a->plain), buf_view(&b->plain));
}

static int conflict(const struct leaf *l, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFLICT, "%.*s: %s", (int)MIN(l->aad.n ? l->aad.n - 1 : 0, 200),
		       l->aad.p, what);
}

/* ---- what is done to our text ---- */

struct merging {
	struct side base, ours, theirs;
	struct sops_cuts cuts;
	bool rebind; /* keys came on both sides: the bindings are written anew */
	struct err *err;
};

/* How theirs is written in our text: under our key when that is another. */
static int as_ours(struct merging *m, const struct leaf *l, bool flow, struct str *ret)
{
	struct sops_leaf place = {.v = l->v, .flow = flow};
	struct sops_sealing s = {buf_view(&l->plain), l->aad, SOPS_STR};
	AUTO(buf) struct buf text = {0};
	size_t from, to;

	if (sops_is_value(json_str(l->v)) &&
	    sodium_memcmp(&m->ours.o.key, &m->theirs.o.key, sizeof(m->ours.o.key)) != 0) {
		if (sops_value_seal(&m->ours.o.key, &s, &text, m->err) != 0)
			return -1;
	} else if (sops_is_value(json_str(l->v))) {
		buf_str(&text, json_str(l->v));
	} else {
		if (sops_range(m->theirs.o.text, &m->theirs.o.srcs, l->v, &from, &to) != 0)
			return conflict(l, "its place isn't known", m->err);
		*ret = str_sub(m->theirs.o.text, from, to - from);
		return 0;
	}
	*ret = sops_quoted(&m->ours.a, &m->theirs.o.srcs, &place, buf_view(&text));
	return 0;
}

static int change(struct merging *m, const struct leaf *ours, const struct leaf *theirs)
{
	struct str with;
	size_t from, to;

	if (as_ours(m, theirs, ours->flow, &with) != 0)
		return -1;
	if (sops_range(m->ours.o.text, &m->ours.o.srcs, ours->v, &from, &to) != 0)
		return conflict(ours, "its place isn't known", m->err);
	sops_cuts_add(&m->cuts, from, to, with);
	return 0;
}

/* The whole lines of a leaf that has them for itself. */
static int lines_of(const struct side *s, const struct leaf *l, size_t *ret_from, size_t *ret_to)
{
	const struct yaml_src *src = yaml_src_of(&s->o.srcs, l->v);
	struct str t = s->o.text;
	size_t from, to;

	if (!src || l->flow || src->key_begin == src->begin ||
	    sops_range(t, &s->o.srcs, l->v, &from, &to) != 0)
		return -1;
	for (from = src->key_begin; from && t.p[from - 1] != '\n'; from--)
		if (t.p[from - 1] != ' ')
			return -1;
	while (to < t.n && t.p[to] != '\n')
		to++;
	*ret_from = from;
	*ret_to = to < t.n ? to + 1 : to;
	return 0;
}

/* The last of our leaves in the same mapping. */
static const struct leaf *sibling(const struct side *ours, const struct leaf *l)
{
	const struct leaf *best = NULL;
	struct str head = str_sub(l->aad, 0, l->aad.n - 1), key;

	if (!str_rcut(head, ':', &head, &key))
		head = STR("");
	for (size_t i = 0; i < ours->n; i++) {
		struct str a = str_sub(ours->v[i].aad, 0, ours->v[i].aad.n - 1), h, k;

		if (!str_rcut(a, ':', &h, &k))
			h = STR("");
		if (ours->v[i].doc == l->doc && str_eq(h, head))
			best = &ours->v[i];
	}
	return best;
}

static int add(struct merging *m, const struct leaf *theirs)
{
	const struct leaf *after = sibling(&m->ours, theirs);
	const struct yaml_src *src = yaml_src_of(&m->theirs.o.srcs, theirs->v);
	size_t from, to, their_from, their_to;
	struct str value;

	if (!after || !src || lines_of(&m->ours, after, &from, &to) != 0 ||
	    lines_of(&m->theirs, theirs, &their_from, &their_to) != 0)
		return conflict(theirs, "added where it can't be merged", m->err);
	if (as_ours(m, theirs, false, &value) != 0)
		return -1;
	from = yaml_src_of(&m->ours.o.srcs, after->v)->key_begin - from;
	sops_cuts_add(&m->cuts, to, to,
		      arena_strf(&m->ours.a, "%s%*s%.*s%.*s\n",
				 to && m->ours.o.text.p[to - 1] != '\n' ? "\n" : "", (int)from, "",
				 (int)(src->begin - src->key_begin),
				 m->theirs.o.text.p + src->key_begin, STR_ARG(value)));
	return 0;
}

static int drop(struct merging *m, const struct leaf *ours)
{
	size_t from, to;

	if (lines_of(&m->ours, ours, &from, &to) != 0)
		return conflict(ours, "removed where it can't be merged", m->err);
	sops_cuts_add(&m->cuts, from, to, STR(""));
	return 0;
}

/* ---- leaf by leaf ---- */

/* Two bindings to one object: which keys it has is known when the rest is merged. */
static bool same_object(const struct leaf *a, const struct leaf *b)
{
	struct sops_binding x, y;

	return str_is(a->aad, SOPS_BINDING_AAD) &&
	       sops_binding_parse(buf_view(&a->plain), &x, NULL) == 0 &&
	       sops_binding_parse(buf_view(&b->plain), &y, NULL) == 0 && str_eq(x.kind, y.kind) &&
	       str_eq(x.namespace, y.namespace) && str_eq(x.name, y.name);
}

static int merge_theirs(struct merging *m)
{
	for (size_t i = 0; i < m->theirs.n; i++) {
		struct leaf *t = &m->theirs.v[i], *o = find(&m->ours, t, i),
			    *b = find(&m->base, t, i);
		int rc = 0;

		if (o && (same(o, t) || (b && same(b, t))))
			;
		else if (o && b && same(b, o))
			rc = change(m, o, t);
		else if (o && same_object(o, t))
			m->rebind = true;
		else if (o)
			rc = conflict(t, "changed on both sides", m->err);
		else if (!b)
			rc = t->nth || (i + 1 < m->theirs.n && m->theirs.v[i + 1].nth)
				     ? conflict(t, "an item of a list", m->err)
				     : add(m, t);
		else if (!same(b, t))
			rc = conflict(t, "changed there, removed here", m->err);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int merge_removed(struct merging *m)
{
	for (size_t i = 0; i < m->base.n; i++) {
		struct leaf *b = &m->base.v[i], *o = find(&m->ours, b, i);

		if (!o || find(&m->theirs, b, i))
			continue;
		if (!same(b, o))
			return conflict(b, "changed here, removed there", m->err);
		if (drop(m, o) != 0)
			return -1;
	}
	return 0;
}

/* Each document's binding says the keys that it has now. */
static int rebind(const struct sops_edit *e, struct buf *merged, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_edit now = *e;
	struct yaml_docs docs;

	if (yaml_parse(&a, buf_view(merged), 0, NULL, NULL, &docs, err) != 0)
		return -1;
	for (size_t i = 0; i < docs.n; i++) {
		AUTO(buf) struct buf next = {0};

		now.text = buf_view(merged);
		if (sops_bind_again(&now, i, &next, err) != 0)
			return -1;
		buf_reset(merged);
		buf_str(merged, buf_view(&next));
	}
	buf_str(out, buf_view(merged));
	return 0;
}

int sops_edit_merge(const struct sops_edit *e, struct str base, struct str theirs, struct buf *out,
		    struct err *err)
{
	AUTO(buf) struct buf changed = {0};
	AUTO(buf) struct buf merged = {0};
	struct merging m = {.err = err};
	int rc = -1;

	if (side_init(&m.base, e->keys, base, "base", err) == 0 &&
	    side_init(&m.ours, e->keys, e->text, "ours", err) == 0 &&
	    side_init(&m.theirs, e->keys, theirs, "theirs", err) == 0 && merge_theirs(&m) == 0 &&
	    merge_removed(&m) == 0)
		rc = sops_cuts_make(&m.cuts, e->text, &changed, err);
	sops_cuts_release(&m.cuts);
	side_release(&m.base);
	side_release(&m.ours);
	side_release(&m.theirs);
	if (rc != 0 || !m.rebind)
		return rc ? -1 : sops_restamp(e, buf_view(&changed), out, err);
	return sops_restamp(e, buf_view(&changed), &merged, err) ? -1
								 : rebind(e, &merged, out, err);
}
