/* kubeseal's names, and the maker of its first key (kubesealkey_run.c). */
#ifndef PLUMB_CONTROLLERS_KUBESEAL_H
#define PLUMB_CONTROLLERS_KUBESEAL_H

#include "lib/kube/client.h"

#define KUBESEAL_KEY "sealedsecrets.bitnami.com/sealed-secrets-key"
#define KUBESEAL_SERVICE "sealed-secrets-controller"

extern const struct resource res_kubesealed;

struct kubesealkey;
/* Looks once, some seconds after the start: where there is no key, makes one. */
struct kubesealkey *kubesealkey_start(struct client *c);
void kubesealkey_stop(struct kubesealkey *k); /* NULL is fine */

#endif
