/* A subcommand of plumb: one file in this folder declares `const struct verb verb_x`. */
#ifndef PLUMB_CLI_VERB_H
#define PLUMB_CLI_VERB_H

#include "lib/base/base.h"

struct verb {
	const char *name;
	const char *help; /* one line for `plumb help`; NULL = not shown (helpers) */
	int (*main)(int argc, char **argv); /* argv[0] is the verb; returns the exit code */
};

extern const struct verb *const verb_registry[]; /* generated, ended by NULL */

#endif
