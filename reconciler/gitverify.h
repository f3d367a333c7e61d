/* Whether a commit or tag was signed by whom the source demands. Helper process only. */
#ifndef PLUMB_RECONCILER_GITVERIFY_H
#define PLUMB_RECONCILER_GITVERIFY_H

#include "reconciler/gitremote-internal.h"

struct gitverify_what {
	const git_oid *pointed; /* what the reference names: a tag, perhaps */
	const git_oid *commit;
	const char *label;
};

/*
 * verify: {mode, keys, verified}, or NULL for no demands. Adds verified: {key, message} to answer;
 * a signature that doesn't hold is *ret_problem {reason, message}, not an error. `key` stands for
 * all that was looked at: given back as `verified`, the same isn't checked again.
 */
MUST_USE int gitverify(struct gitsession *s, const struct json *verify,
		       const struct gitverify_what *what, struct json *answer,
		       struct json **ret_problem, struct err *err);

#endif
