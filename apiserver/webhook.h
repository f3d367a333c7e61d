/*
 * Admission webhooks, the part that only computes: what configurations say, whether they are about
 * a write, the AdmissionReview that asks, and what an answer means. Who asks is core_webhook.c, how
 * it is carried is webhook_call.c. Pure.
 * Specification: k8s.io/apiserver/pkg/admission/plugin/webhook, k8s.io/api/admission/v1.
 */
#ifndef PLUMB_APISERVER_WEBHOOK_H
#define PLUMB_APISERVER_WEBHOOK_H

#include "apiserver/admission/admission.h"
#include "lib/kube/selector.h"

/* Where a webhook is. Everything lives with who made it. */
struct webhook_client {
	struct str url; /* or STR_NONE: a Service */
	struct str namespace, service, path;
	int port;
	struct str ca_bundle; /* PEM; empty = whom the system trusts */
};

struct webhook {
	struct str config, uid; /* of the configuration */
	struct str name;
	const struct json *rules, *conditions;
	struct selector namespaces, objects;
	struct webhook_client client;
	int64_t timeout_ns;
	bool mutating, ignore_failure, exact, reinvoke, side_effects;
	bool v1beta1; /* speaks only that */
};

struct webhooks {
	struct arena a;
	struct webhook *v;
	size_t n, cap;
};
/* Adds those of a configuration (copied); what makes no sense is left out, which validation does
 * not let into the store. */
void webhooks_add(struct webhooks *w, const struct json *config, bool mutating);
void webhooks_release(struct webhooks *w);
/* A WebhookClientConfig, copied into the arena. */
struct webhook_client webhook_client(struct arena *a, const struct json *config);

/* ---- what is asked ---- */
struct webhook_ask {
	enum admission_op op;
	const struct kind *kind;        /* that the request names */
	const struct kind *const *same; /* other served versions of it; NULL-terminated, or NULL */
	const char *subresource;        /* or NULL */
	struct str namespace, name;
	const struct json *object, *old; /* NULL where there is none */
	const struct json *namespace_labels;
	const struct json *options; /* of the request, or NULL */
	struct admission_user user;
	bool dry_run;
	/* of conditions' authorizer (lib/schema/cel.h) */
	int (*may)(void *arg, const struct json *attributes, struct str *ret_reason);
	void *may_arg;
};
/* The version in which the webhook wants to see the write, NULL when it doesn't. */
const struct kind *webhook_match(const struct webhook *w, const struct webhook_ask *q);
/*
 * Its matchConditions, of a write that it matches: object and old are q's in the version `as`. 1 =
 * all hold, 0 = one doesn't, -1 = none fails but one can't be judged.
 */
int webhook_conditions(struct arena *a, const struct webhook *w, const struct webhook_ask *q,
		       const struct kind *as, struct err *err);
/* What is wrong with a condition's text: ERR_INVALID. */
MUST_USE int webhook_condition_check(struct str text, struct err *err);
/* Whether any of its rules can be about CONNECT. */
bool webhook_connects(const struct webhook *w);

/* The review's request without its uid, as text; object and old are q's in the version `as`. */
void webhook_request(const struct webhook_ask *q, const struct kind *as, struct buf *out);
/* The whole review: that text with a uid. */
void webhook_review(const struct webhook *w, struct str request, const char *uid, struct buf *out);

/* ---- what is answered ---- */
struct webhook_verdict {
	bool allowed;
	struct json *status;      /* of a denial: what the client gets */
	int code;                 /* its HTTP status */
	const struct json *patch; /* operations, or NULL */
	const struct json *warnings, *audit;
};
/* -1: the answer isn't one, err says what a failed call would. uid is the request's. */
MUST_USE int webhook_verdict(struct arena *a, const struct webhook *w, struct str body,
			     const char *uid, struct webhook_verdict *ret, struct err *err);

#endif
