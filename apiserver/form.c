/*
 * The forms that an object is answered in: itself, a row of a Table, or its metadata only. Pure.
 * Specification: meta.k8s.io/v1 (Table, PartialObjectMetadata).
 */
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/table.h"

/* Cells are about the stored version, as Kubernetes prints them; those of definitions say in their
 * own version's terms where they come from. */
static const struct json *row_tree(struct arena *a, const struct kind *k, const struct obj *o)
{
	return k->crd ? convert_view(a, k, o) : obj_tree(o, a);
}

static void partial_write(const struct json *o, struct buf *out)
{
	buf_puts(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/"
		      "v1\",\"metadata\":");
	json_write(json_get(o, STR("metadata")), out);
	buf_putc(out, '}');
}

struct block *form_block(const struct kind *k, enum core_form form, const struct obj *o,
			 struct str include, int64_t now_ns)
{
	AUTO(arena) struct arena a = {0};
	struct buf out = {0};

	switch (form) {
	case CORE_FORM_OBJECT:
		if (convert_is_plain(k, o))
			return block_ref(o->block);
		json_write(convert_view(&a, k, o), &out);
		break;
	case CORE_FORM_TABLE:
		table_row(k, row_tree(&a, k, o), include, now_ns, &out);
		break;
	case CORE_FORM_PARTIAL:
		partial_write(convert_moves(k) ? convert_view(&a, k, o) : obj_tree(o, &a), &out);
		break;
	}
	return block_take(&out);
}

struct block *form_single(const struct kind *k, enum core_form form, const struct obj *o,
			  struct str include, bool columns, int64_t now_ns)
{
	AUTO(arena) struct arena a = {0};
	struct buf out = {0};

	if (form != CORE_FORM_TABLE)
		return form_block(k, form, o, include, now_ns);
	buf_printf(&out,
		   "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/"
		   "v1\",\"metadata\":{\"resourceVersion\":\"%llu\"},"
		   "\"columnDefinitions\":",
		   (unsigned long long)o->revision);
	if (columns)
		table_columns(k, &out);
	else
		buf_puts(&out, "null");
	buf_puts(&out, ",\"rows\":[");
	table_row(k, row_tree(&a, k, o), include, now_ns, &out);
	buf_puts(&out, "]}");
	return block_take(&out);
}

static void list_meta(uint64_t revision, struct str token, int64_t remaining, struct buf *out)
{
	buf_printf(out, "\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)revision);
	if (token.n) {
		buf_puts(out, ",\"continue\":");
		json_write_string(token, out);
	}
	if (remaining) { /* zero: nobody counted */
		buf_printf(out, ",\"remainingItemCount\":%lld", (long long)remaining);
	}
	buf_putc(out, '}');
}

void form_list_head(const struct kind *k, enum core_form form, uint64_t revision, struct str token,
		    int64_t remaining, struct buf *out)
{
	switch (form) {
	case CORE_FORM_OBJECT:
		buf_printf(out, "{\"kind\":\"%s%s\",\"apiVersion\":\"%s%s%s\",",
			   k->list_kind ? k->list_kind : k->kind, k->list_kind ? "" : "List",
			   k->group, k->group[0] ? "/" : "", k->version);
		list_meta(revision, token, remaining, out);
		buf_puts(out, ",\"items\":[");
		break;
	case CORE_FORM_TABLE:
		buf_puts(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",");
		list_meta(revision, token, remaining, out);
		buf_puts(out, ",\"columnDefinitions\":");
		table_columns(k, out);
		buf_puts(out, ",\"rows\":[");
		break;
	case CORE_FORM_PARTIAL:
		buf_puts(out, "{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s."
			      "io/v1\",");
		list_meta(revision, token, remaining, out);
		buf_puts(out, ",\"items\":[");
		break;
	}
}
