/* What the files of aggregation share: aggregate.c, aggregate_openapi.c. The core's thread. */
#ifndef PLUMB_APISERVER_AGGREGATE_INTERNAL_H
#define PLUMB_APISERVER_AGGREGATE_INTERNAL_H

#include "apiserver/aggregate.h"

#define DOCUMENT_MAX (2 << 20)
#define PROBE_TIMEOUT (5 * NS_PER_S)

struct extension {
	struct list all;
	struct aggregate *g;
	char *name, *group, *version, *namespace, *service;
	int port;
	struct tls_ctx *tls; /* NULL: its bundle makes no sense */
	bool up, asked, dying;
	unsigned turn;
	struct buf resources; /* its APIResourceList */
	struct loop_timer timer;
	struct http_client *probe;
	/* aggregate_openapi.c */
	struct buf swagger; /* its part of /openapi/v2, or nothing */
	char *url;          /* of its part of /openapi/v3, or NULL */
	int64_t fetched_ns; /* 0 = not yet */
};

struct aggregate {
	struct front *f;
	struct list extensions;
	size_t n;
	struct loop_timer local; /* the local ones are looked over */
	uint64_t documents;      /* grows with each change of what is told of schemas */
	size_t swagger;          /* bytes of all */
};

/* ---- aggregate_openapi.c ---- */
/* It answers: asks for its schemas, now and then, over e->probe. */
void aggregate_fetch(struct extension *e);
void aggregate_forget(struct extension *e);

#endif
