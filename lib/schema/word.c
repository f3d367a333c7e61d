/*
 * Quantities, times and durations in the words that Kubernetes keeps them in: "1000m" of cpu is
 * "1", 1 is "1", a time stands in UTC. Must never change what a value means, nor touch what it
 * can't read: that is for checks to refuse. Pure; new texts are in the caller's arena.
 */
#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

static void set_text(struct arena *a, struct json *v, struct str s)
{
	if (!str_eq(json_str(v), s))
		*v = *json_new_str(a, s);
}

/* Texts of a few digits and a suffix are most there are, and as they should be: "100m", "64Mi". */
static bool is_plain(struct str s)
{
	size_t i = 0;

	while (i < s.n && i < 3 && s.p[i] >= (i ? '0' : '1') && s.p[i] <= '9')
		i++;
	if (!i || i == s.n)
		return i > 0;
	s = str_sub(s, i, s.n);
	return str_is(s, "m") || str_is(s, "Mi") || str_is(s, "Gi") || str_is(s, "Ki");
}

static void word_quantity(struct arena *a, struct json *v)
{
	AUTO(buf) struct buf text = {0};
	struct quantity q;

	if (is_plain(json_str(v)))
		return;
	if (json_is(v, JSON_STRING))
		buf_str(&text, str_trim(json_str(v)));
	else if (json_is(v, JSON_INT) || json_is(v, JSON_NUM))
		json_write(v, &text);
	if (!text.n || quantity_parse(buf_view(&text), &q))
		return;
	buf_reset(&text);
	quantity_format(q, &text);
	set_text(a, v, buf_view(&text));
}

static void word_time(struct arena *a, struct json *v, bool micro)
{
	struct str s = json_str(v);
	char text[TIME_TEXT_MAX];
	struct instant at;

	if (s.n == (micro ? 27 : 20) && s.p[s.n - 1] == 'Z')
		return;
	if (!instant_parse(s, &at))
		set_text(a, v, instant_format(at, micro, text));
}

static void word_duration(struct arena *a, struct json *v)
{
	AUTO(buf) struct buf text = {0};
	int64_t ns;

	if (duration_parse(json_str(v), &ns))
		return;
	duration_format(ns, &text);
	set_text(a, v, buf_view(&text));
}

static void word_object(struct arena *a, const struct schema *s, struct json *v)
{
	for (size_t i = 0; i < s->nfields; i++) {
		const struct schema_field *f = &s->fields[i];
		struct json *value;

		if (!(f->type->flags & SCHEMA_F_WORDED))
			continue;
		value = json_get(v, str_c(f->name));
		if (value)
			schema_word(a, f->type, value);
	}
}

void schema_word(struct arena *a, const struct schema *s, struct json *v)
{
	if (!s || !v || !(s->flags & SCHEMA_F_WORDED))
		return;
	if (s->type == SCHEMA_QUANTITY)
		word_quantity(a, v);
	else if (s->type == SCHEMA_TIME || s->type == SCHEMA_MICRO_TIME)
		word_time(a, v, s->type == SCHEMA_MICRO_TIME);
	else if (s->type == SCHEMA_DURATION)
		word_duration(a, v);
	else if (s->type == SCHEMA_OBJECT && json_is(v, JSON_OBJECT))
		word_object(a, s, v);
	for (uint32_t i = 0; s->type == SCHEMA_ARRAY && i < json_len(v) && json_is(v, JSON_ARRAY);
	     i++)
		schema_word(a, s->item, &v->items[i]);
	for (uint32_t i = 0; s->type == SCHEMA_MAP && i < json_len(v) && json_is(v, JSON_OBJECT);
	     i++)
		schema_word(a, s->item, &v->members[i].value);
}
