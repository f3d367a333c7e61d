/*
 * A tree as an object of every kind that has several versions: out of the stored version and back,
 * unpruned, as a hostile annotation or an odd old row would have it; then pruned and checked, as a
 * client's body is. Nothing may fault, and what was converted can be written and read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void there_and_back(struct arena *a, const struct kind *k, const struct json *v)
{
	const struct schema *s = schema_find(str_c(k->schema_name)),
			    *stored = schema_find(str_c(k->stored->schema_name));
	struct schema_problems problems = {.a = a};
	struct json *o = json_copy(a, v);
	AUTO(buf) struct buf text = {0};
	struct err err = {0};

	convert_from_stored(a, k, o);
	convert_to_stored(a, k, k->stored, o);
	json_write(o, &text);
	if (!json_parse(a, arena_str(a, buf_view(&text)), NULL, &err))
		abort();
	o = json_copy(a, v);
	schema_prune(s, o);
	schema_default(a, s, o);
	convert_to_stored(a, k, k->stored, o);
	schema_prune(stored, o);
	schema_check(stored, o, &problems, NULL);
	if (k->stored->set_defaults) {
		struct kind_ctx c = {.a = a, .problems = {.a = a}};

		k->stored->set_defaults(&c, o);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct json_limits limits = {.depth = 32, .nodes = 2000};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct json *v = json_parse(&a, (struct str){(const char *)data, n}, &limits, &err);

	for (size_t i = 0; json_is(v, JSON_OBJECT) && kind_registry[i]; i++)
		if (kind_registry[i]->stored)
			there_and_back(&a, kind_registry[i], v);
	return 0;
}
