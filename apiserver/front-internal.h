/* What the front's files share. */
#ifndef PLUMB_APISERVER_FRONT_INTERNAL_H
#define PLUMB_APISERVER_FRONT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "apiserver/accept.h"
#include "apiserver/audit.h"
#include "apiserver/authn.h"
#include "apiserver/authz.h"
#include "apiserver/flow.h"
#include "apiserver/front.h"
#include "lib/base/map.h"
#include "lib/base/metrics.h"
#include "lib/http/server.h"

#define FRONT_BODY_MAX (3 << 20) /* bytes of a request's body, as Kubernetes has it */

struct rights;
struct discovery;
struct openapi_cache;
struct kubelet_call;

struct front {
	struct front_opts o;
	struct authn authn;
	struct http_server *http;
	struct tls_ctx *any_tls; /* to pods and services: not verified, shows no certificate */
	/* the core's thread */
	struct rights *rights;
	struct discovery *discovery;
	struct aggregate *aggregate;
	struct resmetrics *resmetrics;
	struct openapi_cache *openapi; /* NULL until somebody asks */
	struct loop_timer due;
	bool ready, stopping;
	struct front_flow *flow;
	struct list in_core; /* front_req.link: whose answer is awaited */
	struct list streams; /* front_req.link: whose answer has begun */
	size_t nended;       /* of these, since memory was last given back */
	struct loop_timer give_back;
	/* from the connections' threads to the core's */
	pthread_mutex_t lock;
	struct front_req *queue, **queue_end; /* by next */
	struct front_req *left, **left_end;   /* by left_next: their clients went away */
	bool posted;
	_Atomic size_t inflight[2]; /* read only, mutating: queued or in the core */
	struct metric *requests, *seconds, *refused;
	struct metric_value *running[2]; /* by mutating */
	struct map measured;             /* front_measure.c */
};

enum front_state { FRONT_QUEUED, FRONT_WAITS, FRONT_CORE, FRONT_ELSEWHERE, FRONT_DONE };

/* What the audit log is told of a request: front_audit.c. */
struct front_audit {
	struct audit_verdict verdict; /* level AUDIT_NONE = nothing */
	struct admission_user came_as;
	int64_t received_ns;
	char id[40];
	const char *decision;
	struct str why, message, reason, response, notes;
};

/* A request. Lives in the HTTP request's arena. */
struct front_req {
	struct core_req core; /* first */
	struct front *f;
	struct http_req *http;
	struct identity who;
	bool asked_again; /* the issuer's keys have been fetched for it */
	struct accepts accepts;
	bool resource; /* core's fields are set */
	bool mutating, counted;
	const char *bad_body;                  /* why it can't be read, or NULL */
	void (*admitted)(struct front_req *r); /* what goes on once nobody objects */
	bool takes_body;                       /* … with the body as it is then */
	/* the core's thread */
	enum front_state state;
	struct list link;
	bool streaming;
	bool awaits_metrics; /* in in_core, but not submitted yet: resmetrics.c */
	struct flow_ticket ticket;
	struct front_audit audit;
	int64_t deadline_ns;
	struct front_req *next, *left_next;
	/* the connection's thread */
	bool client_left;
	struct kubelet_call *call;
};

/* ---- front.c ---- */
/* Ends a request that the core's thread has answered: it is gone after this. */
void front_done(struct front_req *r, int status);
/* It no longer counts against the limit of running requests: a stream has begun. */
void front_uncount(struct front_req *r);

/* ---- front_measure.c: the core's thread ---- */
void front_measure_new(struct front *f);
void front_measure_free(struct front *f);
/* Counts a request that was answered so. */
void front_measure(struct front_req *r, int status);

