/*
 * The choices of the DaemonSet controller: which nodes shall run its pod, what is missing or too
 * much on them, and what a rolling update may replace now. Pure.
 */
#ifndef PLUMB_DAEMONSET_CORE_H
#define PLUMB_DAEMONSET_CORE_H

#include "controllers/revisions.h"

/* One node, or a name that pods speak of though there is no such node (`node` NULL). */
struct ds_node {
	const struct json *node;
	struct str name;
	bool should_run, may_stay;
	struct trees pods; /* oldest first; those that have ended and are being deleted left out */
};

struct ds {
	const struct view *v;
	struct plan *plan;
	const struct json *was;   /* the DaemonSet */
	struct json *tolerations; /* the template's and what daemons get by themselves */
	struct ds_node *nodes;
	size_t n;
	struct revisions revisions;
	int64_t min_ready, desired, surge, unavailable;
};

/* Fills nodes: all of the cluster's, and the pods that are on them. */
void ds_look(struct ds *d, const struct trees *pods);
/* Of the present template? */
bool ds_pod_new(const struct ds *d, const struct json *pod);
bool ds_available(const struct ds *d, const struct json *pod);
/* The newest-template pod and the older one of a node, those being deleted left out. False when
 * there are several of either. */
bool ds_pair(const struct ds *d, const struct ds_node *n, const struct json **ret_new,
	     const struct json **ret_old);
void ds_create(struct ds *d, const struct ds_node *n);
void ds_delete(struct ds *d, const struct json *pod);
/* Too few and too many, ended and misplaced pods. */
void ds_manage(struct ds *d);
/* RollingUpdate: replaces what may be replaced now. */
void ds_roll(struct ds *d);

#endif
