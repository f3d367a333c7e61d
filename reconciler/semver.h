/*
 * Semantic versions and ranges of them, as Flux's sources understand both. Versions are strict
 * (three numbers, a leading "v" allowed); ranges know = != > < >= <= ~ ^, wildcards, partial
 * versions, "a - b", "," or a blank for and, "||" for or. A pre-release fits only a comparison that
 * names one itself. Pure.
 * Specification: semver.org 2.0.0; the ranges of Masterminds/semver 3, which Flux documents.
 */
#ifndef PLUMB_RECONCILER_SEMVER_H
#define PLUMB_RECONCILER_SEMVER_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define SEMVER_RANGE_TEXT_MAX 1024
#define SEMVER_RANGE_MAX 64 /* comparisons in one range */

struct semver {
	uint64_t major, minor, patch;
	struct str pre, meta; /* borrowed from the text */
};

MUST_USE int semver_parse(struct str text, struct semver *ret);
/* Precedence: build metadata doesn't count. <0, 0, >0. */
int semver_cmp(const struct semver *a, const struct semver *b);

struct semver_term;
struct semver_range {
	struct semver_term *v;
	size_t n;
};
/* Borrows from text. ERR_INVALID names what isn't understood. */
MUST_USE int semver_range_parse(struct arena *a, struct str text, struct semver_range *ret,
				struct err *err);
bool semver_fits(const struct semver_range *r, const struct semver *v);

#endif
