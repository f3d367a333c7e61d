/*
 * The annotation in which `kubectl apply` keeps what it was given. An apply by the manager
 * "kubectl" takes over what the annotation shows to be kubectl's own, and keeps the annotation up
 * to date, so that people may go from one way of applying to the other and back. Pure.
 */
#ifndef PLUMB_LASTAPPLIED_H
#define PLUMB_LASTAPPLIED_H

#include "lib/schema/apply.h"

/* The fields that `live` still has as the annotation says; NULL = none, and for other managers. */
struct json *lastapplied_kept(struct arena *a, const struct schema *s, const struct json *live,
			      const struct apply_opts *o);
/* Into the annotation of `next`, when it has one and the manager is kubectl: the configuration. */
void lastapplied_follow(struct arena *a, struct json *next, const struct json *config,
			const struct apply_opts *o);

#endif
