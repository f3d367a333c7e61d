/*
 * Editing manifests in place: exactly the bytes of one value change; every comment, blank line and
 * key order stays. An edit is accepted only if the file, read anew, says exactly what was meant.
 * Pure.
 */
#ifndef PLUMB_RECONCILER_EDIT_H
#define PLUMB_RECONCILER_EDIT_H

#include "lib/json/yaml.h"

/*
 * Sets the value at `pointer` of document `doc` (as numbered in yaml_src) to `to`, or removes it
 * where `to` is NULL; pointer "" with `to` NULL removes the document. The new text in `a`; an empty
 * text means that nothing is left of the file. STR_NONE with err when it cannot be done without
 * touching more than this value.
 */
struct str edit_value(struct arena *a, struct str text, uint32_t doc, struct str pointer,
		      const struct json *to, struct err *err);

#endif
