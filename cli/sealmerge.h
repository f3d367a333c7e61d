/* Puts one sealed value into the text of a SealedSecret's file, leaving every other byte alone.
 * Pure. */
#ifndef PLUMB_CLI_SEALMERGE_H
#define PLUMB_CLI_SEALMERGE_H

#include "secrets/seal.h"

/* The file must hold exactly one SealedSecret; the value is bound to its namespace, name and scope.
 */
struct sealmerge {
	const struct seal_pub *pub;
	struct str key, plain;
};
MUST_USE int sealmerge(struct str text, const struct sealmerge *m, struct buf *out,
		       struct err *err);

#endif
