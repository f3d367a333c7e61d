/* `plumb reconciler`: one role. */
#include "reconciler/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_reconciler = {
	.name = "reconciler", .help = "run the GitOps reconciler", .main = reconciler_main};
