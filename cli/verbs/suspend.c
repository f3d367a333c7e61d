/* `plumb suspend NAME`: leaves a Kustomization's objects alone until it is resumed. */
#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"

static int suspend_main(int argc, char **argv)
{
	return unitverb_suspend(argc, argv, true);
}

const struct verb verb_suspend = {
	.name = "suspend", .help = "stop applying a Kustomization", .main = suspend_main};
