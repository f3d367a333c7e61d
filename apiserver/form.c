/*
 * The forms that an object is answered in: itself, a row of a Table, or its metadata only. Pure.
 * Specification: meta.k8s.io/v1 (Table, PartialObjectMetadata).
 */
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"
#include "apiserver/table.h"

static const struct json *in_version(const struct kind *k, const struct obj *o, struct arena *a)
{
	struct json *tree;

	if (!k->from_stored && !k->crd)
		return obj_tree(o, a);
	tree = json_copy(a, obj_tree(o, a));
	if (k->crd)
		crd_set_version(a, k, tree);
	else
		k->from_stored(a, tree);
	return tree;
}

/* Whether objects are shown as they are stored. A custom kind of several versions may have been
 * stored in another one than today. */
static bool as_stored(const struct kind *k)
{
	return !k->from_stored && (!k->crd || crd_version(k)->crd->n == 1);
}

static void partial_write(const struct obj *o, struct arena *a, struct buf *out)
{
	buf_puts(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/"
		      "v1\",\"metadata\":");
	json_write(json_get(obj_tree(o, a), STR("metadata")), out);
	buf_putc(out, '}');
}

struct block *form_block(const struct kind *k, enum core_form form, const struct obj *o,
			 struct str include, int64_t now_ns)
{
	AUTO(arena) struct arena a = {0};
	struct buf out = {0};

	switch (form) {
	case CORE_FORM_OBJECT:
		if (as_stored(k))
			return block_ref(o->block);
		json_write(in_version(k, o, &a), &out);
		break;
	case CORE_FORM_TABLE:
		table_row(k, in_version(k, o, &a), include, now_ns, &out);
		break;
	case CORE_FORM_PARTIAL:
		partial_write(o, &a, &out);
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
	table_row(k, in_version(k, o, &a), include, now_ns, &out);
	buf_puts(&out, "]}");
	return block_take(&out);
}

static void list_meta(uint64_t revision, struct str token, int64_t remaining, struct buf *out)
{
	buf_printf(out, "\"metadata\":{\"resourceVersion\":\"%llu\"", (unsigned long long)revision);
	if (token.n) {
		buf_puts(out, ",\"continue\":");
		json_write_string(token, out);
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
