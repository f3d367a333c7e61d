/*
 * What sops prints of an opened file, to the byte, as its stores for YAML and JSON do (yaml.v3 with
 * four spaces; tabs): where a file goes into a ConfigMap or Secret whole, its bytes and the hash of
 * them are what Flux would have made. Pure. What is appended is secret: wipe it.
 */
#ifndef PLUMB_SECRETS_SOPS_EMIT_H
#define PLUMB_SECRETS_SOPS_EMIT_H

#include "secrets/sops-internal.h"

/* Bytes of the text that are the file's metadata. */
struct sops_hole {
	size_t begin, end;
};
struct sops_emit {
	const struct sops_docs *d;   /* opened: see sops_open_keyed */
	const struct sops_key *key;  /* for comments; NULL = they stay as they are */
	const struct sops_hole *out; /* one a document */
};
/* Where each document's metadata stands; before they are opened. In `a`. */
struct sops_hole *sops_holes(struct arena *a, const struct sops_docs *d);
void sops_emit_yaml(const struct sops_emit *e, struct buf *out);
/* The first document. */
void sops_emit_json(const struct sops_emit *e, struct buf *out);
/* At most so many bytes, but for comments: a buffer with that room is never moved, and so wiped
 * whole. */
size_t sops_emit_room(const struct sops_docs *d);
/* A comment without its "#", opened where it is encrypted under one of the paths that `path`
 * ("a:b:") leads through. */
void sops_emit_comment(const struct sops_key *k, struct str comment, struct str path,
		       struct buf *out);

/* ---- sops_scalar.c ---- */
/* Appends a plain scalar that is no text as yaml.v3 prints it again; false when it is text. */
bool sops_yaml_plain(struct str s, struct buf *out);
/* Where a block's lines stand: the column, and how much that is behind the mapping's or list's. */
struct sops_lines {
	size_t indent, deeper;
};
/* Appends a text: plain, quoted, or as a block (NULL = never). */
void sops_yaml_string(struct str s, const struct sops_lines *lines, struct buf *out);
void sops_yaml_float(double f, struct buf *out);
void sops_json_float(double f, struct buf *out);
void sops_json_string(struct str s, struct buf *out);

#endif
