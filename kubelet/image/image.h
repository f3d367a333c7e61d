/*
 * The image store, DIR/images, shared by the machine's nodes and the command line:
 *
 *   refs/<sha256 of name>     {"name", "id"}: which image a name means
 *   configs/<id>              the image's configuration, bytes as they were hashed
 *   layers/<32 hex>/fs        an unpacked layer, in overlayfs' own form (whiteouts, opaque)
 *   layers/<32 hex>/digest    its whole digest
 *   pulled/<sha256 of name>   the manifest's digest, of what came from a registry
 *   tmp/                      what is being made
 *   lock                      held (flock) by whoever changes the store
 *
 * Everything is put in place by rename, layers before configs before refs, so a kill at any
 * point leaves a store that is whole, and rubbish in tmp/ at worst. Blocking.
 */
#ifndef PLUMB_KUBELET_IMAGE_H
#define PLUMB_KUBELET_IMAGE_H

#include "lib/json/json.h"

#define IMAGE_LAYERS_MAX 100
#define IMAGE_CONFIG_MAX (4 << 20)
#define IMAGE_NAME_MAX 512
#define LAYER_NAME_MAX 36 /* "0123…/fs" */

struct image {
	struct str name, id;                 /* id: "sha256:…" */
	const struct json *config;           /* the whole configuration; ->config, ->rootfs … */
	struct str layers[IMAGE_LAYERS_MAX]; /* digests, lowest first */
	size_t nlayers;
};

/*
 * "busybox" → "docker.io/library/busybox:latest", as docker normalises. ERR_INVALID when it is no
 * image name.
 */
MUST_USE int image_name_normal(struct arena *a, struct str name, struct str *ret, struct err *err);
/* Registry host, repository and tag or digest of a normal name. */
void image_name_split(struct str normal, struct str *ret_host, struct str *ret_repo,
		      struct str *ret_tag);

/* Makes the folders; dir is DIR/images. */
MUST_USE int image_store_init(const char *dir, struct err *err);
/* ERR_NOT_FOUND when there is none of that name. ERR_CORRUPT when its bytes don't fit its digest.
 */
MUST_USE int image_find(struct arena *a, const char *dir, struct str name, struct image *ret,
			struct err *err);
/* Digest to the folder's name below layers/: "0123456789abcdef0123456789abcdef". */
MUST_USE int image_layer_dir(struct str digest, char out[LAYER_NAME_MAX], struct err *err);
/* A file of the image's file system as it would be seen (no whiteouts of folders above it), for
 * passwd and group. ERR_NOT_FOUND. */
MUST_USE int image_file(const char *dir, const struct image *img, const char *path, size_t max,
			struct buf *ret, struct err *err);

typedef int image_each_fn(void *arg, const struct image *img);
MUST_USE int image_each(const char *dir, image_each_fn *fn, void *arg, struct err *err);
/* Forgets the name; then what no name and no container needs. */
MUST_USE int image_remove(const char *dir, struct str name, struct err *err);
/* Bytes that the image's layers take on disk. */
int64_t image_size(const char *dir, const struct image *img);

/* ---- making ---- */
struct image_lock {
	int fd;
};
MUST_USE int image_lock(const char *dir, struct image_lock *ret, struct err *err);
void image_unlock(struct image_lock *l);
/* Writes the configuration and points `name` (normal) to it. Its layers must be there. */
MUST_USE int image_put(const char *dir, struct str name, struct str config, struct str *ret_id,
		       struct arena *a, struct err *err);
bool image_has_layer(const char *dir, struct str digest);
/* A new folder below tmp/; becomes layers/<digest> by image_layer_put. */
MUST_USE int image_layer_new(const char *dir, char **ret_path, struct err *err);
MUST_USE int image_layer_put(const char *dir, const char *staged, struct str digest,
			     struct err *err);

/* Reads a docker-archive or OCI archive (or an OCI layout directory); names: told one by one. */
MUST_USE int image_load(const char *dir, const char *file, struct str name_override,
			void (*loaded)(void *arg, struct str name, struct str id), void *arg,
			struct err *err);
/*
 * Fetches what the name means now from its registry, unless the store has just that. auths: logins,
 * {".dockerconfigjson": text} each, tried in order, then none. Blocking, for as long as it takes.
 */
MUST_USE int image_pull(const char *dir, struct str name, const struct json *auths,
			bool *ret_fetched, struct err *err);
/* Has the name's image come from a registry? Then *ret is the digest of its manifest. */
bool image_pulled(const char *dir, struct str normal, struct buf *ret);
/* Seconds since it was fetched; 0 when it wasn't. */
int64_t image_pulled_ago(const char *dir, struct str normal, int64_t now_ns);
MUST_USE int image_set_pulled(const char *dir, struct str normal, struct str digest,
			      struct err *err);
struct image_import {
	const char *name, *rootfs;
	const char *const *entrypoint, *const *cmd, *const *env; /* NULL-terminated, or NULL */
	const char *workdir, *user;
};
MUST_USE int image_import(const char *dir, const struct image_import *in, struct buf *ret_id,
			  struct err *err);

#endif
