/* `plumb dns`: one role. */
#include "proxy/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_dns = {
	.name = "dns", .help = "run a node's cluster name server", .main = dns_main};
