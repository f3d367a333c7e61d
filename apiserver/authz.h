/*
 * Role based access control: may this user do that? Roles and bindings are put in as they change;
 * answers are computed from what is there. Rules are rbac.authorization.k8s.io/v1's.
 *
 * Pure; belongs to one thread.
 */
#ifndef PLUMB_APISERVER_AUTHZ_H
#define PLUMB_APISERVER_AUTHZ_H

#include "apiserver/admission/admission.h"

struct authz;

struct authz *authz_new(void);
void authz_free(struct authz *z);

/* A Role (namespace set) or ClusterRole. o NULL = it is gone. */
void authz_role(struct authz *z, struct str namespace, struct str name, const struct json *o);
/* A RoleBinding or ClusterRoleBinding, likewise. */
void authz_binding(struct authz *z, struct str namespace, struct str name, const struct json *o);

struct authz_ask {
	const struct admission_user *user;
	struct str verb;
	struct str group, resource, subresource, namespace, name;
	struct str path; /* a non-resource request: then only verb counts besides */
};

/* True when a rule allows it. `why`, which may be NULL, gets the binding that did. */
bool authz_allows(const struct authz *z, const struct authz_ask *q, struct buf *why);

/* As if the user were bound to that ClusterRole. */
bool authz_role_allows(const struct authz *z, struct str cluster_role, const struct authz_ask *q);

struct str_list {
	struct str *v;
	size_t n;
};
struct authz_rule {
	struct str_list verbs, groups, resources, names, paths;
};
/* Every rule that the user has in the namespace, cluster-wide ones included. */
void authz_each_rule(const struct authz *z, const struct admission_user *u, struct str namespace,
		     void (*fn)(void *arg, const struct authz_rule *r), void *arg);

/* ---- abac.c: a file of policies, one a line; allows besides ---- */
struct abac;
struct abac *abac_new(struct str text, struct err *err);
void abac_free(struct abac *x);
bool abac_allows(const struct abac *x, const struct authz_ask *q); /* x may be NULL */

bool user_in_group(const struct admission_user *u, const char *group);

#endif
