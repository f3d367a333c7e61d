/*
 * Fetches one image from its registry into the store: manifest, configuration and the layers that
 * aren't there yet, as an OCI layout, which image_load then checks digest by digest. Must never
 * believe a registry: what is asked for by digest is compared, sizes are bounded, and credentials
 * go to the image's own registry only. Blocking, for a helper process; memory is an arena of the
 * call.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/image/image-internal.h"
#include "kubelet/image/unpack.h"
#include "lib/http/oci.h"
#include "lib/os/fs.h"

struct pull {
	struct arena *a;
	const char *dir; /* the store */
	struct str normal, host, repo, tag;
	struct oci_name name;
	struct oci_http *http;
	char *stage;
	struct str root; /* digest that the tag means */
	struct str digest;
	const struct json *manifest;
};

/* A registry of the machine's own may speak plainly, as for docker. */
static bool is_loopback(struct str host)
{
	struct str name, port;

	if (!str_rcut(host, ':', &name, &port))
		name = host;
	return str_is(name, "localhost") || str_starts(name, STR("127.")) || str_is(name, "[::1]");
}

static int stage_blob(const struct pull *p, struct str digest, struct str text, struct err *err)
{
	AUTO(free)
	char *path =
		xasprintf("%s/blobs/sha256/%.*s", p->stage, STR_ARG(str_sub(digest, 7, digest.n)));

	return fs_write(path, text, 0600, err);
}

/* ---- manifests ---- */

/* GET manifests/WHAT; *ret_digest is that of the bytes. */
static int get_manifest(struct pull *p, struct str what, struct str *ret_digest, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	char digest[OCI_DIGEST_TEXT];

	if (oci_http_get(p->http, arena_printf(p->a, "manifests/%.*s", STR_ARG(what)),
			 OCI_MANIFEST_MAX, &body, NULL, err))
		return -1;
	oci_digest(buf_view(&body), digest);
	if (oci_digest_valid(what) && !str_is(what, digest))
		return err_set(err, ERR_CORRUPT, "the manifest is not the one of %.*s",
			       STR_ARG(what));
	*ret_digest = arena_str(p->a, str_c(digest));
	p->manifest = json_parse(p->a, arena_str(p->a, buf_view(&body)), NULL, err);
	if (!p->manifest)
		return err_wrap(err, "the manifest");
	return p->stage ? stage_blob(p, *ret_digest, buf_view(&body), err) : 0;
}

/* Of an index: the manifest for machines like this one. */
static int choose(const struct pull *p, struct str *ret, struct err *err)
{
	const struct json *list = json_at(p->manifest, "manifests");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *d = json_item(list, i), *on = json_at(d, "platform");
		struct str os = json_str_or(json_at(on, "os"), STR("linux")),
			   arch = json_str_or(json_at(on, "architecture"),
					      str_c(image_architecture()));
		*ret = json_str(json_at(d, "digest"));
		if (str_is(os, "linux") && str_is(arch, image_architecture()) &&
		    oci_digest_valid(*ret))
			return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no match for platform linux/%s in the manifest",
		       image_architecture());
}

/* What the name means, with these credentials. */
static int ask(struct pull *p, const struct json *auth, struct err *err)
{
	struct json *request = json_new(p->a, JSON_OBJECT);

	json_set_bool(p->a, request, "insecure", is_loopback(p->host));
	if (auth)
		json_set(p->a, request, STR("auth"), auth);
	oci_http_free(p->http);
	p->http = NULL;
	return oci_http_new(p->a, request, &p->name, &p->http, err) ||
			       get_manifest(p, p->tag, &p->root, err)
		       ? -1
		       : 0;
}

/* Each credential in turn; nobody's at last. */
static int log_in_and_ask(struct pull *p, const struct json *auths, struct err *err)
{
	for (size_t i = 0; i < json_len(auths); i++) {
		*err = (struct err){0};
		if (!ask(p, json_item(auths, i), err))
			return 0;
		if (err->code != ERR_UNAUTHORIZED && err->code != ERR_NOT_FOUND &&
		    err->code != ERR_INVALID)
			return -1;
	}
	*err = (struct err){0};
	return ask(p, NULL, err);
}

/* ---- what it consists of ---- */

