/*
 * The system's time zones by name ("Europe/Berlin"), read from /usr/share/zoneinfo once and kept.
 * One thread.
 */
#ifndef PLUMB_ZONEINFO_H
#define PLUMB_ZONEINFO_H

#include "lib/base/timezone.h"

/* False when there is no such zone on this machine, or the name is none. *ret is valid for ever;
 * NULL there is UTC. */
MUST_USE bool zoneinfo_find(struct str name, const struct timezone **ret);

#endif
