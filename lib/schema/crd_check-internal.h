/*
 * What the parts of crd_schema_check() share: where they are in a schema and how they tell.
 */
#ifndef PLUMB_SCHEMA_CRD_CHECK_INTERNAL_H
#define PLUMB_SCHEMA_CRD_CHECK_INTERNAL_H

#include "lib/schema/schema.h"

struct crd_walk {
	struct schema_problems *ps;
	struct arena *a;
	bool foreign; /* has keywords that no structural schema can be made of */
};

/* A keyword's value; NULL also when it is null, which sets nothing. */
static inline const struct json *crd_keyword(const struct json *o, const char *name)
{
	const struct json *v = json_get(o, str_c(name));

	return json_is(v, JSON_NULL) ? NULL : v;
}

static inline struct str crd_text(const struct json *o, const char *name)
{
	return json_str(crd_keyword(o, name));
}

static inline bool crd_flag(const struct json *o, const char *name)
{
	return json_bool(crd_keyword(o, name), false);
}

/* Paths below `at`: a keyword, a property, an item of a keyword's list. */
struct str crd_below(struct crd_walk *w, struct str at, const char *name);
struct str crd_below_key(struct crd_walk *w, struct str at, const char *name, struct str key);
struct str crd_below_item(struct crd_walk *w, struct str at, const char *name, size_t i);

/* Problems of the keyword `name` (NULL: of the whole) of the schema `o` at `at`. */
void crd_forbidden(struct crd_walk *w, struct str at, const char *name, const char *why);
void crd_required(struct crd_walk *w, struct str at, const char *name, const char *why);
void crd_invalid(struct crd_walk *w, const struct json *o, struct str at, const char *name,
		 const char *why);

/* Whether the schema is structural: every value has one type, combinations only add limits. */
void crd_structural_check(struct crd_walk *w, const struct json *openapi, struct str at);

#endif
