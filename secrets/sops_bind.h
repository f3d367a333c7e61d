/*
 * Binding a SOPS file to its object. SOPS' MAC covers values, not where they end up: kustomize may
 * give a Secret another name or namespace after it was opened. An annotation that the file's own
 * rule encrypts says where the values belong; sops keeps it like any other value, and whoever opens
 * the file for a cluster holds the object that is made of it against it. Format:
 * docs/SEALED-SECRETS.md. Pure.
 */
#ifndef PLUMB_SECRETS_SOPS_BIND_H
#define PLUMB_SECRETS_SOPS_BIND_H

#include "lib/json/yaml.h"
#include "secrets/sops_write.h"

#define SOPS_BINDING "plumb.dev/bound-to"
#define SOPS_BINDING_POINTER "/metadata/annotations/plumb.dev~1bound-to"
#define SOPS_BINDING_AAD "metadata:annotations:" SOPS_BINDING ":"

/* "Secret/shop/db:password,user", borrowed. */
struct sops_binding {
	struct str kind, namespace, name;
	struct str keys; /* with commas, sorted; STR_NONE for a kind that has none */
};
/* ERR_PARSE. */
MUST_USE int sops_binding_parse(struct str text, struct sops_binding *ret, struct err *err);
bool sops_binding_has(const struct sops_binding *b, struct str key);
/* An object's data, stringData and binaryData: their keys, in `a`. */
struct str sops_binding_keys(struct arena *a, const struct json *object);
/* What an object's annotation has to say; b's fields that are empty come from it. ERR_INVALID when
 * it has no name, or no namespace. */
MUST_USE int sops_binding_text(struct arena *a, const struct json *object, struct sops_binding b,
			       struct str *ret, struct err *err);
/* The annotation as a tree in clear says it, or STR_NONE. */
struct str sops_binding_of(const struct json *object);

/* Appends the plain file with the annotation in each of its documents; `to` gives namespace and
 * name where the object will have others than the file says. */
MUST_USE int sops_bind(struct str plain, const struct sops_binding *to, struct buf *out,
		       struct err *err);
/* The rule under which the annotation is encrypted, for a policy with another. ERR_UNSUPPORTED
 * where there is none. */
MUST_USE int sops_bind_rule(struct arena *a, struct sops_policy *p, struct err *err);
/* After a key was added to document doc of a bound file: its annotation says so. */
MUST_USE int sops_bind_again(const struct sops_edit *e, size_t doc, struct buf *out,
			     struct err *err);

#endif
