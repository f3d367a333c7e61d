/*
 * Where values stand in a YAML text: libyaml's marks become rows of the caller's table. Bytes, not
 * characters. Pure but for the table, which grows with what is read.
 */
#include <stdlib.h>

#include "lib/json/yaml-reader.h"

/* libyaml counts characters; we keep bytes. Marks come nearly in order, so walking is short. */
static uint32_t byte_at(struct yaml_reader *r, size_t chars)
{
	while (r->chars < chars && r->bytes < r->text.n) {
		r->bytes++;
		while (r->bytes < r->text.n && (r->text.p[r->bytes] & 0xc0) == 0x80)
			r->bytes++;
		r->chars++;
	}
	while (r->chars > chars && r->bytes) {
		r->bytes--;
		while (r->bytes && (r->text.p[r->bytes] & 0xc0) == 0x80)
			r->bytes--;
		r->chars--;
	}
	return (uint32_t)r->bytes;
}

uint32_t yaml_place_new(struct yaml_reader *r, const yaml_mark_t *key, enum yaml_style style)
{
	const yaml_event_t *e = &r->event;
	struct yaml_srcs *t = r->srcs;
	struct yaml_src *row;

	if (!t)
		return 0;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 256;
		t->rows = xreallocarray(t->rows, t->cap, sizeof(*t->rows));
	}
	row = &t->rows[t->n++];
	*row = (struct yaml_src){.file = r->file, .doc = r->doc, .style = (uint8_t)style};
	row->line = (uint32_t)e->start_mark.line + 1;
	row->col = (uint32_t)e->start_mark.column + 1;
	if (key)
		row->key_begin = byte_at(r, key->index);
	row->begin = byte_at(r, e->start_mark.index);
	row->end = byte_at(r, e->end_mark.index);
	if (!key)
		row->key_begin = row->begin;
	return (uint32_t)t->n;
}

/* A block collection ends with its last child; libyaml would put the end before the next token. */
void yaml_place_end(struct yaml_reader *r, uint32_t src, const struct json *last, bool flow)
{
	struct yaml_src *row = src ? &r->srcs->rows[src - 1] : NULL;

	if (!row)
		return;
	if (flow)
		row->end = byte_at(r, r->event.end_mark.index);
	else if (last && last->src)
		row->end = MAX(row->begin, r->srcs->rows[last->src - 1].end);
}

void yaml_srcs_release(struct yaml_srcs *t)
{
	free(t->rows);
	*t = (struct yaml_srcs){0};
}

const struct yaml_src *yaml_src_of(const struct yaml_srcs *t, const struct json *v)
{
	return v && v->src && v->src <= t->n ? &t->rows[v->src - 1] : NULL;
}
