/*
 * JSON patch (RFC 6902), merge patch (RFC 7386) and comparing. Schema-aware patches (strategic
 * merge, apply) live in lib/schema. Pure.
 */
#ifndef PLUMB_PATCH_H
#define PLUMB_PATCH_H

#include "lib/json/json.h"

/*
 * Applies the operations to a copy of `doc`. ops: at most 10,000, and the result may grow to at
 * most 3 MiB. ERR_INVALID when a path is missing or a test fails, ERR_BAD_REQUEST when malformed.
 */
struct json *patch_json(struct arena *a, const struct json *doc, const struct json *ops,
			struct err *err);
/* RFC 7386; doc may be NULL. */
struct json *patch_merge(struct arena *a, const struct json *doc, const struct json *patch);
/* The merge patch that turns `from` into `to`; NULL when they are equal. */
struct json *patch_merge_diff(struct arena *a, const struct json *from, const struct json *to);

/* Called once for each leaf or subtree that differs; from or to is NULL when absent on that side.
 * path is an RFC 6901 pointer. */
typedef void patch_diff_fn(void *arg, struct str path, const struct json *from,
			   const struct json *to);
void patch_diff(const struct json *from, const struct json *to, patch_diff_fn *fn, void *arg);

/* Appends "/token" with ~ and / escaped. */
void pointer_push(struct buf *pointer, struct str token);

#endif
