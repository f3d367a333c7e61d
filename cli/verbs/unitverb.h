/* What the verbs about Kustomizations share: options, the client, one Kustomization by name. */
#ifndef PLUMB_CLI_UNITVERB_H
#define PLUMB_CLI_UNITVERB_H

#include "lib/base/flags.h"
#include "lib/kube/client.h"

#define UNITVERB_NAMESPACE "plumb-system" /* when nobody names one */

struct unitverb {
	const char *data_dir, *kubeconfig, *namespace;
	struct client *client;
	struct loop *loop;
	struct arena arena;
};

/* Rows of the options that all of them have. */
#define UNITVERB_FLAGS(v)                                                                          \
	{"data-dir", 0, FLAG_STRING, &(v)->data_dir, "DIR", "the instance's data directory"},      \
		{"kubeconfig",     0,      FLAG_STRING,                                            \
		 &(v)->kubeconfig, "FILE", "how to reach the API instead"},                        \
	{                                                                                          \
		"namespace", 'n', FLAG_STRING, &(v)->namespace, "NAME", "where it lives"           \
	}

void unitverb_defaults(struct unitverb *v);
MUST_USE int unitverb_open(struct unitverb *v, struct err *err);
void unitverb_release(struct unitverb *v);
/* Trees are in the verb's arena. */
const struct json *unitverb_get(struct unitverb *v, const struct resource *r, const char *namespace,
				const char *name, struct err *err);
/*
 * A Kustomization by name, else the Application of that name, there or in argocd;
 * "application/NAME" is one. *ret_name and v->namespace say where it is.
 */
const struct resource *unitverb_find(struct unitverb *v, const char *name, const char **ret_name,
				     struct err *err);
MUST_USE int unitverb_patch(struct unitverb *v, const struct resource *r, const char *namespace,
			    const char *name, const struct json *merge, struct err *err);
/* `plumb VERB NAME`: merge-patches spec.suspend. */
int unitverb_suspend(int argc, char **argv, bool suspend);

#endif
