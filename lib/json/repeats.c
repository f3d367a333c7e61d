/*
 * Where in a tree the keys stand that its text said twice. Pure; memory is the call's.
 */
#include "lib/base/buf.h"
#include "lib/json/json.h"

struct search {
	const struct json_repeats *r;
	void (*fn)(void *arg, struct str path);
	void *arg;
	struct buf path;
};

static void tell(struct search *s, struct str key)
{
	size_t was = s->path.n;

	if (was)
		buf_putc(&s->path, '.');
	buf_str(&s->path, key);
	s->fn(s->arg, buf_view(&s->path));
	s->path.n = was;
}

/* As deep as the parser goes. */
static void walk(struct search *s, const struct json *v) // NOLINT(misc-no-recursion)
{
	size_t was = s->path.n;

	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < v->n; i++) {
		buf_printf(&s->path, "[%zu]", i);
		walk(s, &v->items[i]);
		s->path.n = was;
	}
	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < v->n; i++) {
		if (was)
			buf_putc(&s->path, '.');
		buf_str(&s->path, v->members[i].key);
		walk(s, &v->members[i].value);
		s->path.n = was;
	}
	for (size_t i = 0; json_is(v, JSON_OBJECT) && i < s->r->n; i++)
		if (s->r->v[i].in == v->members)
			tell(s, s->r->v[i].key);
}

void json_repeats_each(const struct json *v, const struct json_repeats *r,
		       void (*fn)(void *arg, struct str path), void *arg)
{
	struct search s = {.r = r, .fn = fn, .arg = arg};

	if (r->n)
		walk(&s, v);
	buf_release(&s.path);
}
