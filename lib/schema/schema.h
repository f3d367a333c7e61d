/*
 * Types of API objects, as data. One structure serves the built-in kinds (compiled in from
 * lib/schema/data/) and CustomResourceDefinitions (read at run time), and every rule that looks
 * at fields is an interpreter of it: validation, defaulting, pruning, unknown-field warnings,
 * strategic merge patch, server-side apply, OpenAPI, explain.
 *
 * Types are immutable once made and shared between threads. Built-in ones live for ever.
 */
#ifndef PLUMB_SCHEMA_H
#define PLUMB_SCHEMA_H

#include "lib/json/json.h"

enum schema_type {
	SCHEMA_ANY, /* anything at all (JSON, RawExtension, FieldsV1) */
	SCHEMA_STRING,
	SCHEMA_INT, /* int32, int64: see format */
	SCHEMA_NUMBER,
	SCHEMA_BOOL,
	SCHEMA_OBJECT, /* fields */
	SCHEMA_MAP,    /* text → item */
	SCHEMA_ARRAY,  /* item */
	SCHEMA_INT_OR_STRING,
	SCHEMA_QUANTITY,
	SCHEMA_TIME, /* RFC 3339, or null */
	SCHEMA_MICRO_TIME,
	SCHEMA_DURATION, /* metav1.Duration text */
	SCHEMA_BYTES,    /* base64 text */
};

enum schema_list { SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };

enum {
	SCHEMA_F_PRESERVE_UNKNOWN = 1, /* x-kubernetes-preserve-unknown-fields */
	SCHEMA_F_EMBEDDED = 2,         /* x-kubernetes-embedded-resource */
	SCHEMA_F_NULLABLE = 4,
	SCHEMA_F_ATOMIC = 8, /* x-kubernetes-map-type: atomic (objects and maps) */
	SCHEMA_F_PATCH_MERGE =
		16, /* patchStrategy merge: lists by merge_key or as a set of scalars */
	SCHEMA_F_RETAIN_KEYS = 32, /* patchStrategy retainKeys */
	SCHEMA_F_DEFAULTS = 64,    /* a default stands in this type or below it */
	SCHEMA_F_CUSTOM =
		128, /* from a CustomResourceDefinition: null and emptiness count as values */
	SCHEMA_F_RULES = 256,  /* validation rules stand in this type or below it */
	SCHEMA_F_WORDED = 512, /* a quantity, time or duration stands in this type or below it */
};

#define SCHEMA_KEYS_MAX 4

struct schema;

struct schema_field {
	const char *name;
	const struct schema *type;
	bool required; /* schema_check() demands it */
	bool listed;   /* published as required, but its absence is accepted or worded elsewhere */
	bool solid;    /* an object that Kubernetes always writes, even empty */
	bool omit;     /* a text, number or truth whose zero Kubernetes takes for absence */
	/* Field number in the protobuf form, 0 = none. An embedded message's number stands in bits
	 * 8-11, one around that in 12-15. */
	uint16_t proto;
	const char *default_json; /* or NULL */
	const char *description;  /* or NULL */
};

/* Limits that only CustomResourceDefinitions and few built-in types have. NULL in most types. */
struct schema_limits;
/* x-kubernetes-validations (lib/schema/crd_rules.h). NULL in most types. */
struct schema_rules;

struct schema {
	enum schema_type type;
	uint32_t flags;          /* SCHEMA_F_* */
	const char *name;        /* "io.k8s.api.core.v1.PodSpec", or NULL for inline types */
	const char *format;      /* OpenAPI format, or NULL */
	const char *description; /* or NULL */
	const struct schema_field *fields; /* sorted by name */
	size_t nfields;
	const struct schema *item; /* of arrays and maps */
	enum schema_list list;
	const char *keys[SCHEMA_KEYS_MAX]; /* list map keys */
	const char *merge_key;             /* strategic merge patch */
	const char *const *enums;          /* NULL-terminated, or NULL */
	const struct schema_limits *limits;
	const struct schema_rules *rules;
};

