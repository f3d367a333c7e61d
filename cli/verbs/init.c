/* `plumb init DIR`: a new git repository from the template. Uses the git program for the first
 * commit. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/template.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"

static int write_files(const char *dir, struct err *err)
{
	for (const struct template_file *f = repo_template; f->path; f++) {
		struct str parent, base;
		AUTO(free) char *path = fs_join(dir, str_c(f->path), err);
		if (!path)
			return -1;
		if (str_rcut(str_c(path), '/', &parent, &base)) {
			AUTO(free) char *folder = xstrndup(parent.p, parent.n);
			if (fs_mkdirs(folder, 0755, err))
				return -1;
		}
		if (fs_write(path, (struct str){(const char *)f->data, f->size}, 0644, err))
			return -1;
	}
	return 0;
}

static int git(const char *dir, const char *const *args, struct err *err)
{
	const char *argv[16] = {"git", "-C", dir};
	struct proc_result r = {0};

	for (size_t i = 0; i < 12 && args[i]; i++)
		argv[i + 3] = args[i];
	struct proc_opts o = {.argv = argv};
	if (proc_run(&o, &r, err))
		return err_wrap(err, "git");
	int rc = r.status ? err_set(err, ERR_INTERNAL, "git %s: %.*s", args[0],
				    STR_ARG(str_trim(buf_view(&r.err))))
			  : 0;
	proc_result_release(&r);
	return rc;
}

/* Who commits: the user's own identity where git knows one. */
static int commit(const char *dir, struct err *err)
{
	const char *init[] = {"init", "-q", "-b", "main", NULL};
	const char *add[] = {"add", "-A", NULL};
	const char *own[] = {"commit", "-q", "-m", "Start from the template of plumb", NULL};
	const char *named[] = {"-c",     "user.name=plumb",
			       "-c",     "user.email=plumb@localhost",
			       "commit", "-q",
			       "-m",     "Start from the template of plumb",
			       NULL};

	if (git(dir, init, err) || git(dir, add, err))
		return -1;
	return git(dir, own, NULL) ? git(dir, named, err) : 0;
}

static int init_main(int argc, char **argv)
{
	const struct flag flags[] = {{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs;

	if (flags_parse(argc, argv, flags, "plumb init DIR\n\nWrites a new GitOps repository.",
			&nargs, &err))
		goto fail;
	if (nargs != 1) {
		err_set(&err, ERR_BAD_REQUEST, "which directory? plumb init DIR");
		goto fail;
	}
	const char *dir = argv[0];
	if (access(dir, F_OK) == 0 && rmdir(dir)) {
		err_set(&err, ERR_EXISTS, "%s exists and is not empty", dir);
		goto fail;
	}
	if (fs_mkdirs(dir, 0755, &err) || write_files(dir, &err) || commit(dir, &err))
		goto fail;
	printf("%s: a repository with one commit on main. Next:\n"
	       "  plumb up --repo file://$(realpath %s) --path clusters/default\n",
	       dir, dir);
	return 0;
fail:
	fprintf(stderr, "plumb init: %s\n", err.msg);
	return 1;
}

const struct verb verb_init = {
	.name = "init", .help = "write a new GitOps repository", .main = init_main};
