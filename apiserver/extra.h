/*
 * What is said of a user besides name, uid and groups: by which credential they came, which pod a
 * token is bound to, whatever a proxy or an impersonator adds. Nothing here decides by it; it goes
 * to those who may. Pure; any thread; memory is the caller's arena.
 */
#ifndef PLUMB_APISERVER_EXTRA_H
#define PLUMB_APISERVER_EXTRA_H

#include "apiserver/admission/admission.h"
#include "lib/http/http.h"

#define EXTRA_CREDENTIAL "authentication.kubernetes.io/credential-id"
#define EXTRA_NODE_NAME "authentication.kubernetes.io/node-name"
#define EXTRA_NODE_UID "authentication.kubernetes.io/node-uid"
#define EXTRA_POD_NAME "authentication.kubernetes.io/pod-name"
#define EXTRA_POD_UID "authentication.kubernetes.io/pod-uid"

/* What strangers may say of one user, in headers. */
#define EXTRA_VALUES_MAX 64
#define EXTRA_BYTES_MAX 16384

/* Adds what headers PREFIX+KEY say; a key is taken in small letters, then unescaped. Values point
 * into the headers, whose names are ASCII. ERR_BAD_REQUEST when it is too much. */
MUST_USE int user_extra_read(struct arena *a, const struct http_headers *h, struct str prefix,
			     struct admission_user *u, struct err *err);
/* Sets the credential's id alone: "JTI=…", "X509SHA256=…". */
void user_extra_credential(struct arena *a, struct str id, struct admission_user *u);
/* A key as the end of a header's name. */
struct str user_extra_escape(struct arena *a, struct str key);

/* The member "extra" of an object that is being written, with its comma; nothing when there is
 * none. */
void user_extra_write(const struct admission_user *u, struct buf *out);
/* The same in a tree. */
void user_extra_put(struct arena *a, const struct admission_user *u, struct json *to);

#endif