/* ---- front_serve.c: the core's thread ---- */
void front_serve(struct front_req *r);
/* The same from where it has a seat. */
void front_serve_seated(struct front_req *r);
/* The verb as rules name it; of a path, its method in small letters. */
struct str front_verb(const struct front_req *r);
/* Answers and ends. */
void front_fail(struct front_req *r, const struct err *err);
void front_text(struct front_req *r, int status, const char *type, struct str body);
/* Whether JSON goes out in lines: people read what they ask for by hand. */
bool front_wants_lines(struct front_req *r);
void front_json(struct front_req *r, int status, const struct json *v);
/* Any thread, without a front_req's end: an error as a Status. */
void front_status(struct http_req *h, const struct err *err, const struct core_req *about);
/* What a request that isn't even whole is told. */
void front_refusal(void *front, int status, struct buf *out);
/* core_req.may_create of requests that come from outside. */
int front_may_create(struct core_req *c, struct err *err);
bool front_may(struct front_req *r, const struct authz_ask *q, struct buf *why);
extern const struct core_sink front_sink;

/* The body as a tree in the request's arena: JSON, YAML or protobuf. */
struct json *front_body(struct front_req *r, const char *kind, struct err *err);

/* ---- front_flow.c: the core's thread ---- */
void front_flow_new(struct front *f);
void front_flow_free(struct front *f);
void front_flow_change(struct front *f, const struct kind *k, const struct obj *old,
		       const struct obj *new);
/* True when it may go on now. Else it waits, or has been answered and is gone. */
bool front_flow_enter(struct front_req *r);
/* It needs its seat no longer, or doesn't wait for one. */
void front_flow_leave(struct front_req *r);
void front_flow_forget(struct front_req *r); /* the end */
/* The headers that name its flow; returns how many. r may be NULL. */
size_t front_flow_heads(const struct front_req *r, struct http_header out[2]);
MUST_USE int front_deadline(struct front_req *r, struct err *err);
/* After a turn: who may go on, who has waited too long, whose time is over. */
void front_flow_turn(struct front *f);
/* Nanoseconds until it wants the next turn, -1 = it doesn't. */
int64_t front_flow_due(const struct front *f);
void front_flow_measure(struct front *f);
/* Answers one that still waits; false when nobody does. */
bool front_flow_end_one(struct front *f, const struct err *err);

/* ---- front_audit.c ---- */
void front_audit_begin(struct front_req *r);
bool front_audited(const struct front_req *r);
void front_audit_decision(struct front_req *r, bool allowed, struct str why);
void front_audit_notes(struct front_req *r, struct str notes);
void front_audit_error(struct front_req *r, const struct err *err);
void front_audit_body(struct front_req *r, struct str body); /* of the front's own answer */
void front_audit_answer(struct front_req *r, const struct core_answer *a);
void front_audit_started(struct front_req *r, int code); /* a stream or tunnel begins */
void front_audit_end(struct front_req *r, int code);     /* once; harmless afterwards */
/* The connection's thread: somebody came who could not say who they are. */
void front_audit_stranger(struct front_req *r);

/* ---- body.c ---- */
struct json *body_parse(struct arena *a, struct str content_type, struct str body, struct err *err);

/* ---- rights.c: authorization from the objects that the core holds ---- */
struct rights *rights_new(struct core *c);
void rights_free(struct rights *r);
void rights_abac(struct rights *r, const struct abac *x); /* borrowed */
void rights_change(struct rights *r, const struct kind *k, const struct obj *old,
		   const struct obj *new);
bool rights_allow(struct rights *r, const struct authz_ask *q, struct buf *why);
const struct authz *rights_rbac(const struct rights *r);

/* ---- health.c ---- */
/* True when the path was one of its. */
bool health_serve(struct front_req *r);

/* ---- front_openapi.c: likewise ---- */
bool openapi_serve(struct front_req *r);
void openapi_cache_free(struct openapi_cache *c);

/*
 * front_ask.c: calls go when admission has nothing against it, at once where nobody wants to be
 * asked; else the request is answered and gone.
 */
void front_ask(struct front_req *r, enum admission_op op, void (*go)(struct front_req *r));

/* ---- reviews.c, token_request.c ---- */
bool reviews_serve(struct front_req *r);
bool token_request_serve(struct front_req *r);

/* ---- kubeletproxy.c ---- */
/* Core's thread: log, exec, attach, portforward, proxy. True when it was one of these. */
bool kubelet_serve(struct front_req *r);
/* Connection's thread. */
void kubelet_client_left(struct front_req *r);
void kubelet_drained(struct front_req *r);

#endif
