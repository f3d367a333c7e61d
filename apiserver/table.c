/* Tables: the columns and cells of kinds, their own or name and age. Pure. */
#include "apiserver/table.h"

#include "apiserver/convert.h"
#include "apiserver/crd.h"
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column name_and_age[] = {
	COL_NAME,
	{.name = "Created At",
	 .type = "date",
	 .description = "When it was made.",
	 .path = ".metadata.creationTimestamp"},
	{0},
};

static const struct kind_column *columns_of(const struct kind *k)
{
	return k->columns ? k->columns : name_and_age;
}

void table_columns(const struct kind *k, struct buf *out)
{
	buf_putc(out, '[');
	for (const struct kind_column *c = columns_of(k); c->name; c++) {
		buf_puts(out, c == columns_of(k) ? "{\"name\":" : ",{\"name\":");
		json_write_string(str_c(c->name), out);
		buf_puts(out, ",\"type\":");
		json_write_string(str_c(c->type), out);
		buf_puts(out, ",\"format\":");
		json_write_string(str_c(c->format ? c->format : ""), out);
		buf_puts(out, ",\"description\":");
		json_write_string(str_c(c->description ? c->description : ""), out);
		buf_printf(out, ",\"priority\":%d}", c->priority);
	}
	buf_putc(out, ']');
}

/* ".spec.replicas": members only; what a kind needs beyond that it computes itself. */
static const struct json *by_path(const struct json *o, struct str path)
{
	struct str rest = path, part;

	while (o && str_next(&rest, '.', &part))
		if (part.n)
			o = json_get(o, part);
	return o;
}

static void cells_by_path(struct kind_ctx *c, const struct kind *k, const struct json *o,
			  struct json *cells)
{
	static const struct json null = {.type = JSON_NULL};

	for (const struct kind_column *col = columns_of(k); col->name; col++) {
		const struct json *v;

		if (k->crd) {
			crd_cell(c, col, o, cells);
			continue;
		}
		v = by_path(o, str_c(col->path));
		if (str_is(str_c(col->name), "Age") && v)
			cell_since(c, cells, v);
		else
			json_append(c->a, cells, v ? v : &null);
	}
}

static void write_object(const struct json *o, struct str include, struct buf *out)
{
	if (str_is(include, "None")) {
		buf_puts(out, "null");
	} else if (str_is(include, "Object")) {
		json_write(o, out);
	} else {
		buf_puts(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/"
			      "v1\",\"metadata\":");
		json_write(json_get(o, STR("metadata")), out);
		buf_putc(out, '}');
	}
}

/* The object beside the cells is in the version that was asked for. */
static const struct json *shown(struct arena *a, const struct kind *k, const struct json *o,
				struct str include)
{
	struct json *v;

	if (!k->stored || k->crd || (!convert_moves(k) && !str_is(include, "Object")))
		return o;
	v = json_copy(a, o);
	convert_from_stored(a, k, v);
	return v;
}

void table_row(const struct kind *k, const struct json *o, struct str include, int64_t now_ns,
	       struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct kind_ctx c = {.a = &a, .now_ns = now_ns, .problems = {.a = &a}};
	struct json *cells = json_new(&a, JSON_ARRAY);

	if (k->row)
		k->row(&c, o, cells);
	else
		cells_by_path(&c, k, o, cells);
	buf_puts(out, "{\"cells\":");
	json_write(cells, out);
	buf_puts(out, ",\"object\":");
	write_object(shown(&a, k, o, include), include, out);
	buf_putc(out, '}');
}
