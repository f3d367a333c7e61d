/*
 * How a role tells its supervisor that it is ready: one byte on the descriptor that the
 * environment variable PLUMB_READY_FD names, when it does.
 */
#ifndef PLUMB_READY_H
#define PLUMB_READY_H

#include "lib/os/loop.h"

/* Says so, once; the descriptor is closed and the variable removed. A moment later memory is given
 * back that only the start needed: the heap's free end, and what is mapped of programs and
 * libraries, of which what is still used comes back from the page cache at its next use. Call on
 * the process's main loop. */
void ready_notify(struct loop *l);

#endif
