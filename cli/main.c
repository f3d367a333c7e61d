/*
 * `plumb VERB …`: finds the verb and runs it. Nothing else happens here, so that a role's process
 * holds nothing that it doesn't use.
 */
#include <stdio.h>
#include <string.h>

#include "cli/verbs/verb.h"
#include "lib/base/fault.h"

static void usage(FILE *to)
{
	fprintf(to, "usage: plumb COMMAND [options]\n\n");
	for (size_t i = 0; verb_registry[i]; i++) {
		if (verb_registry[i]->help)
			fprintf(to, "  %-12s %s\n", verb_registry[i]->name, verb_registry[i]->help);
	}
	fprintf(to, "\nplumb COMMAND --help says more.\n");
}

int main(int argc, char **argv)
{
	fault_init();
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	for (size_t i = 0; verb_registry[i]; i++) {
		if (!strcmp(argv[1], verb_registry[i]->name))
			return verb_registry[i]->main(argc - 1, argv + 1);
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return 0;
	}
	fprintf(stderr, "plumb: no command '%s'; see plumb help\n", argv[1]);
	return 2;
}
