/*
 * A small part of CEL: what health expressions, readyExpr and matchConditions are written in.
 * Fields, indexes, literals, comparisons, + - on numbers, && || !, ?:, has(), size(), `in`, the
 * macros filter, exists, all and exists_one, and the text functions startsWith, endsWith and
 * contains. Anything else is refused when it is checked, so that nothing is judged by half. Pure.
 */
#ifndef PLUMB_CEL_H
#define PLUMB_CEL_H

#include "lib/json/json.h"

#define CEL_TEXT_MAX 4096

/* ERR_INVALID with the place, when the text is nothing that this can judge. */
MUST_USE int cel_check(struct str text, struct err *err);
/* The members of `vars` are the names that the expression may use. ERR_INVALID when a field is
 * missing or the result is no boolean. */
MUST_USE int cel_test(struct arena *a, struct str text, const struct json *vars, bool *ret,
		      struct err *err);

#endif
