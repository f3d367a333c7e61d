/* Shared by the render_*.c files. */
#ifndef PLUMB_RECONCILER_RENDER_INTERNAL_H
#define PLUMB_RECONCILER_RENDER_INTERNAL_H

#include "lib/base/map.h"
#include "reconciler/render.h"

#define KUSTOMIZE_DEPTH_MAX 32

struct kconfig;
struct ktypes;
struct render {
	struct arena *a;
	const struct render_env *env;
	const struct render_opts *o;
	struct rendered *out;
	size_t cap, files_cap;
	struct map seen;    /* identity → object number + 1 */
	unsigned depth;     /* of kustomizations within kustomizations */
	struct map numbers; /* path → number of the file + 1 */
	struct map loaded;  /* path → struct git_file: what kustomizations read */
	size_t nread;       /* objects that kustomizations read */
	unsigned nhooks;    /* hooks that were given a name */
	struct kconfig *defaults;
	const struct ktypes *types; /* of `openapi`; NULL = built in */
	bool types_said;
	struct render_binding *bindings; /* render_bind.c */
	size_t nbindings;
};

/* Parses one file and adds what it declares. */
MUST_USE int render_file(struct render *r, const struct git_file *f, struct err *err);
/* Opens what sops encrypted, in place. */
MUST_USE int render_decrypt(struct render *r, uint32_t file, const struct yaml_docs *docs,
			    struct err *err);
/* The same for a file that is no manifest; *ret is f->data when it isn't encrypted. */
MUST_USE int render_decrypt_bytes(struct render *r, const struct git_file *f, struct str *ret,
				  struct err *err);
/* ---- render_bind.c ---- */
/* Before its documents are opened: which of them are bound. In r->a, as long as docs. */
MUST_USE int render_bind_look(struct render *r, uint32_t file, const struct yaml_docs *docs,
			      bool **ret, struct err *err);
/* Afterwards: takes the annotations out, notes what they say. */
MUST_USE int render_bind_note(struct render *r, uint32_t file, const struct yaml_docs *docs,
			      const bool *bound, struct err *err);
/* Refuses an opened file of which something is bound: a generator or a patch takes it whole. */
MUST_USE int render_bind_refuse(struct render *r, uint32_t file, struct str plain, struct err *err);
/* Refuses an object, with the name that it will have, that holds what is bound to another. */
MUST_USE int render_bind_check(struct render *r, const struct rendered_object *o, struct err *err);

/* A Secret's data may be whole files that sops encrypted (kubectl create secret --from-file). */
MUST_USE int render_decrypt_data(struct render *r, const struct rendered_object *o,
				 struct err *err);
/* Everything below a folder, or what its kustomization.yaml names. */
MUST_USE int render_folder(struct render *r, const struct git_files *files, struct str dir,
			   struct err *err);
/* What a kustomization builds; `k` is what it says where that isn't f's text. */
MUST_USE int render_kustomized(struct render *r, const struct git_file *f, struct str dir,
			       const struct json *k, struct err *err);
/* Plain manifests with a Kustomization's own patches, images and so on over them. */
MUST_USE int render_overlaid(struct render *r, const struct git_files *files, struct str dir,
			     struct err *err);
/* An object, or the items of a List, as results. */
MUST_USE int render_add(struct render *r, struct json *v, const struct rendered_object *at,
			struct err *err);
/* Refuses what has no apiVersion, kind or name. */
MUST_USE int render_check_shape(struct render *r, struct json *v, const struct rendered_object *o,
				struct err *err);
/* "line L, column C: why" of a parser becomes "file:L: why". */
int render_parse_failed(struct render *r, uint32_t file, const struct err *why, struct err *err);
bool render_is_kustomization(struct str name);
/* Registers a file; its number is what srcs speak of. */
uint32_t render_file_number(struct render *r, const struct git_file *f);
/* "file:line: …", line 0 leaves it out. Returns -1. */
int render_fail(struct render *r, uint32_t file, uint32_t line, struct err *err, const char *fmt,
		...) PRINTF_LIKE(5, 6);
uint32_t render_line(const struct render *r, const struct json *v, uint32_t otherwise);

/* ---- changes to trees ---- */
void render_metadata(struct arena *a, struct json *object, const struct json *labels,
		     const struct json *annotations);
/* Replaces ${…} in every text below v. */
MUST_USE int render_substitute(struct render *r, struct json *v, struct err *err);
/* Secret: stringData into data, as the server does. */
void render_secret(struct arena *a, struct json *object);

/* ---- render_argo.c ---- */
void render_name_hook(struct render *r, struct json *v);
MUST_USE int render_pick_files(struct render *r, struct git_files *files, struct str dir,
			       struct err *err);
/* Its kind may be unknown yet. */
bool render_may_be_missing(const struct render_opts *o, const struct json *object);
void render_tracking(struct arena *a, struct json *object, struct str app);
void render_overlay(struct arena *a, struct json *k, const struct json *overlay);

#endif
