/*
 * Paths to fields as kustomize's replacements write them: names with dots between, `\.` for a dot
 * in a name, a number or `-` for an item of a list, `*` for all of them, `[name=x]` for the items
 * whose field fits a regular expression, `[=x]` for the texts of a list that do. Pure.
 * Specification: kubectl.docs.kubernetes.io, "replacements"; kyaml's PathGetter and PathMatcher.
 */
#ifndef PLUMB_RECONCILER_KUSTOMIZE_FIELDPATH_H
#define PLUMB_RECONCILER_KUSTOMIZE_FIELDPATH_H

#include "lib/json/json.h"

struct field_path {
	struct str *v;
	size_t n;
};
struct field_path field_path_split(struct arena *a, struct str text, char separator);

/* The one field at the path, *ret NULL when it isn't there. [name=x] is exact here, * an error. */
MUST_USE int field_get(struct json *tree, const struct field_path *path, struct json **ret,
		       struct err *err);

struct field_match {
	struct json *v;
	bool made; /* by this call: it has no type yet */
};
struct field_matches {
	struct field_match *v;
	size_t n, cap;
};
/* Every field that fits; with `create`, what is missing is made on the way. */
MUST_USE int field_match(struct arena *a, struct json *tree, const struct field_path *path,
			 bool create, struct field_matches *ret, struct err *err);

/* A scalar as text, "" for everything else. */
struct str field_text(struct arena *a, const struct json *v);
bool field_is_scalar(const struct json *v);
/* What text means where YAML is to find out its type. */
struct json field_resolve(struct arena *a, struct str text);

#endif
