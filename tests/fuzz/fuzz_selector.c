/*
 * Selectors of both kinds, in text and as objects: what was read is written, read again, and then
 * matches the same. The first line is the selector, the rest are labels, a line each.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/kube/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct json *labels_of(struct arena *a, struct str rest)
{
	struct json *labels = json_new(a, JSON_OBJECT);
	struct str line, key, value;

	for (int i = 0; i < 20 && str_next(&rest, '\n', &line); i++) {
		str_cut(line, '=', &key, &value);
		json_set(a, labels, key, json_new_str(a, value));
	}
	return labels;
}

static struct str field(void *arg, struct str name)
{
	return json_str(json_get(arg, name));
}

static void again(struct arena *a, const struct selector *s, const struct json *labels)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf twice = {0};
	struct selector back;
	struct err err = {0};

	selector_write(s, &text);
	if (selector_parse(a, buf_view(&text), &back, &err))
		abort();
	selector_write(&back, &twice);
	if (!str_eq(buf_view(&text), buf_view(&twice)) ||
	    (!s->nothing && selector_match_json(s, labels) != selector_match_json(&back, labels)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, first, rest;
	AUTO(arena) struct arena a = {0};
	struct selector s, copy;
	struct err err = {0};
	struct json *labels, *v;

	if (n > 8192)
		return 0;
	str_cut(in, '\n', &first, &rest);
	labels = labels_of(&a, rest);
	if (!selector_parse(&a, first, &s, &err)) {
		again(&a, &s, labels);
		copy = selector_copy(&a, &s);
		if (selector_match_json(&s, labels) != selector_match_json(&copy, labels))
			abort();
	}
	if (!selector_parse_fields(&a, first, &s, &err))
		selector_match_fields(&s, field, labels);
	v = json_parse(&a, first, &(struct json_limits){.depth = 20, .nodes = 1000}, NULL);
	if (v && !selector_from_json(&a, v, &s, &err))
		again(&a, &s, labels);
	if (v && !selector_from_map(&a, v, &s, &err)) /* takes keys as they are */
		selector_match_json(&s, labels);
	return 0;
}
