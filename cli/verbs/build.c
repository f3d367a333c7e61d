/*
 * `plumb build DIR`: what a directory renders to, kustomizations built in, as `kustomize build`
 * prints it. Talks to no cluster and runs no program.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs/verb.h"
#include "lib/base/buf.h"
#include "lib/base/flags.h"
#include "lib/os/fs.h"
#include "reconciler/main.h"

#define USAGE                                                                                      \
	"plumb build [--root ROOT] DIR\n\nPrints what DIR renders to. Files outside ROOT are not " \
	"read; without it, ROOT\nis the git repository that DIR is in, else the current "          \
	"directory "                                                                               \
	"or DIR."

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/' || n == 1);
}

/* The innermost directory around `path` that holds .git; else where we are, if that is around. */
static void find_root(const char *path, char ret[PATH_MAX])
{
	char cwd[PATH_MAX], probe[PATH_MAX + 8];

	snprintf(ret, PATH_MAX, "%s", path);
	for (;;) {
		char *slash = strrchr(ret, '/');

		snprintf(probe, sizeof(probe), "%s/.git", ret);
		if (fs_exists(probe))
			return;
		if (!slash || slash == ret)
			break;
		*slash = 0;
	}
	snprintf(ret, PATH_MAX, "%s", getcwd(cwd, sizeof(cwd)) && is_below(path, cwd) ? cwd : path);
}

static int build(const char *root_flag, const char *dir, struct err *err)
{
	char path[PATH_MAX], root[PATH_MAX];
	AUTO(buf) struct buf out = {0};
	const char *rest;

	if (!realpath(dir, path))
		return err_sys(err, "%s", dir);
	if (!*root_flag)
		find_root(path, root);
	else if (!realpath(root_flag, root))
		return err_sys(err, "%s", root_flag);
	if (!is_below(path, root))
		return err_set(err, ERR_BAD_REQUEST, "%s is not below %s", path, root);
	rest = path + strlen(root);
	rest += *rest == '/';
	if (reconciler_build(root, rest, &out, err))
		return -1;
	if (out.n && fwrite(out.p, 1, out.n, stdout) != out.n)
		return err_sys(err, "standard output");
	return fflush(stdout) ? err_sys(err, "standard output") : 0;
}

static int build_main(int argc, char **argv)
{
	const char *root = "";
	const struct flag flags[] = {
		{"root", 0, FLAG_STRING, &root, "ROOT", "nothing outside is read"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs;

	if (flags_parse(argc, argv, flags, USAGE, &nargs, &err)) {
		fprintf(stderr, "plumb build: %s\n", err.msg);
		return 2;
	}
	if (build(root, nargs ? argv[0] : ".", &err)) {
		fprintf(stderr, "plumb build: %s\n", err.msg);
		return 1;
	}
	return 0;
}

const struct verb verb_build = {
	.name = "build", .help = "print what a directory renders to", .main = build_main};
