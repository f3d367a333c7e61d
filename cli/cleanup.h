/*
 * Takes away everything that an instance left on the machine: its processes (found by cgroup and
 * by their command lines), mounts below DIR, node namespaces, links, tables, cgroups. The store,
 * images and keys stay. Safe to run at any time that nobody holds the instance's lock.
 */
#ifndef PLUMB_CLI_CLEANUP_H
#define PLUMB_CLI_CLEANUP_H

#include "cli/datadir.h"

/* grace_ns: how long containers may take to end after SIGTERM. What could not be removed is named
 * in err. */
MUST_USE int host_cleanup(const struct datadir *d, int64_t grace_ns, struct err *err);

#endif
