/* Archives as commits: what comes as a tarball is rendered like what comes by git. Helper only. */
#ifndef PLUMB_RECONCILER_GITUNPACK_H
#define PLUMB_RECONCILER_GITUNPACK_H

#include "reconciler/git.h"

#define UNPACK_FILES_MAX 100000
#define UNPACK_FILE_MAX (64u << 20)
#define UNPACK_BYTES_MAX (UINT64_C(512) << 20)

/*
 * Puts the files of a tar archive, compressed or not, into the bare repository at `mirror` (made
 * when it isn't there); equal files give an equal commit. ERR_INVALID names what leads out of the
 * archive, ERR_LIMIT what is too much.
 */
MUST_USE int gitunpack(const char *mirror, struct str archive, char ret_commit[GIT_OID_TEXT],
		       struct err *err);

#endif
