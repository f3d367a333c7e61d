/* `plumb agent`: one node of a cluster elsewhere. */
#include "cli/agent.h"

#include "cli/verbs/verb.h"

const struct verb verb_agent = {.name = "agent",
				.help = "make this machine a node of a server's cluster",
				.main = agent_main};
