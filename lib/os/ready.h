/*
 * How a role tells its supervisor that it is ready: one byte on the descriptor that the
 * environment variable PLUMB_READY_FD names. Does nothing when nobody asked.
 */
#ifndef PLUMB_READY_H
#define PLUMB_READY_H

/* Says so, once; the descriptor is closed and the variable removed. */
void ready_notify(void);

#endif
