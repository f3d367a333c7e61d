/*
 * What the server serves, as clients ask for it: /api, /apis and below, in the old form of one
 * document a group version and in the aggregated one. Documents are made from the core's kinds
 * when first asked for and kept until a kind comes or goes. The core's thread.
 */
#ifndef PLUMB_APISERVER_DISCOVERY_H
#define PLUMB_APISERVER_DISCOVERY_H

#include "apiserver/accept.h"
#include "apiserver/core.h"

struct discovery;

/* address: "10.0.0.1:6443", the one that clients are told. */
struct discovery *discovery_new(const struct core *c, const char *address);
void discovery_free(struct discovery *d);
/* An object changed: forgets the documents when it was one that defines kinds. */
void discovery_change(struct discovery *d, const struct kind *k);

/*
 * What extension API servers serve: [{group, version, up, document}], document an APIResourceList
 * or nothing. Copied; forgets the documents when it differs from what was told before.
 */
void discovery_set_external(struct discovery *d, const struct json *list);

/* ---- discovery_external.c: adds them to a list of APIGroups, or of APIGroupDiscoveries ---- */
void external_groups(struct arena *a, const struct json *external, struct json *groups);
void external_items(struct arena *a, const struct json *external, struct json *items);

struct discovery_answer {
	struct block *block; /* borrowed until discovery_change */
	const char *content_type;
	const char *etag; /* NULL = none */
};
/* path "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1". False when there is no such
 * thing. */
bool discovery_find(struct discovery *d, struct str path, enum accept_discovery form,
		    struct discovery_answer *ret);

#endif
