/*
 * ${…} in texts, in the forms of Flux' postBuild: ${v}, ${#v}, ${v^} ${v^^} ${v,} ${v,,},
 * ${v:offset} ${v:offset:length}, ${v#glob} ${v##glob} ${v%glob} ${v%%glob}, ${v/text/new}
 * ${v//text/new} ${v/#text/new} ${v/%text/new}, ${v-default} ${v:-default} ${v=default}
 * ${v:=default}. Expressions nest in what follows an operator; $$ stands for $. A variable that is
 * not set and has no default is an error. Lengths and offsets count bytes, cases are ASCII's.
 *
 * Pure. What comes out is bounded, and so is the work. Errors quote the text that was given, never
 * a value.
 * Specification: github.com/fluxcd/pkg/envsubst.
 */
#ifndef PLUMB_RECONCILER_ENVSUBST_H
#define PLUMB_RECONCILER_ENVSUBST_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct envsubst {
	/* False when there is no such variable. *sensitive may be set, is never cleared. */
	bool (*find)(void *ctx, struct str name, struct str *ret, bool *sensitive);
	void *ctx;
};

#define ENVSUBST_MAX (1u << 20)

/* [_a-zA-Z][_a-zA-Z0-9]* */
bool envsubst_name_ok(struct str s);
bool envsubst_wanted(struct str text); /* is there anything to be done? */
/* Appends to out. *sensitive is set when a value that is went in. */
MUST_USE int envsubst(const struct envsubst *e, struct str text, struct buf *out, bool *sensitive,
		      struct err *err);

/* ---- what operators do (envsubst_ops.c); each appends to out ---- */
void envsubst_case(struct str s, struct str op, struct buf *out);
void envsubst_slice(struct str s, struct str offset, const struct str *length, struct buf *out);
MUST_USE int envsubst_trim(struct str s, struct str op, struct str glob, struct buf *out,
			   struct err *err);
MUST_USE int envsubst_replace(struct str s, struct str op, struct str from, struct str to,
			      struct buf *out, struct err *err);

#endif
