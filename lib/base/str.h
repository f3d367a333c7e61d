/*
 * Borrowed text. A `struct str` never owns its bytes, may hold any byte, and is not
 * NUL-terminated; NUL-terminated text is for system calls only. Thread-safe: pure functions.
 */
#ifndef PLUMB_STR_H
#define PLUMB_STR_H

#include "lib/base/base.h"

struct str {
	const char *p;
	size_t n;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* printf("%.*s", STR_ARG(s)) */
#define STR_ARG(s) (int)(s).n, (s).p

struct str str_c(const char *s); /* NULL gives STR_NONE */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a,
	    const char *b); /* equal to the NUL-terminated b; a NULL b equals STR_NONE only */
bool str_ieq(struct str a, struct str b); /* ASCII case ignored */
int str_cmp(struct str a, struct str b);  /* bytewise, as Go orders strings */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
ptrdiff_t str_find(struct str s, struct str needle);     /* offset or -1 */
struct str str_sub(struct str s, size_t from, size_t n); /* clamped to s */
struct str str_trim(struct str s);                       /* ASCII white space on both ends */

/* Splits at the first `sep`: *ret_head before it, *ret_tail behind it (empty when there is none).
 * True when found. */
bool str_cut(struct str s, char sep, struct str *ret_head, struct str *ret_tail);
/* Same at the last `sep`. */
bool str_rcut(struct str s, char sep, struct str *ret_head, struct str *ret_tail);
/* Iterates: takes the part before the next `sep` off *rest. False when *rest is used up (rest->p ==
 * NULL). */
bool str_next(struct str *rest, char sep, struct str *ret_part);

/* Whole text as a decimal number; -1 when anything else stands there or it overflows. */
MUST_USE int str_to_i64(struct str s, int64_t *ret);
MUST_USE int str_to_u64(struct str s, uint64_t *ret);

/* Hash for tables; keyed with a per-process random key, so hostile keys cannot collide on purpose.
 */
uint64_t str_hash(struct str s);
/* FNV-1a, the same in every process: for names that must be deterministic, never for tables. */
uint32_t str_fnv32(struct str s);

/* Constant-time equality for secrets and tokens. */
bool str_eq_secret(struct str a, struct str b);

/* True when s is valid UTF-8 (no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

#endif
