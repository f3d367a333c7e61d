/*
 * What the API server does when nobody asks: the store's log into its database, freed space back,
 * Secrets under the newest key. One thread: the core's.
 */
#ifndef PLUMB_APISERVER_TIDY_H
#define PLUMB_APISERVER_TIDY_H

#include "apiserver/core.h"

struct tidy;
struct tidy *tidy_new(struct loop *l, struct core *c, struct store *s); /* all borrowed */
void tidy_free(struct tidy *t);                                         /* NULL is fine */
/* After each turn of the core (arg is the struct tidy); plans work when something was written. */
void tidy_turned(void *arg);
/* There is something to do that no write tells of. */
void tidy_wake(struct tidy *t);

#endif
