/* Keeping what a process knows inside of it. */
#ifndef PLUMB_SECRECY_H
#define PLUMB_SECRECY_H

#include "lib/base/base.h"

/*
 * For whoever holds keys or Secrets: no core file, no attaching by others of the same user. Goes on
 * to children. Returns false when a crash could still leave memory on the disk.
 */
bool secrecy_no_dumps(void);
/* Where no limit stands against it, nothing of the process is swapped out: for short commands. */
void secrecy_no_swap(void);

#endif
