/* `plumb up`: starts and supervises everything on this machine. */
#include "cli/up.h"

#include "cli/verbs/verb.h"

const struct verb verb_up = {
	.name = "up", .help = "start everything on this machine and supervise it", .main = up_main};
