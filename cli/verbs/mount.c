/* `plumb mount DEVICE TYPE DIR…`: mounts devices that are a pod's volumes; not for people. */
#include "cli/verbs/verb.h"
#include "kubelet/main.h"

const struct verb verb_mount = {.name = "mount", .help = NULL, .main = kubelet_mount_main};
