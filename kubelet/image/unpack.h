/* Layer archives: bytes to a folder in overlayfs' form, and back. Blocking; used by the command
 * line's process. */
#ifndef PLUMB_KUBELET_UNPACK_H
#define PLUMB_KUBELET_UNPACK_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define LAYER_BYTES_MAX (INT64_C(16) << 30)
#define LAYER_FILES_MAX 2000000

/*
 * Applies the (uncompressed) tar file to the folder: nothing is written outside it, whiteouts
 * become overlayfs', device files are left out.
 */
MUST_USE int layer_unpack(const char *tar, const char *folder, struct err *err);
/* Decompresses src (gzip, zstd, … or plain) to dst; ret_hex: sha256 of what came out. */
MUST_USE int layer_expand(const char *src, const char *dst, char ret_hex[65], struct err *err);
/* Packs a tree into a tar file. */
MUST_USE int layer_pack(const char *folder, const char *tar, struct err *err);
/* sha256 of a file of any size. */
MUST_USE int file_sha256(const char *path, char ret_hex[65], struct err *err);

#endif
