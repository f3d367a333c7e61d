/* What a YAML file says, as a line of JSON for each document: for tests that don't care for layout.
 */
#ifndef PLUMB_TESTS_AS_JSON_H
#define PLUMB_TESTS_AS_JSON_H

#include "lib/json/yaml.h"

static inline void as_json(struct buf *text)
{
	struct arena a = {0};
	struct str in = arena_str(&a, buf_view(text));
	struct yaml_docs docs = {0};
	struct err err = {0};

	if (yaml_parse(&a, in, 0, NULL, NULL, &docs, &err) != 0)
		fail_msg("%s in\n%s", err.msg, buf_cstr(text));
	buf_reset(text);
	for (size_t i = 0; i < docs.n; i++) {
		buf_puts(text, i ? "---\n" : "");
		json_write(docs.v[i], text);
		buf_putc(text, '\n');
	}
	arena_release(&a);
}

#endif
