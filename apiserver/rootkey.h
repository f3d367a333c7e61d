/*
 * Where the root of what is encrypted at rest comes from: a file of ours, a credential that systemd
 * hands over, or what a command prints (a TPM, a key service). Blocking, at start.
 */
#ifndef PLUMB_APISERVER_ROOTKEY_H
#define PLUMB_APISERVER_ROOTKEY_H

#include "secrets/atrest.h"

struct rootkey {
	const char
		*source; /* "file:PATH", "credential:NAME", "command:PROGRAM ARG…"; NULL = ours */
	const char *usual; /* DIR/root.key */
	bool create;       /* there is no store yet: a missing file is made */
};
/* NULL with an error that says what to do. */
struct atrest *rootkey_load(const struct rootkey *k, struct err *err);
/* A new key in front, where that is ours to do: ERR_UNSUPPORTED for others than files. */
MUST_USE int rootkey_rotate(const struct rootkey *k, struct err *err);

#endif
