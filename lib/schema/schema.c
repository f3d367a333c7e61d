/*
 * Finding types and fields, and collecting problems.
 *
 * Pure. Types are constants or belong to whoever read the CRD; problems' texts live in the arena
 * that the collector was given. Any thread, one collector each.
 */
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

/* Orders a NUL-terminated name against borrowed text as str_cmp() does. */
static int name_cmp(struct str s, const char *name)
{
	for (size_t i = 0; i < s.n; i++) {
		int d = (unsigned char)s.p[i] - (unsigned char)name[i];
		if (d || !name[i])
			return d ? d : 1;
	}
	return name[s.n] ? -1 : 0;
}

const struct schema *schema_find(struct str name)
{
	size_t lo = 0, hi = schema_data_ntypes;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = name_cmp(name, schema_data_types[mid]->name);
		if (!d)
			return schema_data_types[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct schema *schema_nth(size_t i)
{
	return i < schema_data_ntypes ? schema_data_types[i] : NULL;
}

const struct schema *schema_find_kind(struct str api_version, struct str kind)
{
	size_t lo = 0, hi = schema_data_nkinds;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct schema_data_kind *k = &schema_data_kinds[mid];
		int d = name_cmp(api_version, k->api_version);
		if (!d)
			d = name_cmp(kind, k->kind);
		if (!d)
			return k->type;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct schema_field *schema_field(const struct schema *s, struct str name)
{
	if (!s)
		return NULL;
	size_t lo = 0, hi = s->nfields;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = name_cmp(name, s->fields[mid].name);
		if (!d)
			return &s->fields[mid];
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct schema *schema_at(const struct schema *s, const char *const *path)
{
	for (; s && *path; path++) {
		while (s->type == SCHEMA_ARRAY)
			s = s->item;
		if (s->type == SCHEMA_MAP) {
			s = s->item;
			continue;
		}
		const struct schema_field *f = schema_field(s, str_c(*path));
		s = f ? f->type : NULL;
	}
	return s;
}

static void spath_put(struct buf *b, const struct spath *p)
{
	if (!p)
		return;
	spath_put(b, p->up);
	if (!p->name.p) {
		buf_printf(b, "[%zu]", p->index);
	} else if (p->key ||
		   (p->in && p->in->type == SCHEMA_MAP && !(p->in->flags & SCHEMA_F_CUSTOM))) {
		buf_printf(b, "[%.*s]", STR_ARG(p->name));
	} else {
		if (b->n)
			buf_putc(b, '.');
		buf_str(b, p->name);
	}
}

struct str spath_text(struct arena *a, const struct spath *p)
{
	AUTO(buf) struct buf b = {0};
	spath_put(&b, p);
	return arena_str(a, buf_view(&b));
}

static void spath_put_go(struct buf *b, const struct spath *p)
{
	if (!p)
		return;
	spath_put_go(b, p->up);
	if (!p->name.p || p->key || (p->in && p->in->type == SCHEMA_MAP))
		return;
	if (b->n)
		buf_putc(b, '.');
	buf_str(b, p->name);
}

struct str spath_go(struct arena *a, const struct spath *p)
{
	AUTO(buf) struct buf b = {0};
	spath_put_go(&b, p);
	return arena_str(a, buf_view(&b));
}

void schema_problem(struct schema_problems *ps, const char *reason, struct str field, uint32_t src,
		    const char *fmt, ...)
{
	size_t max = ps->max ? ps->max : 100;
	if (ps->n >= max) {
		ps->dropped++;
		return;
	}
	if (ps->n == ps->cap) {
		size_t cap = ps->cap ? ps->cap * 2 : 8;
		struct schema_problem *v = arena_array(ps->a, cap, sizeof(*v));
		if (ps->n)
			memcpy(v, ps->v, ps->n * sizeof(*v));
		ps->v = v;
		ps->cap = cap;
	}
	AUTO(buf) struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	ps->v[ps->n++] = (struct schema_problem){.reason = reason,
						 .field = arena_str(ps->a, field),
						 .message = arena_str(ps->a, buf_view(&b)),
						 .src = src};
}
