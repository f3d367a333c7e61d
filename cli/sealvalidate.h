/* `plumb seal --validate`: whether a cluster could open what is sealed. Blocking. */
#ifndef PLUMB_CLI_SEALVALIDATE_H
#define PLUMB_CLI_SEALVALIDATE_H

#include "cli/sealkey.h"
#include "lib/json/yaml.h"

struct sealvalidate {
	const struct yaml_docs *docs;
	const struct seal_pub *pub; /* without a cluster: whose values they must be */
	/* A cluster to ask, which tries to open them: all that is sealed counts, names and scopes
	 * too. NULL = none. */
	const struct sealkey_opts *where;
};
/* Appends what is to be said when all is well. */
MUST_USE int sealvalidate(const struct sealvalidate *v, struct buf *out, struct err *err);

#endif
