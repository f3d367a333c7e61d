/* `plumb agent`: this machine as a node of a cluster whose control plane is elsewhere. Returns the
 * exit code. */
#ifndef PLUMB_CLI_AGENT_H
#define PLUMB_CLI_AGENT_H

#include "cli/datadir.h"

int agent_main(int argc, char **argv);

/* What an agent left in this network namespace: bridge, tables, routes, the name server's address.
 * Does nothing in a data directory that no agent used. */
void agent_clean(const struct datadir *d);

#endif
