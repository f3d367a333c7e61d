/*
 * The part of JSONPath that CustomResourceDefinitions use for columns, scale and selectable fields:
 * `.a.b`, `['a']`, `[0]`, `[-1]`, `[*]`, `.*`, `[?(@.type=="Ready")]`, with or without `$` or
 * braces. Pure; input is hostile.
 */
#ifndef PLUMB_JSON_JSONPATH_H
#define PLUMB_JSON_JSONPATH_H

#include "lib/json/json.h"

#define JSONPATH_MAX 1024 /* longer paths are malformed */

bool jsonpath_ok(struct str path);
/* The first value that the path names; NULL when there is none or the path is malformed. */
struct json *jsonpath_first(const struct json *v, struct str path);

#endif
