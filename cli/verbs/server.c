/* `plumb server`: the control plane alone; nodes are other machines'. */
#include "cli/up.h"

#include "cli/verbs/verb.h"

const struct verb verb_server = {
	.name = "server", .help = "start a control plane that agents join", .main = up_main};
