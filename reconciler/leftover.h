/* DriftReports of an earlier life whose drift is gone: report, pull request and branch go, too. */
#ifndef PLUMB_RECONCILER_LEFTOVER_H
#define PLUMB_RECONCILER_LEFTOVER_H

#include "reconciler/engine.h"

struct leftovers;
struct leftovers *leftovers_start(struct reconciler *r);
void leftovers_free(struct leftovers *l);
/* The unit was applied, or looked at since: `drifts` when something of it waits for a decision. */
void leftover_settle(struct unit *u, bool drifts);

#endif
