/* `plumb scheduler`: one role. */
#include "scheduler/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_scheduler = {
	.name = "scheduler", .help = "run the scheduler", .main = scheduler_main};
