/*
 * YAML as Kubernetes reads it (sigs.k8s.io/yaml: YAML 1.1 booleans only where Go's library
 * resolves them, i.e. the core schema plus yes/no/on/off as its v2 resolver does), several
 * documents a file, with the source position of every value. Reading goes through libyaml's
 * events; text is never emitted by libyaml where a person's layout must survive.
 * Bounded: bytes, depth, and the number of nodes that aliases may expand to.
 */
#ifndef PLUMB_YAML_H
#define PLUMB_YAML_H

#include "lib/json/json.h"

enum yaml_style {
	YAML_PLAIN,
	YAML_SINGLE,
	YAML_DOUBLE,
	YAML_LITERAL,
	YAML_FOLDED,
	YAML_BLOCK,
	YAML_FLOW,
	YAML_ALIAS
};

/* Where one value (or key) stands. Byte offsets, not characters. */
struct yaml_src {
	uint32_t file;       /* caller's number for the file */
	uint32_t doc;        /* document in the file, from 0 */
	uint32_t line, col;  /* of the value, from 1 */
	uint32_t begin, end; /* byte range of the value in the file */
	uint32_t key_begin;  /* first byte of the key in a mapping, or == begin */
	uint8_t style;       /* enum yaml_style */
};

/* json.src - 1 indexes rows. Zeroed struct = empty table; shared by any number of files. */
struct yaml_srcs {
	struct yaml_src *rows;
	size_t n, cap;
};
void yaml_srcs_release(struct yaml_srcs *t);
const struct yaml_src *yaml_src_of(const struct yaml_srcs *t,
				   const struct json *v); /* NULL = unknown */

struct yaml_limits {
	size_t bytes; /* of the text; 0 = 16 MiB */
	size_t depth; /* 0 = JSON_DEPTH_MAX */
	size_t nodes; /* after alias expansion; 0 = 1,000,000 */
	/* y, yes, n, no, on and off are text, as YAML 1.2 has it and kustomize reads manifests */
	bool core_booleans;
};

struct yaml_docs {
	struct json **v; /* NULL entries never occur: empty documents are left out */
	size_t n;
};

/*
 * Parses all documents of `text` into `a`. srcs may be NULL. JSON is YAML, so .json files go this
 * way too. On error -1 with "line L, column C: …".
 */
MUST_USE int yaml_parse(struct arena *a, struct str text, uint32_t file, struct yaml_srcs *srcs,
			const struct yaml_limits *limits, struct yaml_docs *ret, struct err *err);

/* Whether a plain scalar of these characters is a text, to readers of YAML 1.1, too. */
bool yaml_reads_as_text(struct str s);

/* Writes v as a block-style document, keys sorted, the way kubectl -o yaml prints; no "---". */
void yaml_write(const struct json *v, struct buf *out);

#endif
