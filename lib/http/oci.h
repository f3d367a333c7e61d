/*
 * OCI registries, as clients of their distribution API: names, credentials, what a manifest says
 * (oci_ref.c, pure), and requests (oci_http.c, blocking: for helper processes only).
 * Specification: OCI distribution and image specifications 1.1; Docker's token authentication.
 */
#ifndef PLUMB_HTTP_OCI_H
#define PLUMB_HTTP_OCI_H

#include "lib/json/json.h"

#define OCI_MANIFEST_MAX (4u << 20)
#define OCI_LAYER_MAX (128u << 20)
#define OCI_TAGS_PAGES_MAX 50
#define OCI_DIGEST_TEXT 72 /* sha256:… and NUL */

/* ---- oci_ref.c ---- */

struct oci_name {
	const char *host; /* with port, as credentials are filed */
	const char *api;  /* the same, or where Docker Hub really is */
	const char *path; /* repository */
};
/* "oci://host[:port]/repository" */
MUST_USE int oci_name_parse(struct arena *a, struct str url, struct oci_name *ret, struct err *err);
bool oci_tag_valid(struct str tag);
bool oci_digest_valid(struct str digest); /* sha256 only */
void oci_digest(struct str bytes, char ret[OCI_DIGEST_TEXT]);

/* What a pull Secret (.dockerconfigjson), or one with username and password, has for a host; both
 * NULL when nothing. */
struct oci_login {
	const char *username, *password;
};
MUST_USE int oci_login_find(struct arena *a, const struct json *auth, const char *host,
			    struct oci_login *ret, struct err *err);

/* WWW-Authenticate: Bearer realm="…",service="…",scope="…" */
struct oci_challenge {
	bool basic, bearer;
	struct str realm, service, scope;
};
void oci_challenge_parse(struct str header, struct oci_challenge *ret);
/* Where the next page of tags is: the path of a Link header, STR_NONE when there is none. */
struct str oci_link_next(struct str header);

struct oci_layer {
	struct str digest, media_type;
	uint64_t size;
};
/* The layer that selector {mediaType} means. */
MUST_USE int oci_layer_choose(const struct json *manifest, const struct json *selector,
			      struct oci_layer *ret, struct err *err);
/* In an index: the manifest to go on with, for linux/amd64 or the first. STR_NONE = no index. */
struct str oci_index_choose(const struct json *index);

/* ---- oci_http.c ---- */

struct oci_http;
/* request: {insecure, cert, auth: {proxy}}; as below. */
MUST_USE int oci_http_new(struct arena *a, const struct json *request, const struct oci_name *name,
			  struct oci_http **ret, struct err *err);
void oci_http_free(struct oci_http *h);
/*
 * GET /v2/NAME/what, at most max bytes, logging in where that is asked for. link may be NULL; gets
 * the Link header, in the arena.
 */
MUST_USE int oci_http_get(struct oci_http *h, const char *what, size_t max, struct buf *ret,
			  struct str *ret_link, struct err *err);
/* The same into a file, for what is too big to be held. */
MUST_USE int oci_http_save(struct oci_http *h, const char *what, uint64_t max, int fd,
			   struct err *err);

#endif
