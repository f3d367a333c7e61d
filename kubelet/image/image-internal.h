/* What the files of the image store share. */
#ifndef PLUMB_KUBELET_IMAGE_INTERNAL_H
#define PLUMB_KUBELET_IMAGE_INTERNAL_H

#include "kubelet/image/image.h"

/* Go's name of this machine's architecture: "amd64". */
const char *image_architecture(void);
/* Unpacks an uncompressed tar whose sha256 is hex into the store, unless it is there. The lock is
 * held. */
MUST_USE int image_layer_add(const char *dir, const char *tar, const char *hex, struct err *err);

#endif
