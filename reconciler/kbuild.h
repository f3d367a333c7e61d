/*
 * Building kustomizations: layers over layers. Private to render_kustomize.c and kbuild_*.c. All of
 * it is pure; files come through struct render.
 */
#ifndef PLUMB_RECONCILER_KBUILD_H
#define PLUMB_RECONCILER_KBUILD_H

#include "reconciler/kustomize/engine.h"
#include "reconciler/render-internal.h"

/* What has been gathered so far: the resources, and what the layers' configurations said. */
struct klayer {
	struct kres_list l;
	struct kconfig *config;
	struct json *vars;
};

/* One kustomization on its way. */
struct kbuild {
	struct render *r;
	struct arena *a;
	struct str dir;
	uint32_t file;            /* the kustomization.yaml */
	const struct json *k;     /* what it says, old spellings made new */
	const struct kres *maker; /* the configuration that generates, or NULL */
	bool component;           /* works on the resources of whom it stands in */
	struct kfiles files;      /* relative to dir */
	struct klayer *to;
	const struct kbuild *up;
	unsigned depth;
};

/* Puts "file:line: " before what a step said. `at` is the value that it is about. */
int kbuild_blame(struct kbuild *b, const struct json *at, const struct err *why, struct err *err);

/* ---- kbuild_files.c ---- */
/* dir + "/" + name, with ".." taken away; NULL when it leaves the root. */
char *kbuild_join(struct arena *a, struct str dir, struct str name);
bool kbuild_is_remote(struct str name);
/* A file of the repository; read once however often it is asked for. */
MUST_USE int kbuild_file(struct render *r, struct str path, const struct git_file **ret,
			 struct err *err);
/* The kustomization of a folder: *ret NULL when it has none. */
MUST_USE int kbuild_find(struct render *r, struct str dir, const struct git_file **ret,
			 struct err *err);
struct kfiles kbuild_files(struct kbuild *b);
/* All documents of a YAML file, a list of them spread out. */
MUST_USE int kbuild_parse(struct render *r, const struct git_file *f, struct yaml_docs *ret,
			  struct err *err);
/* A scalar as it stands in its file, or as JSON writes it. In r's arena. */
struct str kbuild_text(struct render *r, const struct json *v);
/* The resources that a manifest declares, added to l. */
MUST_USE int kbuild_manifest(struct render *r, const struct git_file *f, struct kres_list *l,
			     struct err *err);

/* ---- kbuild_fields.c ---- */
/* Refuses what isn't known, and writes old spellings as new ones (bases, imageTags, …). */
MUST_USE int kbuild_normalize(struct kbuild *b, const struct json *k, struct err *err);
/* What a Flux Kustomization says beside its path, written into the kustomization at that path. */
struct json *kbuild_overlay(struct arena *a, const struct json *k, const struct render_opts *o);
bool kbuild_has_overlay(const struct render_opts *o);

/* ---- kbuild_steps.c ---- */
MUST_USE int kbuild_generate(struct kbuild *b, struct err *err);
MUST_USE int kbuild_transform(struct kbuild *b, struct err *err);

/* ---- kbuild_patch.c ---- */
MUST_USE int kbuild_patches(struct kbuild *b, struct err *err);
MUST_USE int kbuild_patches6902(struct kbuild *b, struct err *err);
/* One entry {path | patch, target, options}. */
MUST_USE int kbuild_patch(struct kbuild *b, const struct json *entry, struct err *err);

/* ---- kbuild_plugin.c ---- */
/* generators, transformers, validators: configurations of what is built in. */
MUST_USE int kbuild_plugins(struct kbuild *b, const char *field, struct err *err);

/* ---- render_kustomize.c ---- */
/* Whatever the entries (files and folders) name, into `to`. */
MUST_USE int kbuild_resources(struct kbuild *b, const struct json *entries, struct klayer *to,
			      struct err *err);

/* ---- kbuild_finish.c: once, when all layers are done ---- */
MUST_USE int kbuild_finish(struct kbuild *b, struct err *err);

#endif
