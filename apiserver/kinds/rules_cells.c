/*
 * Cells of the tables that kubectl prints, shared by the kinds.
 *
 * Pure; texts live in the context's arena.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/timefmt.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

void cell_str(struct kind_ctx *c, struct json *cells, struct str s)
{
	json_append_str(c->a, cells, s.p ? s : STR(""));
}

void cell_int(struct kind_ctx *c, struct json *cells, int64_t i)
{
	struct json v = {.type = JSON_INT, .i = i};
	json_append(c->a, cells, &v);
}

void cell_text(struct kind_ctx *c, struct json *cells, const char *fmt, ...)
{
	AUTO(buf) struct buf b = {0};
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	cell_str(c, cells, arena_str(c->a, buf_view(&b)));
}

void cell_name(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	cell_str(c, cells, json_str(json_at(o, "metadata", "name")));
}

void cell_since(struct kind_ctx *c, struct json *cells, const struct json *when)
{
	int64_t ns;
	char text[TIME_TEXT_MAX];
	if (time_parse(json_str(when), &ns)) {
		cell_str(c, cells, STR("<unknown>"));
		return;
	}
	cell_str(c, cells, arena_str(c->a, duration_human(c->now_ns - ns, text)));
}

void cell_age(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	cell_since(c, cells, json_at(o, "metadata", "creationTimestamp"));
}

static void put_labels(const struct json *map, struct buf *out)
{
	for (size_t i = 0; i < json_len(map); i++)
		buf_printf(out, "%s%.*s=%.*s", out->n ? "," : "", STR_ARG(map->members[i].key),
			   STR_ARG(json_str(&map->members[i].value)));
}

void cell_labels(struct kind_ctx *c, struct json *cells, const struct json *map)
{
	AUTO(buf) struct buf b = {0};
	put_labels(map, &b);
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<none>"));
}

void cell_selector(struct kind_ctx *c, struct json *cells, const struct json *selector)
{
	AUTO(buf) struct buf b = {0};
	struct selector s = {0};
	struct err err = {0};
	if (selector && !selector_from_json(c->a, selector, &s, &err))
		selector_write(&s, &b);
	cell_str(c, cells, b.n ? arena_str(c->a, buf_view(&b)) : STR("<none>"));
}

void cell_containers(struct kind_ctx *c, struct json *cells, const struct json *podspec)
{
	const struct json *list = json_get(podspec, STR("containers"));
	AUTO(buf) struct buf names = {0};
	AUTO(buf) struct buf images = {0};
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_item(list, i);
		buf_printf(&names, "%s%.*s", i ? "," : "",
			   STR_ARG(json_str(json_get(o, STR("name")))));
		buf_printf(&images, "%s%.*s", i ? "," : "",
			   STR_ARG(json_str(json_get(o, STR("image")))));
	}
	cell_str(c, cells, arena_str(c->a, buf_view(&names)));
	cell_str(c, cells, arena_str(c->a, buf_view(&images)));
}

struct str field_at(const struct json *o, struct str dotted, struct arena *a)
{
	struct str part;
	while (o && str_next(&dotted, '.', &part))
		o = json_get(o, part);
	if (!o)
		return STR("");
	if (o->type == JSON_INT)
		return arena_strf(a, "%lld", (long long)o->i);
	if (o->type == JSON_BOOL)
		return o->b ? STR("true") : STR("false");
	return json_str_or(o, STR(""));
}
