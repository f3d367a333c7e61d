/*
 * The Pod Security Standards: what a pod of the levels baseline and restricted may not ask for,
 * each rule as the version of Kubernetes that a namespace names had it. Pure; results are in the
 * arena. Specification: https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
#ifndef PLUMB_ADMISSION_POD_CHECKS_H
#define PLUMB_ADMISSION_POD_CHECKS_H

#include "lib/json/json.h"

enum pod_level { POD_PRIVILEGED, POD_BASELINE, POD_RESTRICTED };

#define POD_CHECKS_LATEST 32 /* minor version of the rules known here */

struct pod_policy {
	enum pod_level level;
	int minor;   /* of version 1; what is newer than LATEST is read as that */
	bool latest; /* it was asked for by that name */
};

/* A pod or a template, whose metadata and spec are the same. */
struct pod_subject {
	struct arena *a;
	const struct json *meta, *spec;
	int minor;
};

struct pod_fault {
	struct str reason, detail; /* detail may be empty */
};

/* True when the pod has that fault. */
struct pod_check {
	const char *id;
	int since;             /* minor version */
	const char *overrides; /* a baseline check whose place it takes, or NULL */
	bool (*fails)(const struct pod_subject *p, struct pod_fault *ret);
};

/* Sorted by id, ended by a NULL id. */
extern const struct pod_check pod_checks_baseline[], pod_checks_restricted[];

/* "reason (detail), reason (detail)"; STR_NONE when the pod is fine. */
struct str pod_check_all(const struct pod_subject *p, struct pod_policy policy);
/* The reasons alone: "hostPort, privileged". */
struct str pod_check_reasons(const struct pod_subject *p, struct pod_policy policy);

/* ---- for the checks ---- */
/* Every container, those for the start and the short-lived ones included. */
void pod_containers(const struct pod_subject *p,
		    void (*fn)(void *arg, const struct json *container), void *arg);
/* Into a sorted array, once. */
void pod_set_add(struct arena *a, struct json *set, struct str s);
struct str pod_quoted(struct arena *a, const struct json *list); /* "a", "b" */
struct str pod_joined(struct arena *a, const struct json *list, const char *by);
/* container "a" / containers "a", "b" */
struct str pod_containers_named(struct arena *a, const struct json *names);
bool pod_is_windows(const struct pod_subject *p);

#endif
