/*
 * ValidatingAdmissionPolicies, the part that only computes: a policy compiled, what is wrong with
 * one, and whether a request is its business. Who carries them out is
 * admission/validating_policy.c. Pure; everything lives in the given arena and borrows the policy's
 * tree.
 */
#ifndef PLUMB_APISERVER_POLICY_H
#define PLUMB_APISERVER_POLICY_H

#include "apiserver/webhook.h"
#include "lib/schema/cel.h"
#include "lib/schema/path.h"

enum {
	POLICY_OBJECT,
	POLICY_OLD,
	POLICY_REQUEST,
	POLICY_NAMESPACE,
	POLICY_PARAMS, /* the last: declared only where there are some */
	POLICY_VARS
};

struct policy_check {
	const struct json *source;
	struct str text;                            /* of the expression */
	const struct cel_program *program, *saying; /* saying: messageExpression, or NULL */
};

struct policy {
	struct str name;
	const struct json *spec;
	struct policy_check *conditions, *validations, *audits;
	size_t nconditions, nvalidations, naudits;
	struct cel_lazy *variables; /* without states */
	size_t nvariables;
	bool ignore_failure, has_params;
	bool uses_request, uses_namespace;
};

/* Declares what a policy's expressions may use; values are the caller's to put in. */
struct cel_env policy_env(struct cel_var vars[POLICY_VARS], const struct policy *p);
/* ps, which may be NULL, gets what is wrong, below `spec`. */
struct policy *policy_compile(struct arena *a, const struct json *o, struct schema_problems *ps);

/* Appends to `warnings` where o's expressions don't fit objects of these kinds. */
void policy_check_types(struct arena *a, const struct json *o, const struct kind *const *kinds,
			size_t n, struct json *warnings);

/*
 * The version in which matchConstraints, or a binding's matchResources (`all`: without rules it is
 * about everything), want to see the request; NULL when it is none of theirs.
 */
const struct kind *policy_match(struct arena *a, const struct json *match, bool all,
				const struct webhook_ask *q);

#endif
