/* `plumb kubelet`: one role. */
#include "kubelet/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_kubelet = {
	.name = "kubelet", .help = "run a node's agent", .main = kubelet_main};
