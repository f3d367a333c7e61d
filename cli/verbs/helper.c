/* `plumb helper WHAT`: what roles start for themselves; not for people. */
#include "cli/verbs/verb.h"
#include "reconciler/main.h"

const struct verb verb_helper = {.name = "helper", .help = NULL, .main = reconciler_helper_main};