static int get_layer(struct pull *p, const struct json *layer, struct err *err)
{
	struct str digest = json_str(json_at(layer, "digest"));

	if (!oci_digest_valid(digest))
		return err_set(err, ERR_CORRUPT, "a layer has no sha256 digest");
	AUTO(free)
	char *path =
		xasprintf("%s/blobs/sha256/%.*s", p->stage, STR_ARG(str_sub(digest, 7, digest.n)));
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	return oci_http_save(p->http, arena_printf(p->a, "blobs/%.*s", STR_ARG(digest)),
			     LAYER_BYTES_MAX, fd, err);
}

static int get_parts(struct pull *p, struct err *err)
{
	const struct json *layers = json_at(p->manifest, "layers"), *ids;
	struct str config = json_str(json_at(p->manifest, "config", "digest"));
	AUTO(buf) struct buf text = {0};
	char digest[OCI_DIGEST_TEXT];

	if (!oci_digest_valid(config) || !json_len(layers) || json_len(layers) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_CORRUPT, "the manifest is not that of an image");
	if (oci_http_get(p->http, arena_printf(p->a, "blobs/%.*s", STR_ARG(config)),
			 IMAGE_CONFIG_MAX, &text, NULL, err))
		return -1;
	oci_digest(buf_view(&text), digest);
	if (!str_is(config, digest))
		return err_set(err, ERR_CORRUPT, "the configuration is not what its digest says");
	ids = json_at(json_parse(p->a, arena_str(p->a, buf_view(&text)), NULL, err), "rootfs",
		      "diff_ids");
	if (json_len(ids) != json_len(layers))
		return err_set(err, ERR_CORRUPT, "the image's layers do not fit its configuration");
	if (stage_blob(p, config, buf_view(&text), err))
		return -1;
	for (size_t i = 0; i < json_len(layers); i++) {
		if (!image_has_layer(p->dir, json_str(json_item(ids, i))) &&
		    get_layer(p, json_item(layers, i), err))
			return -1;
	}
	return 0;
}

static int write_index(const struct pull *p, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	AUTO(free) char *path = xasprintf("%s/index.json", p->stage);
	struct json *list = json_new(p->a, JSON_ARRAY);

	json_append(p->a, list, json_build(p->a, "{s:S}", "digest", p->digest));
	json_write(json_build(p->a, "{s:i, s:o}", "schemaVersion", 2, "manifests", list), &text);
	return fs_write(path, buf_view(&text), 0600, err);
}

static int fetch(struct pull *p, struct err *err)
{
	AUTO(free) char *blobs = NULL;

	p->stage = arena_printf(p->a, "%s/tmp/pull-XXXXXX", p->dir);
	if (!mkdtemp(p->stage)) {
		p->stage = NULL;
		return err_sys(err, "make a folder in %s/tmp", p->dir);
	}
	blobs = xasprintf("%s/blobs/sha256", p->stage);
	if (fs_mkdirs(blobs, 0700, err))
		return -1;
	p->digest = p->root;
	if (json_at(p->manifest, "manifests") && choose(p, &p->digest, err))
		return -1;
	/* Once more, now that there is a place for it. */
	if (get_manifest(p, p->digest, &p->digest, err) || get_parts(p, err) ||
	    write_index(p, err) || image_load(p->dir, p->stage, p->normal, NULL, NULL, err))
		return -1;
	return image_set_pulled(p->dir, p->normal, p->root, err);
}

static int pull(struct pull *p, const struct json *auths, bool *ret_fetched, struct err *err)
{
	AUTO(free) char *url = NULL;
	AUTO(buf) struct buf had = {0};
	struct image img;
	int rc;

	image_name_split(p->normal, &p->host, &p->repo, &p->tag);
	url = xasprintf("oci://%.*s/%.*s", STR_ARG(p->host), STR_ARG(p->repo));
	if (oci_name_parse(p->a, str_c(url), &p->name, err) || log_in_and_ask(p, auths, err))
		return -1;
	*ret_fetched = !(image_pulled(p->dir, p->normal, &had) && str_eq(buf_view(&had), p->root) &&
			 !image_find(p->a, p->dir, p->normal, &img, &(struct err){0}));
	rc = *ret_fetched ? fetch(p, err) : 0;
	if (p->stage)
		(void)!fs_remove_tree(p->stage, NULL);
	return rc;
}

int image_pull(const char *dir, struct str name, const struct json *auths, bool *ret_fetched,
	       struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct pull p = {.a = &a, .dir = dir};
	int rc;

	if (image_name_normal(&a, name, &p.normal, err) || image_store_init(dir, err))
		return -1;
	rc = pull(&p, auths, ret_fetched, err);
	oci_http_free(p.http);
	return rc;
}
