/* How many sealed values are under which key, for `plumb keys`. Blocking. */
#ifndef PLUMB_CLI_KEYUSES_H
#define PLUMB_CLI_KEYUSES_H

#include "lib/kube/client.h"
#include "secrets/seal.h"

enum { KEYUSES_MAX = 1000 };

struct keyuse {
	char id[SEAL_ID_TEXT];
	uint64_t cluster, repositories; /* SealedSecrets' values; manifests' */
};
struct keyuses {
	struct keyuse v[KEYUSES_MAX];
	size_t n;
	size_t unseen; /* repositories that nobody counts in */
};
MUST_USE int keyuses_find(struct client *c, struct keyuses *ret, struct err *err);
/* Zeros for a key that seals nothing. */
struct keyuse keyuses_of(const struct keyuses *u, const uint8_t id[SEAL_ID_BYTES]);

#endif
