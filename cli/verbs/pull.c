/* `plumb pull DIR`: fetches an image for a kubelet; not for people. */
#include "cli/verbs/verb.h"
#include "kubelet/main.h"

const struct verb verb_pull = {.name = "pull", .help = NULL, .main = kubelet_pull_main};
