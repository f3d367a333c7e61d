/*
 * Command-line options by table: `--name VALUE`, `--name=VALUE`, `--flag`, `-x VALUE`.
 * The table is also the help text.
 */
#ifndef PLUMB_FLAGS_H
#define PLUMB_FLAGS_H

#include "lib/base/err.h"

enum flag_type {
	FLAG_STRING,   /* const char * */
	FLAG_BOOL,     /* bool; --x, --x=false */
	FLAG_INT,      /* int64_t */
	FLAG_DURATION, /* int64_t nanoseconds, Go syntax */
	FLAG_STRINGS,  /* struct flag_list, repeatable */
};

struct flag_list {
	const char **v;
	size_t n;
};

struct flag {
	const char *name; /* without dashes */
	char letter;      /* or 0 */
	enum flag_type type;
	void *to;        /* holds the default before, the value after */
	const char *arg; /* placeholder in the help text, NULL for booleans */
	const char *help;
};

/*
 * Parses argv[1…]; options and positional arguments may mix, "--" ends the options. Positional
 * arguments are moved to the front of argv and counted in *ret_nargs. Values point into argv.
 * --help prints usage and the table on stdout and exits 0. flags ends with a row of NULL name.
 */
MUST_USE int flags_parse(int argc, char **argv, const struct flag *flags, const char *usage,
			 int *ret_nargs, struct err *err);

#endif
