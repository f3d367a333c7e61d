/*
 * A CustomResourceDefinition as kinds: what the core registers while the definition is there. Made
 * of the stored object; everything lives in an arena of its own. Pure.
 */
#ifndef PLUMB_APISERVER_CRD_H
#define PLUMB_APISERVER_CRD_H

#include "apiserver/webhook.h"

#define CRD_FINALIZER "customresourcecleanup.apiextensions.k8s.io"

struct crd;

/* What kind.crd points to. */
struct crd_version {
	struct kind kind; /* the first member */
	struct crd *crd;
	bool served;
	const struct json *published; /* the schema that OpenAPI shows, NULL: anything goes */
	/* JSONPaths of the scale subresource, NULL = none */
	const char *replicas, *status_replicas, *selector;
	const char *deprecation; /* a warning for every request, or NULL */
};

struct crd {
	struct arena a;
	const char *name, *group, *plural;
	const struct json *names; /* that were granted, while it is being made */
	struct crd_version *versions;
	size_t n;
	const struct crd_version *stored;
	uint64_t since; /* revision of the definition; older objects may lack its defaults */
	const struct webhook_client *converter; /* NULL: versions differ by their names alone */
	bool converter_v1beta1;
	bool terminating; /* changed by the owner */
	bool established; /* its names were granted once */
	bool shadowed;    /* a built-in kind stands in its place; changed by the owner */
	struct crd *next; /* the owner's */
};

/* NULL when the object makes no sense (which validation does not let into the store). */
struct crd *crd_new(const struct json *o);
void crd_free(struct crd *c);

/* The version behind a kind; NULL for built-in ones. */
static inline const struct crd_version *crd_version(const struct kind *k)
{
	return k->crd;
}
/* A cell of a table by the column's JSONPath. */
void crd_cell(struct kind_ctx *c, const struct kind_column *col, const struct json *o,
	      struct json *cells);

#endif
