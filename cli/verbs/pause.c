/* `plumb pause FILE`: the first process of a pod that shares its processes; not for people. */
#include "cli/verbs/verb.h"
#include "kubelet/main.h"

const struct verb verb_pause = {.name = "pause", .help = NULL, .main = kubelet_pause_main};
