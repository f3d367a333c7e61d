/* The rows of kustomize's default configuration. Read by config.c alone. Immutable. */
#ifndef PLUMB_RECONCILER_KUSTOMIZE_TABLES_H
#define PLUMB_RECONCILER_KUSTOMIZE_TABLES_H

#include "lib/base/str.h"

enum {
	HOLDS_POD = 1,
	HOLDS_TEMPLATE = 2,
	HOLDS_DEPLOYMENT = 4,
	HOLDS_REPLICASET = 8,
	HOLDS_DAEMONSET = 16,
	HOLDS_STATEFULSET = 32,
	HOLDS_JOB = 64,
	HOLDS_CRONJOB = 128,
	HOLDS_CONTROLLER = 256,
};
/* A kind that holds a pod: its spec stands at `at` + "spec/". */
struct kholder {
	const char *group, *version, *kind, *at;
	unsigned bit;
};
extern const struct kholder kholders[];
extern const size_t nkholders;

/* A field of pods that names a `target`, in the holders of the mask. Ended by NULL, as all are. */
struct kpodref {
	const char *target, *path;
	unsigned holders;
};
extern const struct kpodref kpodrefs[];

struct kreftarget {
	const char *group, *version, *kind;
};
extern const struct kreftarget kreftargets[];

/* A field of other kinds that names a `target`. */
struct krefrow {
	const char *target, *group, *version, *kind, *path;
};
extern const struct krefrow krefrows[];

struct kspecrow {
	const char *group, *version, *kind, *path;
	bool create;
};
extern const struct kspecrow klabel_selectors[], klabel_templates[], kannotations[], kimages[],
	kreplicas[], knamespaces[], knames[];

#endif
