/* `plumb controllers`: one role. */
#include "controllers/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_controllers = {
	.name = "controllers", .help = "run the controllers", .main = controllers_main};
