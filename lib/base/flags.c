/* Options by table. Runs once, at the start of main, before threads. */
#include "lib/base/flags.h"

#include <stdio.h>

#include "lib/base/timefmt.h"

static const struct flag *find(const struct flag *flags, struct str name, char letter)
{
	for (const struct flag *f = flags; f->name; f++) {
		if (letter ? f->letter == letter : str_is(name, f->name))
			return f;
	}
	return NULL;
}

static int store(const struct flag *f, const char *value, struct err *err)
{
	switch (f->type) {
	case FLAG_STRING:
		*(const char **)f->to = value;
		return 0;
	case FLAG_BOOL:
		if (strcmp(value, "true") && strcmp(value, "false"))
			return err_set(err, ERR_BAD_REQUEST, "--%s is true or false, not '%s'",
				       f->name, value);
		*(bool *)f->to = value[0] == 't';
		return 0;
	case FLAG_INT:
		if (str_to_i64(str_c(value), f->to))
			return err_set(err, ERR_BAD_REQUEST, "--%s takes a number, not '%s'",
				       f->name, value);
		return 0;
	case FLAG_DURATION:
		if (duration_parse(str_c(value), f->to))
			return err_set(err, ERR_BAD_REQUEST,
				       "--%s takes a duration such as 30s, not '%s'", f->name,
				       value);
		return 0;
	case FLAG_STRINGS: {
		struct flag_list *l = f->to;
		l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
		l->v[l->n++] = value;
		return 0;
	}
	}
	return -1;
}

static void help(const struct flag *flags, const char *usage)
{
	printf("usage: %s\n\noptions:\n", usage);
	for (const struct flag *f = flags; f->name; f++) {
		char left[64];
		int n = f->letter ? snprintf(left, sizeof(left), "-%c, ", f->letter) : 0;
		snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", f->name, f->arg ? " " : "",
			 f->arg ? f->arg : "");
		printf("  %-32s %s\n", left, f->help ? f->help : "");
	}
}

/* The option at argv[*i]; moves *i on when its value is the next argument. */
static int option(char **argv, int argc, int *i, const struct flag *flags, struct err *err)
{
	const char *arg = argv[*i];
	bool is_long = arg[1] == '-';
	struct str name, value;
	bool inlined = is_long && str_cut(str_c(arg + 2), '=', &name, &value);
	const struct flag *f;

	if (is_long && !inlined)
		name = str_c(arg + 2);
	f = is_long ? find(flags, name, 0) : arg[2] == 0 ? find(flags, STR_NONE, arg[1]) : NULL;
	if (!f)
		return err_set(err, ERR_BAD_REQUEST, "no option '%s'; see --help", arg);
	if (inlined)
		return store(f, value.p, err);
	if (f->type == FLAG_BOOL)
		return store(f, "true", err);
	if (*i + 1 >= argc)
		return err_set(err, ERR_BAD_REQUEST, "--%s needs a value", f->name);
	return store(f, argv[++*i], err);
}

int flags_parse(int argc, char **argv, const struct flag *flags, const char *usage, int *ret_nargs,
		struct err *err)
{
	int n = 0;
	bool options = true;

	for (int i = 1; i < argc; i++) {
		if (options && !strcmp(argv[i], "--")) {
			options = false;
		} else if (options && !strcmp(argv[i], "--help")) {
			help(flags, usage);
			exit(0);
		} else if (options && argv[i][0] == '-' && argv[i][1]) {
			if (option(argv, argc, &i, flags, err))
				return -1;
		} else {
			argv[n++] = argv[i];
		}
	}
	*ret_nargs = n;
	return 0;
}
