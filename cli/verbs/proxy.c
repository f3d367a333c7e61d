/* `plumb proxy`: one role. */
#include "proxy/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_proxy = {
	.name = "proxy", .help = "run a node's Service dataplane", .main = proxy_main};
