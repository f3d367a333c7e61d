/*
 * Looking up names beside the loop: the resolver blocks, for seconds when nobody answers it. Only
 * for processes that don't fork. A thread for each name that is being looked up.
 */
#ifndef PLUMB_HTTP_LOOKUP_H
#define PLUMB_HTTP_LOOKUP_H

#include "lib/base/err.h"
#include "lib/os/loop.h"

struct addrinfo;
struct lookup;

/* False for addresses, which need no looking up. */
bool lookup_is_name(const char *host);
/* fn gets the addresses, its own to free, or NULL and why; on the loop's thread, never from inside
 * this. NULL: too many are under way. */
struct lookup *lookup_new(struct loop *l, const char *host, int port,
			  void (*fn)(void *arg, struct addrinfo *ai, const struct err *err),
			  void *arg);
/* fn is not called any more; NULLs the pointer, which may be NULL. */
void lookup_cancel(struct lookup **l);

#endif
