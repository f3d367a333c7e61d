/* `plumb apiserver`: one role. */
#include "apiserver/main.h"

#include "cli/verbs/verb.h"

const struct verb verb_apiserver = {
	.name = "apiserver", .help = "run the API server", .main = apiserver_main};
