/*
 * What of a repository is left out: spec.ignore of its GitRepository, .sourceignore files and,
 * where neither stands, Flux' defaults (pictures, archives, what CI systems keep). Gitignore's
 * syntax; the last rule that fits a path or a folder above it decides, so `!` also brings back
 * what lies in a folder that is left out (as in Flux, other than in git). Pure.
 * Specification: gitignore(5); fluxcd.io/flux/components/source/gitrepositories, "ignore".
 */
#ifndef PLUMB_RECONCILER_IGNORE_H
#define PLUMB_RECONCILER_IGNORE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define IGNORE_FILE ".sourceignore"
#define IGNORE_TEXT_MAX (64u << 10)

struct ignore_rule;
struct ignore {
	struct ignore_rule *v;
	size_t n, cap;
	bool negated; /* some rule brings back: folders that are left out are looked into */
};

/*
 * The rules of a text, for what lies in folder `domain` ("" = the root). Later rules beat earlier
 * ones. ERR_LIMIT. The text must live as long as the rules.
 */
MUST_USE int ignore_add(struct arena *a, struct ignore *ig, struct str domain, struct str text,
			struct err *err);
void ignore_add_defaults(struct arena *a, struct ignore *ig);

enum ignore_verdict { IGNORE_UNSAID, IGNORE_OUT, IGNORE_IN };
enum ignore_verdict ignore_verdict(const struct ignore *ig, struct str path, bool folder);

#endif
