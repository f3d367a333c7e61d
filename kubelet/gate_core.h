/* What a request to a node is a right to, and the reviews that ask the API about it. Pure. */
#ifndef PLUMB_KUBELET_GATE_CORE_H
#define PLUMB_KUBELET_GATE_CORE_H

#include "lib/json/json.h"

/* The subresource of nodes that a path belongs to. */
const char *gate_subresource(struct str path);
/* What is done to it. A way into a container is never just looked at, whatever the method. NULL:
 * nobody's right. */
const char *gate_verb(struct str method, struct str path);
/* What follows "Bearer " in an Authorization header; empty when nothing does. */
struct str gate_bearer(struct str header);

/* The user of a certificate, as a review tells of one. */
struct json *gate_certificate_user(struct arena *a, const char *name, const char *const *groups);
void gate_token_review(struct arena *a, struct str token, struct buf *out);
/* Whom a TokenReview's answer names; NULL when nobody. */
struct json *gate_token_user(struct arena *a, struct str answer);
void gate_access_review(struct arena *a, const struct json *user, const char *node,
			const char *verb, const char *subresource, struct buf *out);
bool gate_allowed(struct str answer);

#endif
