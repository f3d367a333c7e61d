/* `plumb diff`: what a checkout would change. The reconciler's part does it. */
#include "cli/verbs/verb.h"
#include "reconciler/main.h"

const struct verb verb_diff = {.name = "diff",
			       .help = "what a checkout would change in the cluster",
			       .main = reconciler_diff_main};
