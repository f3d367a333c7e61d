/* `plumb give GID DIR…`: gives volumes to a pod's group; not for people. */
#include "cli/verbs/verb.h"
#include "kubelet/main.h"

const struct verb verb_give = {.name = "give", .help = NULL, .main = kubelet_give_main};
