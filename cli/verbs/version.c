/* `plumb version` */
#include <stdio.h>

#include "cli/verbs/verb.h"
#include "lib/base/flags.h"

static int version_main(int argc, char **argv)
{
	const char *output = "";
	const struct flag flags[] = {
		{"output", 'o', FLAG_STRING, &output, "FORMAT", "json or yaml"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs;

	if (flags_parse(argc, argv, flags, "plumb version [-o json|yaml]", &nargs, &err)) {
		fprintf(stderr, "plumb version: %s\n", err.msg);
		return 2;
	}
	if (!strcmp(output, "json"))
		printf("{\"version\":\"%s\",\"kubernetes\":\"v1.32.0\"}\n", PLUMB_VERSION);
	else if (!strcmp(output, "yaml"))
		printf("kubernetes: v1.32.0\nversion: %s\n", PLUMB_VERSION);
	else
		printf("plumb %s (Kubernetes API v1.32.0)\n", PLUMB_VERSION);
	return 0;
}

const struct verb verb_version = {
	.name = "version", .help = "print the version", .main = version_main};
