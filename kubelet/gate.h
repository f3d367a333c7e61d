/*
 * Who may ask this node what. The API server and administrators may ask for anything, by their
 * certificates; anybody else is who the API's TokenReview says a bearer token is (or who his
 * certificate names), and may what its SubjectAccessReview allows him of `nodes`: metrics, stats,
 * log, proxy. Answers of the API are remembered for a while.
 */
#ifndef PLUMB_KUBELET_GATE_H
#define PLUMB_KUBELET_GATE_H

#include "lib/http/server.h"

struct kubelet;
struct gate;

typedef void gate_pass(struct kubelet *k, struct http_req *r);

struct gate *gate_new(struct kubelet *k);
void gate_free(struct gate *g); /* after the server; those who wait get no answer. NULL is fine */
/* Inside the server's `handle`. pass comes when the request may be carried out, at once or in a
 * later turn; otherwise it is refused here. */
void gate_ask(struct gate *g, struct http_req *r, gate_pass *pass);

#endif
