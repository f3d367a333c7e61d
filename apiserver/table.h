/*
 * The server's side of `kubectl get`: objects as rows of a meta.k8s.io/v1 Table, by the columns
 * that their kind declares. Pure.
 */
#ifndef PLUMB_APISERVER_TABLE_H
#define PLUMB_APISERVER_TABLE_H

#include "apiserver/kinds/kind.h"

/* The value of columnDefinitions, an array. */
void table_columns(const struct kind *k, struct buf *out);
/*
 * One row: {"cells":[…],"object":…}. include: "None", "Object", anything else = "Metadata", what
 * clients get that don't ask. now_ns is for ages. o is in the stored version of a built-in kind, in
 * k's own of a definition.
 */
void table_row(const struct kind *k, const struct json *o, struct str include, int64_t now_ns,
	       struct buf *out);

/* scale_table.c: a whole Table of one Scale. */
void scale_table(const struct json *v, struct str include, int64_t now_ns, struct buf *out);

#endif
