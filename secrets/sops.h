/*
 * Reading SOPS files with age recipients: bytes or trees in, the same in clear out. Pure. The MAC
 * is checked over the file's own bytes, so this comes before any transformation.
 * Specification: getsops/sops 3.13 (formats YAML, JSON, dotenv, binary).
 */
#ifndef PLUMB_SECRETS_SOPS_H
#define PLUMB_SECRETS_SOPS_H

#include "lib/json/yaml.h"
#include "secrets/age.h"

/* What is wrong but leaves the values readable: whether to go on is the caller's policy. */
struct sops_report {
	bool mac_ok;
	struct err mac; /* why not */
};

/* True when a file's first document carries SOPS metadata. */
bool sops_is_encrypted(const struct json *doc);

/* A file that was parsed with its positions. */
struct sops_docs {
	const struct age_keys *keys;
	struct str text;              /* what docs were parsed from */
	const struct yaml_srcs *srcs; /* may be NULL: scalars count by their JSON types */
	const struct yaml_docs *docs; /* all documents of the file */
};
/* Decrypts values in place (their provenance stays) and takes the metadata out. Errors name the
 * path, never a value; then some values may be decrypted already: drop the tree. */
MUST_USE int sops_open_docs(struct arena *a, const struct sops_docs *d, struct sops_report *ret,
			    struct err *err);

/* INI is refused, by name: nothing in Kubernetes reads it. */
enum sops_format { SOPS_YAML, SOPS_JSON, SOPS_DOTENV, SOPS_BINARY, SOPS_INI };
/* By a file's name, as sops does. */
enum sops_format sops_format_of(struct str path);
struct sops_file {
	const struct age_keys *keys;
	enum sops_format format;
	struct str bytes;
};
/* Appends the plain file as sops prints it, to the byte; after an error `out` is as it was. Wipe
 * it. */
MUST_USE int sops_open_bytes(const struct sops_file *f, struct buf *out, struct sops_report *ret,
			     struct err *err);

#endif
