/*
 * The API server's front: HTTP, who asks, whether they may, and everything that isn't a verb over
 * stored objects (health, discovery, reviews, tokens, the way to the kubelets). Requests come in
 * on the HTTP server's threads, which authenticate them, and are served in batches on the loop's
 * thread, which owns the core.
 */
#ifndef PLUMB_APISERVER_FRONT_H
#define PLUMB_APISERVER_FRONT_H

#include "apiserver/core.h"
#include "apiserver/tokens.h"
#include "lib/http/tls.h"

struct front;
struct admin;
struct abac;
struct audit_log;
struct audit_policy;
struct authn;

struct front_opts {
	struct loop *loop;
	struct core *core;           /* borrowed, with everything in it */
	struct tokens *tokens;       /* borrowed */
	const struct authn *authn;   /* further ways to say who one is; borrowed; NULL = none */
	struct tls_ctx *tls;         /* what we show and whom we trust; borrowed */
	struct tls_ctx *kubelet_tls; /* how we call kubelets; NULL = not at all */
	struct tls_files proxy;      /* cert and key: how we call extension API servers; borrowed */
	int threads;                 /* 0 = one per CPU, at most 4 */
	const struct abac *abac;     /* allows besides; borrowed; NULL = nothing */
	struct audit_log *audit;     /* borrowed; NULL = nothing is told */
	const struct audit_policy *audit_policy; /* with it */
	struct admin *admin;                     /* borrowed; NULL = none of its paths */
	int seats;                 /* how many requests run at once; 0 = 600 (apiserver/flow.h) */
	int64_t wait_ns;           /* how long one may wait for a seat; 0 = 15 s */
	struct str ca;             /* PEM, for GET /cacerts; borrowed; empty = not told */
	const char *address;       /* "172.30.1.1:6443" for GET /api */
	void (*turned)(void *arg); /* after each turn of the core; may be NULL */
	void *arg;
};
struct front *front_new(const struct front_opts *o, struct err *err);
/* Returns the port, or -1. */
int front_listen(struct front *f, const char *addr, struct err *err);
/* What new connections are shown, and whom they trust; borrowed. */
void front_set_tls(struct front *f, struct tls_ctx *tls);
/* How kubelets are called from now on. */
void front_set_kubelet_tls(struct front *f, struct tls_ctx *tls);
/* The files that front_opts.proxy names hold something else. */
void front_renew_proxy(struct front *f);
/* From now on /readyz says ok. */
void front_ready(struct front *f);
/* Runs the core over what is queued, and plans the next time. */
void front_turn(struct front *f);
/* Stops listening, answers what it can, ends the watches. Not from inside a callback of the front.
 */
void front_stop(struct front *f);
void front_free(struct front *f);

#endif
