/*
 * Values that came out of a Secret or an encrypted file, wherever they stand in an object: which
 * ones they are survives writing the object as bytes, and none gets into a message. Pure.
 */
#ifndef PLUMB_RECONCILER_SENSITIVE_H
#define PLUMB_RECONCILER_SENSITIVE_H

#include "lib/json/json.h"

/* Appends the JSON pointers of flagged values, each ended by a NUL. */
void sensitive_paths(const struct json *tree, struct buf *out);
/* Flags the values at those pointers. */
void sensitive_mark(struct json *tree, struct str paths);
/* metadata.name, unless somebody substituted a secret into it. */
struct str sensitive_name(const struct json *tree);
/* The text without any flagged value of the tree, and without any value of a Secret: as it stands
 * there, decoded, escaped, line by line, or cut off at the text's end. In `a`. */
struct str sensitive_scrub(struct arena *a, const struct json *tree, struct str text);

#endif
