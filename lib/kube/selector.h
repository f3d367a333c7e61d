/*
 * Label selectors (text and object form) and field selectors. Parsed once, matched often. Pure.
 * Specification: k8s.io/apimachinery/pkg/labels, pkg/fields.
 */
#ifndef PLUMB_SELECTOR_H
#define PLUMB_SELECTOR_H

#include "lib/kube/obj.h"

enum selector_op {
	SELECT_EQ,
	SELECT_NE,
	SELECT_IN,
	SELECT_NOT_IN,
	SELECT_EXISTS,
	SELECT_NOT_EXISTS,
	SELECT_GT,
	SELECT_LT
};

struct selector_term {
	struct str key;
	enum selector_op op;
	struct str *values;
	size_t nvalues;
};

/* A zeroed selector matches everything. */
struct selector {
	struct selector_term *terms;
	size_t n;
	bool nothing; /* matches nothing (a nil metav1.LabelSelector) */
};

/* "a=b,c in (d,e),!f". */
MUST_USE int selector_parse(struct arena *a, struct str text, struct selector *ret,
			    struct err *err);
/* metav1.LabelSelector; NULL matches nothing, {} everything. ERR_BAD_REQUEST or ERR_INVALID when a
 * key, an operator or a value is none. */
MUST_USE int selector_from_json(struct arena *a, const struct json *v, struct selector *ret,
				struct err *err);
/* A plain map (Service.spec.selector); empty matches nothing. */
MUST_USE int selector_from_map(struct arena *a, const struct json *map, struct selector *ret,
			       struct err *err);
/* "a=b,c!=d": terms of SELECT_EQ and SELECT_NE on field names. */
MUST_USE int selector_parse_fields(struct arena *a, struct str text, struct selector *ret,
				   struct err *err);
bool selector_match_obj(const struct selector *s, const struct obj *o);
bool selector_match_json(const struct selector *s, const struct json *labels);
/* get(arg, field) answers the value of a field ("" when absent). */
bool selector_match_fields(const struct selector *s, struct str (*get)(void *arg, struct str field),
			   void *arg);
struct selector selector_copy(struct arena *a, const struct selector *s);
void selector_write(const struct selector *s, struct buf *out);

#endif
