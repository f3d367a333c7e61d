/* `plumb image`: what containers are made from, without a registry. */
#include "kubelet/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_image = {.name = "image",
				.help = "load, import, list and remove images",
				.main = kubelet_image_main};
