/*
 * Kustomize, built in: what `kustomize build` 5 makes of a kustomization.yaml. The layers (which
 * kustomization stands in which) are render_kustomize.c's; here are the single steps, each over
 * the resources of one layer. Pure: files come through a callback, everything lives in the
 * caller's arena, and values keep the place they were read from (json.src): a value that a field
 * of a kustomization set carries that field's place, so that drift is edited where it is said.
 *
 * Errors are whole sentences without a place; the caller puts "file:line: " before them.
 * Specification: kubectl.docs.kubernetes.io/references/kustomize, api/v5.5.
 */
#ifndef PLUMB_RECONCILER_KUSTOMIZE_H
#define PLUMB_RECONCILER_KUSTOMIZE_H

#include "lib/json/json.h"

/* An identity that a resource has, or had before a layer renamed it. */
struct kid {
	struct str group, version, kind, namespace, name;
};

enum kbehavior { KB_UNSPECIFIED, KB_CREATE, KB_REPLACE, KB_MERGE };

struct kres {
	struct json *tree; /* the caller's to change */
	/* Identities before the present one, the oldest (as written) first. */
	struct kid *past;
	size_t npast;
	/* Name prefixes and suffixes that layers have added, the innermost first: a reference means
	 * the candidate that shares them. */
	struct str *prefixes, *suffixes;
	size_t nprefixes, nsuffixes;
	bool generated;
	struct str maker; /* name of the generator's own configuration, where it has one */
	bool patched;
	bool needs_hash; /* a generator's: its name gets the hash of its content at the very end */
	enum kbehavior behavior;
	struct str *vars; /* names of those that stand for a field of this one */
	size_t nvars;
	void *origin; /* the renderer's (struct rendered_object *); steps leave it alone */
	/* Where the generator stands that replaced it last, or NULL. */
	void *configured;
};

struct kres_list {
	struct kres *v;
	size_t n, cap;
};
struct kres *kres_push(struct arena *a, struct kres_list *l);
/* The present identity, read from the tree. */
struct kid kres_id(const struct kres *r);
bool kid_eq(const struct kid *x, const struct kid *y);

/* Files by a path relative to the kustomization that is being built. ERR_NOT_FOUND, or ERR_INVALID
 * when the path leaves the repository. `file_number` is what yaml_parse wants for json.src. */
struct kfiles {
	int (*load)(void *ctx, struct str path, struct str *ret, uint32_t *file_number,
		    struct err *err);
	/* Whether what load gave was encrypted in the repository; NULL = never. */
	bool (*is_secret)(void *ctx, uint32_t file_number, struct str text);
	void *ctx;
};

/* ---- generators (generators.c, hash.c) ---- */
/*
 * One entry of configMapGenerator or secretGenerator: files, literals, envs/env, type, options.
 * `options` is the kustomization's generatorOptions or NULL. Fills tree, needs_hash and behavior
 * of ret. Values of Secrets are marked JSON_F_SENSITIVE. Values out of files that decrypt was
 * asked to open come through `files` already open.
 */
MUST_USE int kustomize_generate(struct arena *a, const struct kfiles *files,
				const struct json *entry, bool secret, const struct json *options,
				struct kres *ret, struct err *err);
/* The ten letters that follow the name of a generated object. */
struct str kustomize_hash(struct arena *a, const struct json *tree);
/* What behavior merge and replace do: `from` into (or instead of) the resource that `into` is. */
void kustomize_absorb(struct arena *a, struct kres *into, const struct kres *from);

/* ---- replacements and vars (replacements.c, vars.c, fieldpath.c) ---- */
/* The list `replacements` of a kustomization, entries with `path` read through files. */
MUST_USE int kustomize_replacements(struct arena *a, const struct kfiles *files,
				    struct kres_list *l, const struct json *replacements,
				    struct err *err);
/*
 * The resource that a var stands for is looked for where the var is declared, among what is there
 * by then: none is no error yet, two are.
 */
MUST_USE int kustomize_bind_var(struct arena *a, struct kres_list *l, const struct json *var,
				struct err *err);
/* Replaces $(NAME) where vars are looked for (containers' commands, args and env, and what
 * `var_reference` adds: [{path, kind, group}]). */
MUST_USE int kustomize_vars(struct arena *a, struct kres_list *l, const struct json *vars,
			    const struct json *var_reference, struct err *err);
/* Does the resource fit a selector {group, version, kind, name, namespace, labelSelector,
 * annotationSelector} (names are anchored regular expressions, as in patches' targets)? -1 when the
 * selector is malformed. Tries past identities too. */
MUST_USE int kustomize_selects(const struct kres *r, const struct json *selector, bool *ret,
			       struct err *err);

#endif
