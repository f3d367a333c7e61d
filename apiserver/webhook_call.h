/*
 * Carries the core's calls to webhooks: HTTPS from a thread of its own, because names are looked up
 * blocking. Everything here belongs to the core's thread but what runs on that one.
 */
#ifndef PLUMB_APISERVER_WEBHOOK_CALL_H
#define PLUMB_APISERVER_WEBHOOK_CALL_H

#include "apiserver/core.h"

struct webhook_calls;

/* NULL on error. `turned` is called on the loop after calls were answered: it turns the core. */
struct webhook_calls *webhook_calls_new(struct loop *l, struct err *err);
/* Before the first call. */
void webhook_calls_attach(struct webhook_calls *w, struct core *c, void (*turned)(void *arg),
			  void *arg);
/* core_opts.call */
void webhook_calls_start(void *w, struct core_call *call);
/* Ends the calls under way, which the core is told; later ones fail at once. */
void webhook_calls_stop(struct webhook_calls *w);
void webhook_calls_free(struct webhook_calls *w);

#endif
