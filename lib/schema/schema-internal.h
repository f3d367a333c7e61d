/* What the files of lib/schema share with the generated tables, and nobody else. */
#ifndef PLUMB_SCHEMA_INTERNAL_H
#define PLUMB_SCHEMA_INTERNAL_H

#include "lib/schema/path.h"

struct schema_data_kind {
	const char *api_version, *kind;
	const struct schema *type;
};
extern const struct schema *const schema_data_types[]; /* sorted by name */
extern const size_t schema_data_ntypes;
extern const struct schema_data_kind schema_data_kinds[]; /* sorted by apiVersion, kind */
extern const size_t schema_data_nkinds;

/* Absent and null are the same to built-in kinds. */
static inline bool schema_absent(const struct json *v)
{
	return !v || v->type == JSON_NULL;
}

/* The item of a list with keys that had the same keys; NULL also of other lists. */
const struct json *schema_same_item(const struct schema *s, const struct json *old,
				    const struct json *item);

/* Limits of custom resources' values, as their CRD says. */
struct schema_limits {
	const struct json *min, *max, *multiple_of;
	bool exclusive_min, exclusive_max, unique;
	int64_t min_len, max_len;     /* of text, in characters; -1 = none */
	int64_t min_items, max_items; /* -1 = none */
	int64_t min_properties, max_properties;
	const char *pattern;      /* regular expression, or NULL */
	const struct json *enums; /* allowed values of any type, or NULL */
	const struct schema *const *all_of, *const *any_of,
						    *const *one_of; /* NULL-terminated, or NULL */
	const struct schema * not ;
};

#endif
