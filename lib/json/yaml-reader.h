/*
 * Inside the YAML reader: what its files share while one text is read. One call at a time per
 * reader; memory is the caller's arena, but for what the comments say.
 */
#ifndef PLUMB_YAML_READER_H
#define PLUMB_YAML_READER_H

#include <yaml.h>

#include "lib/base/map.h"
#include "lib/json/yaml-internal.h"

struct yaml_anchor {
	struct json value;
	bool open; /* still being read: an alias to it would contain itself */
};

struct yaml_reader {
	struct arena *a;
	struct str text;
	yaml_parser_t parser;
	yaml_event_t event;
	bool have_event;
	struct yaml_srcs *srcs;
	uint32_t file, doc;
	size_t depth_max, nodes_left;
	bool core_booleans;
	struct yaml_anchor *anchors; /* of the document; freed at the end */
	struct map anchor_names;     /* position + 1 of the latest of a name */
	size_t nanchors, anchors_cap;
	size_t chars, bytes; /* one place in the text, counted both ways */
	struct err *err;
};

/* ERR_PARSE with the place in front; returns -1. */
int yaml_fail_at(struct yaml_reader *r, const yaml_mark_t *m, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

/* A row for what the current event begins, its key having begun at `key` (NULL = none): what goes
 * into json.src, 0 when nobody asked for places. */
uint32_t yaml_place_new(struct yaml_reader *r, const yaml_mark_t *key, enum yaml_style style);
/* The current event ends the collection of row `src`; `last` is its last child. */
void yaml_place_end(struct yaml_reader *r, uint32_t src, const struct json *last, bool flow);

struct yaml_mapping {
	struct json *v;
	struct map keys;    /* of v → position + 1, once it has many; map_release() at the end */
	struct json merges; /* an array: applied at the end, as own keys win wherever they stand */
	struct json *last;
};

/* Keys are text in JSON; other scalars become theirs. */
MUST_USE int yaml_key_text(struct yaml_reader *r, const struct json *key, const yaml_mark_t *at,
			   struct str *ret);
struct json *yaml_mapping_find(const struct yaml_mapping *m, struct str name);
/* `name` must be absent. */
struct json *yaml_mapping_add(struct yaml_reader *r, struct yaml_mapping *m, struct str name,
			      const struct json *value);
/* "<<": what `from`, a mapping or a list of them, says and the one being read does not. */
MUST_USE int yaml_mapping_merge(struct yaml_reader *r, struct yaml_mapping *m,
				const struct json *from, const yaml_mark_t *at);
/* Fails: the key stands there already, as `earlier`. */
int yaml_duplicate_key(struct yaml_reader *r, const struct json *earlier, struct str key,
		       const yaml_mark_t *at);

#endif
