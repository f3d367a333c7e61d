/*
 * What the steps of the kustomize engine share: tables of fields, and the steps themselves. Each
 * changes the resources of one layer in place. Errors are sentences without a place, as in
 * kustomize.h; `blame` of struct ksteps is set to the value that caused one. Pure.
 */
#ifndef PLUMB_RECONCILER_KUSTOMIZE_ENGINE_H
#define PLUMB_RECONCILER_KUSTOMIZE_ENGINE_H

#include "reconciler/kustomize/kustomize.h"

/* Fields of objects: "spec/template/spec/containers[]/image", for kinds that fit. Empty texts fit
 * everything. */
struct kspec {
	struct str group, version, kind, path;
	bool create; /* the field is made where it is missing */
};
struct kspecs {
	struct kspec *v;
	size_t n, cap;
};
/* Which fields hold names of objects of a kind. */
struct kref {
	struct str group, version, kind;
	struct kspecs from;
};

/* What a kustomization's transformers work on: the defaults and what `configurations` and `crds`
 * add. */
struct kconfig {
	struct kspecs name_prefix, name_suffix, namespace, labels, template_labels, annotations,
		images, replicas;
	struct kspecs all_labels; /* of every entry of `labels`, whatever it includes */
	struct kref *refs;
	size_t nrefs, refs_cap;
	struct json *vars; /* [{path, kind, group}]: what configurations add to varReference */
};
/* The defaults; in the arena, the caller's to extend. */
struct kconfig *kconfig_default(struct arena *a);
/* Another configuration file, or what a layer below had. */
MUST_USE int kconfig_merge(struct arena *a, struct kconfig *c, const struct json *file,
			   struct err *err);
MUST_USE int kconfig_join(struct arena *a, struct kconfig *c, const struct kconfig *other,
			  struct err *err);
/* Definitions out of an OpenAPI file listed under `crds`: fields that name other objects. */
MUST_USE int kconfig_crd(struct arena *a, struct kconfig *c, const struct json *definitions,
			 struct err *err);
/* Not where the field is there for the same kinds or some of them; an error when the two say
 * different things about making it. */
MUST_USE int kspecs_add(struct arena *a, struct kspecs *l, const struct kspec *s, struct err *err);
/* [{path, kind, group, version, create}] as kustomizations write them, after what l has. */
MUST_USE int kspecs_read(struct arena *a, struct kspecs *l, const struct json *list,
			 struct err *err);

/* ---- fields.c ---- */
enum kcreate { KCREATE_NONE, KCREATE_SCALAR, KCREATE_MAP };
struct kvisit {
	struct arena *a;
	/* Called for each place that fits, scalar, map or list. */
	int (*set)(void *ctx, struct json *at, struct err *err);
	void *ctx;
	enum kcreate create;
};
bool kspec_fits(const struct kspec *s, const struct kid *id);
MUST_USE int kspec_visit(const struct kvisit *v, const struct kspec *s, struct kres *r,
			 struct err *err);
MUST_USE int kspecs_visit(const struct kvisit *v, const struct kspecs *l, struct kres *r,
			  struct err *err);
/* Keeps the present identity as a past one. */
void kres_remember(struct arena *a, struct kres *r);
/* The identity as written, before any change. */
struct kid kres_first(const struct kres *r);
bool kid_cluster_scoped(const struct kid *id);
/* Equal namespaces, as kustomize sees them: none is "default", cluster-wide is its own. */
bool kid_same_namespace(const struct kid *x, const struct kid *y);
void kres_remove_empty(struct kres_list *l);
/* A copy of a value that keeps its place and its children's; in quotes only where it needs them. */
struct json *kvalue(struct arena *a, const struct json *v);
/* JSON_F_QUOTED as it is of a text that kustomize itself writes. */
void kvalue_requote(struct json *v);

/* ---- steps ---- */
enum ksubjects { KSUBJECTS_DEFAULT, KSUBJECTS_NONE, KSUBJECTS_ALL };
struct knamespace {
	const struct json *value;
	const struct kspecs *specs;
	enum ksubjects subjects;
	bool unset_only;
};
MUST_USE int kustomize_namespace(struct arena *a, struct kres_list *l, const struct knamespace *n,
				 struct err *err);
MUST_USE int kustomize_affix(struct arena *a, struct kres_list *l, const struct kspecs *specs,
			     struct str affix, bool suffix);
/* Labels or annotations. */
MUST_USE int kustomize_pairs(struct arena *a, struct kres_list *l, const struct kspecs *specs,
			     const struct json *pairs, struct err *err);
MUST_USE int kustomize_image(struct arena *a, struct kres_list *l, const struct kspecs *specs,
			     const struct json *image, struct err *err);
MUST_USE int kustomize_replicas(struct arena *a, struct kres_list *l, const struct kspecs *specs,
				const struct json *entry, struct err *err);
/* A target of a ValueAddTransformer: {selector, fieldPath, filePathPosition}. */
MUST_USE int kustomize_value_add(struct arena *a, struct kres_list *l, struct str value,
				 const struct json *target, struct err *err);
/* References to names that layers changed. */
MUST_USE int kustomize_references(struct arena *a, struct kres_list *l, const struct kconfig *c,
				  struct err *err);
void kustomize_add_hashes(struct arena *a, struct kres_list *l);
MUST_USE int kustomize_sort(struct arena *a, struct kres_list *l, const struct json *options,
			    struct err *err);

/* ---- patches (patch.c, merge.c) ---- */
struct schema;
/* Types out of an OpenAPI file, instead of the built-in ones (openapi.c). */
struct ktypes;
struct ktypes *ktypes_read(struct arena *a, const struct json *file, struct err *err);
/* t NULL = the built-in types; NULL when the kind is not known. */
const struct schema *ktypes_find(const struct ktypes *t, struct str api_version, struct str kind);

struct kpatch {
	/* Documents of a strategic merge patch, or the operations of a JSON patch. */
	struct json **docs;
	size_t ndocs;
	const struct json *ops;
	const struct json *target;  /* selector or NULL */
	const struct ktypes *types; /* NULL = built in */
	const struct json *options; /* {allowNameChange, allowKindChange} or NULL */
	/* A scalar of docs as it was written; NULL = as JSON writes it. */
	struct str (*text)(void *ctx, const struct json *v);
	void *ctx;
};
MUST_USE int kustomize_patch(struct arena *a, struct kres_list *l, const struct kpatch *p,
			     struct err *err);
/*
 * Strategic merge as kustomize does it: lists with keys are merged, items of the patch stand first;
 * everything else is replaced; null removes. `to` is changed; *ret_gone when the patch deletes it.
 * What stood in quotes stays a text, whatever the patch puts there.
 */
struct kmerge {
	struct arena *a;
	const struct schema *type; /* NULL = not known */
	const struct kpatch *p;    /* for its text */
};
MUST_USE int kustomize_merge(const struct kmerge *how, struct json *to, const struct json *patch,
			     bool *ret_gone, struct err *err);

#endif
