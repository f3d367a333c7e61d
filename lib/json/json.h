/*
 * JSON values: the object tree that everything in Plumb reads and builds.
 *
 * A tree lives in an arena and is 24 bytes a node. json_parse() is one pass over the bytes, bounded
 * in depth, and does not copy: strings without escapes point into the input, which must outlive
 * the tree. Objects keep the order of their keys; duplicate keys are refused.
 *
 * Ownership: nodes belong to the arena they were made in. Whoever owns the arena may change a tree
 * it built or copied (json_set …); a tree reached through `const struct json *` is shared and must
 * be copied first. A NULL tree reads as absent everywhere, so lookups chain without checks.
 * Thread-safe as far as the arena is: reading a tree from several threads is fine.
 *
 * Numbers: whole numbers that fit are JSON_INT; every other number keeps its text (JSON_NUM).
 * Specification: RFC 8259; bounds and refusals as Kubernetes' decoder.
 */
#ifndef PLUMB_JSON_H
#define PLUMB_JSON_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

enum json_type { JSON_NULL, JSON_BOOL, JSON_INT, JSON_NUM, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_member;

struct json {
	uint8_t type;   /* enum json_type */
	uint8_t flags;  /* JSON_F_* */
	uint16_t spare; /* the reader's own; 0 unless it set it */
	uint32_t n;     /* bytes of a string or number, items of an array, members of an object */
	uint32_t cap;   /* items or members there is room for */
	uint32_t src;   /* provenance: index + 1 into a source table (lib/json/yaml.h), 0 = none */
	union {
		bool b;
		int64_t i;
		const char *s;
		struct json *items;
		struct json_member *members;
	};
};

struct json_member {
	struct str key;
	struct json value;
};

enum {
	JSON_F_SENSITIVE = 1, /* prints as "<sensitive>" in diffs, errors and reports */
	JSON_F_BOUND = 2,     /* may stand in one object only: reconciler/render_bind.c */
	JSON_F_QUOTED = 4,    /* a text that stood in quotes or as a block where it was read */
};

#define JSON_DEPTH_MAX 128

/* Keys that an object says more than once, the first few of them. */
#define JSON_REPEATS_MAX 32
struct json_repeats {
	struct json_repeat {
		const struct json_member *in; /* the object's */
		struct str key;
	} v[JSON_REPEATS_MAX];
	size_t n;
};

struct json_limits {
	size_t depth;                 /* 0 = JSON_DEPTH_MAX */
	size_t nodes;                 /* 0 = no limit but memory */
	struct json_repeats *repeats; /* NULL: a key said twice is an error; else the last one
					 counts and the key is noted here */
};

/*
 * Parses exactly one value; trailing bytes other than white space are an error. ERR_PARSE names
 * line and column. limits may be NULL. Returns NULL on error.
 */
struct json *json_parse(struct arena *a, struct str in, const struct json_limits *limits,
			struct err *err);

/* Calls fn with where each of r's keys stands in the tree v: "spec.ports[0].name". */
void json_repeats_each(const struct json *v, const struct json_repeats *r,
		       void (*fn)(void *arg, struct str path), void *arg);

/*
 * The members of an object's text one after another, without a tree and without checking what is
 * skipped: for text that json_write made. Never reads beyond the text, whatever it holds.
 *	struct json_scan s = {text};
 *	while (json_scan_next(&s, &key, &value)) …
 * `key` is as it stands between its quotes, `value` is the member's text.
 */
struct json_scan {
	struct str rest;
	bool begun;
};
bool json_scan_next(struct json_scan *s, struct str *ret_key, struct str *ret_value);

/* ---- reading; all accept NULL and wrong types, and answer with the absent value ---- */
bool json_is(const struct json *v, enum json_type type);
struct str json_str(const struct json *v); /* STR_NONE unless a string */
struct str json_str_or(const struct json *v, struct str otherwise);
int64_t json_int(const struct json *v, int64_t otherwise); /* also whole JSON_NUMs like 3.0 */
double json_double(const struct json *v, double otherwise);
bool json_bool(const struct json *v, bool otherwise);
size_t json_len(const struct json *v); /* items or members */
struct json *json_item(const struct json *array, size_t i);
struct json *json_get(const struct json *object, struct str key);
/* json_at(pod, "spec", "nodeName"): walks object keys, NULL when any is missing. */
struct json *json_at_keys(const struct json *v, ...) SENTINEL;
#define json_at(v, ...) json_at_keys((v), __VA_ARGS__, (char *)NULL)
/* RFC 6901 pointer, "" is v itself. NULL when absent or malformed. */
struct json *json_pointer(const struct json *v, struct str pointer);

/* for (size_t i = 0; i < json_len(o); i++) … o->members[i].key / &o->members[i].value */
struct json_member *json_members(const struct json *object); /* NULL when none */

/* Deep equality; key order does not matter, 1 equals 1.0. */
bool json_equal(const struct json *a, const struct json *b);

/* ---- building; every result is in `a` ---- */
struct json *json_new(struct arena *a, enum json_type type);
struct json *json_new_str(struct arena *a, struct str s); /* copies s */
struct json *json_new_int(struct arena *a, int64_t i);
struct json *json_new_bool(struct arena *a, bool b);
struct json *json_copy(struct arena *a, const struct json *v); /* deep, strings too */

/*
 * Sets object[key] to a shallow copy of *value (the children are shared) and returns the slot,
 * valid until the next member is added. The key's bytes are copied. value NULL means null.
 */
struct json *json_set(struct arena *a, struct json *object, struct str key,
		      const struct json *value);
/* The same for a key that is known to be absent: does not look. */
struct json *json_add(struct arena *a, struct json *object, struct str key,
		      const struct json *value);
/* And one that doesn't copy the key's bytes either: they must live as long as the tree. */
struct json *json_add_borrowed(struct arena *a, struct json *object, struct str key,
			       const struct json *value);
struct json *json_set_str(struct arena *a, struct json *object, const char *key, struct str s);
struct json *json_set_int(struct arena *a, struct json *object, const char *key, int64_t i);
struct json *json_set_bool(struct arena *a, struct json *object, const char *key, bool b);
/* The object or array under `key`, made when it is absent or null. */
struct json *json_set_object(struct arena *a, struct json *object, const char *key);
struct json *json_set_array(struct arena *a, struct json *object, const char *key);
bool json_del(struct json *object, struct str key); /* keeps the order of the rest */
struct json *json_append(struct arena *a, struct json *array, const struct json *value);
struct json *json_append_str(struct arena *a, struct json *array, struct str s);
struct json *json_append_object(struct arena *a, struct json *array);
void json_insert(struct arena *a, struct json *array, size_t at, const struct json *value);
void json_remove(struct json *array, size_t at);

/*
 * json_build(a, "{s:s, s:{s:i, s:b}}", …) as jansson's json_pack: s text (const char *), S struct
 * str, i int, I int64_t, b bool (int), n null, o const struct json * (shared, not copied),
 * {…} object, […] array. A format error panics.
 */
struct json *json_build(struct arena *a, const char *fmt, ...);

/* ---- writing ---- */
/* Compact. Strings escaped as Go's encoder does without HTML escaping. */
void json_write(const struct json *v, struct buf *out);
/* Keys sorted bytewise at every level: the form that is hashed and compared. */
void json_write_sorted(const struct json *v, struct buf *out);
void json_write_pretty(const struct json *v, int indent, struct buf *out);
/* The same of a text that json_write made, without a tree. */
void json_write_lines(struct str text, int indent, struct buf *out);
/* With the quotes. What is no UTF-8 comes out as U+FFFD: written text is always JSON. */
void json_write_string(struct str s, struct buf *out);

#endif
