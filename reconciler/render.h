/*
 * From files to objects. Pure: files come through a callback, what kinds there are through
 * another, and every value keeps the place it was read from (json.src, rows in `srcs`).
 * Errors read "file:line: reason". Everything lives in the caller's arena but `srcs`.
 */
#ifndef PLUMB_RECONCILER_RENDER_H
#define PLUMB_RECONCILER_RENDER_H

#include "lib/json/yaml.h"
#include "reconciler/git.h"

#define UNIT_LABEL_NAME "kustomize.toolkit.fluxcd.io/name"
#define UNIT_LABEL_NAMESPACE "kustomize.toolkit.fluxcd.io/namespace"
#define UNIT_PRUNE "kustomize.toolkit.fluxcd.io/prune"
#define UNIT_SSA "kustomize.toolkit.fluxcd.io/ssa"
#define UNIT_RECONCILE "kustomize.toolkit.fluxcd.io/reconcile"
#define UNIT_FORCE "kustomize.toolkit.fluxcd.io/force"
#define UNIT_SUBSTITUTE "kustomize.toolkit.fluxcd.io/substitute"
#define OBJECTS_MAX 20000

enum render_scope { SCOPE_UNKNOWN, SCOPE_CLUSTER, SCOPE_NAMESPACED };

struct render_env {
	/* Manifests at a path (folder or file) of the revision. */
	int (*load)(void *ctx, const char *path, struct git_files *ret, struct err *err);
	enum render_scope (*scope)(void *ctx, struct str api_version, struct str kind);
	void *ctx;
};

struct render_var {
	struct str name, value;
	bool sensitive;
};

struct age_keys;

/* Patterns are relative to the path. */
struct render_pick {
	bool recurse;
	struct str include, exclude;
};

struct render_opts {
	const char *path;                     /* clean; "" = root */
	struct str unit_namespace, unit_name; /* go into labels; STR_NONE name = no labels */
	struct str target_namespace;          /* STR_NONE = as written */
	const struct json *common_metadata;   /* {labels, annotations} or NULL */
	/* What is added to the kustomization at the path, as Flux does; each may be empty. */
	const struct json *images, *patches, *components, *build_metadata;
	bool missing_components; /* of components, those that aren't there are left out */
	struct str name_prefix, name_suffix;
	/* What Applications say beside that. */
	const struct json *overlay;   /* fields of a kustomization that are added to it */
	struct str default_namespace; /* of objects that name none */
	struct str hook_suffix;       /* of hooks that have metadata.generateName alone; or none */
	struct str tracked_as;        /* goes into an annotation; STR_NONE = no annotation */
	const struct render_pick *pick; /* which files of a folder; NULL = all */
	bool missing_ok;                /* kinds may come later */
	bool substitute;
	const struct age_keys *keys; /* for files encrypted with sops, or NULL */
	bool build_only;             /* objects as the manifests say them: no labels, no checks */
	bool broken_mac_ok;          /* a MAC that does not fit is told, not refused */
	bool must_bind;              /* what sops encrypted says what it is for, or is refused */
	const struct render_var *vars;
	size_t nvars;
};

struct rendered_object {
	struct json *tree; /* what is applied; the caller's to change */
	struct str api_version, group, version, kind, namespace, name;
	struct str id;  /* namespace_name_group_kind, as in a Kustomization's inventory */
	uint32_t file;  /* index into files */
	uint32_t line;  /* where the object begins, from 1 */
	uint32_t doc;   /* document in the file */
	uint32_t begin; /* its first byte */
	bool lone;      /* it is a whole document, not an item of a List */
	bool layered;   /* a kustomization made it: values may be said elsewhere */
	bool shifted;   /* a patch may have moved its lists' items */
	bool served; /* the server knows its kind already (else a CRD of this revision makes it) */
};

struct rendered {
	struct rendered_object *v;
	size_t n;
	struct git_files files; /* every file read, by the numbers in srcs */
	struct yaml_srcs srcs;
	struct str broken; /* "file:line: why" of the first file whose MAC does not fit */
	size_t nbroken;
};
void rendered_release(struct rendered *r);

/* ERR_NOT_FOUND with an unknown kind: ask the server anew and try again before giving up. */
MUST_USE int render(struct arena *a, const struct render_env *env, const struct render_opts *o,
		    struct rendered *ret, struct err *err);

/* "file:line" of an object, for messages. */
struct str rendered_place(struct arena *a, const struct rendered *r,
			  const struct rendered_object *o);
/*
 * "file:line" of the field that a server's message speaks of ("spec.template.spec.containers[0].x",
 * "spec.replcas"): as deep as the path can be followed; else the object's own place.
 */
struct str rendered_field_place(struct arena *a, const struct rendered *r,
				const struct rendered_object *o, struct str field);
/* The field named in a server's message, or STR_NONE: `unknown field "spec.x"`, `.spec.x: …`. */
struct str message_field(struct str message);

#endif