/* By full name ("io.k8s.api.apps.v1.Deployment") or by apiVersion and kind; NULL when unknown. */
const struct schema *schema_find(struct str name);
const struct schema *schema_find_kind(struct str api_version, struct str kind);
/* for (size_t i = 0; (s = schema_nth(i)); i++): every built-in named type, by name. */
const struct schema *schema_nth(size_t i);
const struct schema_field *schema_field(const struct schema *s,
					struct str name); /* NULL when unknown */
/* The type at a path of field names, through array items and map values. */
const struct schema *schema_at(const struct schema *s, const char *const *path);

/* ---- problems found, in the words and paths of field.ErrorList ---- */
struct schema_problem {
	const char *reason; /* FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
			       FieldValueDuplicate, FieldValueTypeInvalid, FieldValueForbidden,
			       FieldValueTooLong, … */
	struct str field;   /* spec.template.spec.containers[0].image */
	struct str message; /* Required value: …, as Kubernetes words it */
	uint32_t src;       /* provenance of the value, 0 = unknown */
};
struct schema_problems {
	struct arena *a; /* set by the caller; messages live here */
	struct schema_problem *v;
	size_t n, cap, max; /* max 0 = 100 */
	size_t dropped;     /* found beyond max */
};
void schema_problem(struct schema_problems *ps, const char *reason, struct str field, uint32_t src,
		    const char *fmt, ...) PRINTF_LIKE(5, 6);

/*
 * Types, required fields, enums, formats; for custom resources also limits and duplicate list-map
 * keys. Values that Go's decoder would refuse are FieldValueTypeInvalid in its words, without a
 * field (the API server answers 400 for those on built-in kinds).
 * Unknown fields are reported to `unknown` (may be NULL), in Kubernetes' words: unknown field
 * "spec.foo".
 */
void schema_check(const struct schema *s, const struct json *v, struct schema_problems *problems,
		  struct schema_problems *unknown);
/* The same of an update of `old`: what is wrong with values that were so before, in a place that
 * can be told to be the same, is let pass. */
void schema_check_update(const struct schema *s, const struct json *v, const struct json *old,
			 struct schema_problems *problems);
/* Fills absent fields that have a default, in place (v must be the caller's to change). */
void schema_default(struct arena *a, const struct schema *s, struct json *v);
/* Writes out what Kubernetes' encoder always writes: structures that are there even when empty, and
 * the zero of texts, numbers and truths that are published as required, in place. */
void schema_fill(struct arena *a, const struct schema *s, struct json *v);
/* Drops unknown fields in place, as the decoder of built-in kinds and CRD pruning do. Also drops
 * null members of built-in objects, and what Kubernetes never writes: empty maps and lists, and the
 * zero of what it can't tell from absence. */
void schema_prune(const struct schema *s, struct json *v);
/* Quantities, times and durations of built-in types as Kubernetes keeps them ("1000m" is "1"), in
 * place; what can't be read stays. */
void schema_word(struct arena *a, const struct schema *s, struct json *v);
/* Equality that knows quantities, times, int-or-string, set lists, and absent = empty. */
bool schema_equal(const struct schema *s, const struct json *a, const struct json *b);

/*
 * Strategic merge patch with all directives ($patch, $retainKeys, $deleteFromPrimitiveList/x,
 * $setElementOrder/x). s may be NULL: then lists are replaced, as for custom resources in
 * kustomize.
 */
struct json *schema_strategic_merge(struct arena *a, const struct schema *s, const struct json *doc,
				    const struct json *patch, struct err *err);
/* Why the merged tree can't be an object of a built-in type, as Kubernetes says it of a strategic
 * merge patch; false when nothing of the sort is in the way. */
bool schema_restore_problem(const struct schema *s, const struct json *v, struct buf *why);
/* The tree as Go prints it: "map[a:1 b:[x y]]". */
void schema_go_text(struct arena *a, const struct json *v, struct buf *out);

#endif
