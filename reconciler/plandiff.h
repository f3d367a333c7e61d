/*
 * What applying would change, field by field: the live object against what the server's dry run
 * made of the declared one. Values of Secrets and flagged ones are never in it. Pure.
 */
#ifndef PLUMB_RECONCILER_PLANDIFF_H
#define PLUMB_RECONCILER_PLANDIFF_H

#include "lib/json/json.h"

#define PLANDIFF_MAX 200 /* fields of one object that are listed */

enum plan_action {
	PLAN_NONE,
	PLAN_CREATE,
	PLAN_CHANGE,
	PLAN_RECREATE,
	PLAN_DELETE,
	PLAN_KEEP,
	PLAN_REFUSED
};

struct plan_field {
	struct str path;      /* spec.containers[name=main].image */
	struct str old, next; /* JSON texts, redacted; STR_NONE where it isn't there */
};
struct plan_change {
	enum plan_action action;
	struct str kind, namespace, name, place;
	struct str message; /* why it is refused or kept; STR_NONE */
	struct plan_field *fields;
	size_t nfields, more; /* more: beyond PLANDIFF_MAX */
};

/* Fills fields; hidden: sensitive_paths of the declared object. */
void plan_compare(struct arena *a, const struct json *live, const struct json *dry,
		  struct str hidden, struct plan_change *ret);

enum plan_format { PLAN_TEXT, PLAN_MARKDOWN, PLAN_JSON };
struct plan_report {
	struct str unit;
	struct str error; /* it cannot be built; STR_NONE */
	struct plan_change *v;
	size_t n;
};
/* One unit after the other; colour for terminals. */
void plan_print(const struct plan_report *r, enum plan_format format, bool colour, struct buf *out);
/* For PLAN_JSON: a value of the list `units`. */
struct json *plan_json(struct arena *a, const struct plan_report *r);

#endif
