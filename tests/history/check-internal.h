/* What the checker's files share: the facts that a history tells, in order. */
#ifndef PLUMB_TEST_HISTORY_CHECK_H
#define PLUMB_TEST_HISTORY_CHECK_H

#include "tests/history/history.h"

/* A version of a key, or its deletion, as somebody was shown it. */
struct fact {
	uint64_t revision;
	int key;
	bool deleted;
	int64_t value;
	uint64_t uid;
	int64_t seen_ns;             /* the earliest */
	const struct history_op *op; /* the write that made it; NULL = none known, or a deletion */
};

/* "At that time it was known that …": sorted by at, max is over all up to here. */
struct known {
	int64_t at_ns;
	uint64_t max;
};
struct known_list {
	struct known *v;
	size_t n, cap;
};

struct key_facts {
	const struct fact **v; /* by revision */
	size_t n;
	struct known_list known;   /* revisions of the key */
	struct known_list deletes; /* answered at, asked at: acknowledged deletions */
	const struct history_op **deleters;
	size_t ndeleters;
};

struct checker {
	const struct history *h;
	struct history_verdict *verdict;
	struct arena *a;
	struct fact *facts; /* by revision */
	size_t nfacts, cap_facts;
	const struct history_op **writes; /* by value */
	size_t nwrites;
	struct known_list known; /* revisions of the store */
	struct key_facts keys[HISTORY_KEYS_MAX];
};

void flaw(struct checker *c, enum history_flaw f, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The greatest that was known before t; 0 = nothing. */
uint64_t known_before(const struct known_list *l, int64_t t);
/* The newest fact of a key up to a revision; NULL = none. */
const struct fact *fact_upto(const struct key_facts *k, uint64_t revision);
/* Somebody may have deleted that version by then. */
bool may_be_gone(const struct checker *c, const struct fact *f, int64_t by_ns);

void check_facts(struct checker *c);   /* facts.c: gathers them, and what they say of writes */
void check_reads(struct checker *c);   /* check.c */
void check_watches(struct checker *c); /* watches.c */

#endif
