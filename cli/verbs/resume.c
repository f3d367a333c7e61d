/* `plumb resume NAME`: applies a suspended Kustomization again. */
#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"

static int resume_main(int argc, char **argv)
{
	return unitverb_suspend(argc, argv, false);
}

const struct verb verb_resume = {
	.name = "resume", .help = "apply a suspended Kustomization again", .main = resume_main};
