/*
 * Aggregation: APIServices that name a Service are answered by it. Whether each can be asked is
 * found out here and written into its status; its group version is told to discovery; requests go
 * there with the caller's name in headers that only our certificate makes believable. APIServices
 * of what this server answers itself are made here, too. The core's thread.
 */
#ifndef PLUMB_APISERVER_AGGREGATE_H
#define PLUMB_APISERVER_AGGREGATE_H

#include "apiserver/front-internal.h"

struct aggregate;

struct aggregate *aggregate_new(struct front *f);
void aggregate_free(struct aggregate *g);
/* Our certificate has changed. */
void aggregate_renew(struct aggregate *g);
/* What is there already, and what must be. */
void aggregate_start(struct aggregate *g);
/* A committed change; from within the core's turn. */
void aggregate_change(struct aggregate *g, const struct kind *k, const struct obj *old,
		      const struct obj *new);
/* True when the path is one of theirs: then it has been taken over. After authorization. */
bool aggregate_serve(struct front_req *r);

/* ---- aggregate_openapi.c ---- */
/* [{"path": "apis/x.io/v1", "url": …, "swagger": …}]: what extensions say of their schemas. */
struct json *aggregate_openapi(const struct aggregate *g, struct arena *a);
/* Grows with each change of that. */
uint64_t aggregate_openapi_changes(const struct aggregate *g);

/* ---- aggregate_local.c ---- */
/* Submits what makes the APIServices of local group versions what they should be. */
void aggregate_local(struct core *c);
/* A request of the server's own, freed when it is answered. body NULL = none. */
void aggregate_write(struct core *c, enum core_verb verb, struct str name, const char *subresource,
		     const struct json *body);
/* Whether a kind of that group version is served here. */
bool aggregate_is_local(const struct core *c, struct str group, struct str version);

#endif
