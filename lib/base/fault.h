/*
 * Named fault points: places where a test makes the process die, fail or wait, to prove that what
 * follows is recovered from. Off unless the environment says
 *     PLUMB_FAULT="store.before_commit=kill@3,kubelet.after_netns=err"
 * kill: _exit as kill -9 would; err: FAULT_ERR is true, so the caller takes its error path;
 * sleep:MS; @N: from the N-th pass on (default 1), @N! only the N-th pass. Cost when off: one load.
 */
#ifndef PLUMB_FAULT_H
#define PLUMB_FAULT_H

#include "lib/base/base.h"

extern bool fault_armed;
void fault_init(void); /* reads PLUMB_FAULT; called once by main */
bool fault_hit(const char *name);

#define FAULT_POINT(name)                                                                          \
	do {                                                                                       \
		if (fault_armed)                                                                   \
			(void)fault_hit(name);                                                     \
	} while (0)
#define FAULT_ERR(name) (fault_armed && fault_hit(name))

#endif
