/*
 * Webhooks: Flux' Receivers. A forge that calls one of their paths with a signature that fits makes
 * what it names look for something new, and that is all a webhook can do: nothing in its body is
 * acted upon, so replaying one costs a fetch and no more.
 */
#ifndef PLUMB_RECONCILER_WEBHOOK_H
#define PLUMB_RECONCILER_WEBHOOK_H

#include "lib/http/http.h"
#include "lib/json/json.h"

#define WEBHOOK_BODY_MAX (3u << 20)
#define WEBHOOK_PREFIX "/hook/"

struct webhook_request {
	struct str type;           /* of the Receiver */
	struct str token;          /* its Secret's */
	const struct json *events; /* spec.events: empty or absent = all */
	const struct http_headers *headers;
	struct str body;
};
/* 0 when the signature fits and the event is one that is wanted. ERR_UNAUTHORIZED; ERR_BAD_REQUEST
 * for an event that isn't wanted; ERR_UNSUPPORTED for a type that isn't known here. Pure. */
MUST_USE int webhook_check(const struct webhook_request *q, struct err *err);
bool webhook_type_known(struct str type);

/* /hook/…, as Flux computes it. */
#define WEBHOOK_PATH_MAX 80
void webhook_path(struct str token, struct str name, struct str namespace,
		  char ret[WEBHOOK_PATH_MAX]);

/* ---- webhook.c ---- */
struct reconciler;
struct webhooks;
struct webhook_opts {
	const char *listen;     /* ADDR:PORT */
	const char *cert, *key; /* PEM files, or NULL for plain HTTP behind a proxy */
};
/* NULL when it cannot listen: err. */
struct webhooks *webhooks_start(struct reconciler *r, const struct webhook_opts *o,
				struct err *err);
void webhooks_free(struct webhooks *w);

#endif
