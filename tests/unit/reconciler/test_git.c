/* Real repositories, made with git: fetching, bounds, links, drift commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fault.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "reconciler/git.h"
#include "reconciler/gitremote.h"
#include "reconciler/reads.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct world {
	char dir[64];
	struct arena a;
	char *bare, *mirror, *url;
};

/* One line of shell in the work tree; answers its output. */
static char *sh(struct world *w, const char *script)
{
	char *text = arena_printf(
		&w->a,
		"set -e; cd %s; export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null "
		"GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t "
		"GIT_COMMITTER_EMAIL=t@t; %s",
		w->dir, script);
	const char *argv[] = {"sh", "-c", text, NULL};
	struct proc_opts o = {.argv = argv};
	struct proc_result r = {0};
	struct err err = {0};
	char *out;

	if (proc_run(&o, &r, &err))
		fail_msg("%s", err.msg);
	if (r.status)
		fail_msg("%s: %s", script, buf_cstr(&r.err));
	out = arena_cstr(&w->a, str_trim(buf_view(&r.out)));
	proc_result_release(&r);
	return out;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/plumb-git.XXXXXX");
	if (!mkdtemp(w->dir))
		return -1;
	w->bare = arena_printf(&w->a, "%s/bare.git", w->dir);
	w->mirror = arena_printf(&w->a, "%s/mirror", w->dir);
	w->url = arena_printf(&w->a, "file://%s", w->bare);
	sh(w, "git init -q -b main repo; mkdir repo/app; echo 'a: 1 # one' >repo/app/a.yaml; "
	      "echo no >repo/app/readme.txt; git -C repo add -A; git -C repo commit -qm first; "
	      "git clone -q --bare repo bare.git; git -C repo remote add origin $PWD/bare.git");
	*state = w;
	return 0;
}

static void done(struct world *w)
{
	struct err err = {0};

	assert_int_equal(fs_remove_tree(w->dir, &err), 0);
	arena_release(&w->a);
	free(w);
}

static struct json *fetch(struct world *w, const char *kind, const char *ref, struct err *err)
{
	return gitremote_fetch(&w->a,
			       json_build(&w->a, "{s:s,s:s,s:{s:s}}", "url", w->url, "mirror",
					  w->mirror, "ref", kind, ref),
			       err);
}

static char *text(struct world *w, const struct json *o, const char *key)
{
	return arena_cstr(&w->a, json_str(json_get(o, str_c(key))));
}

static char *fetch_main(struct world *w)
{
	struct err err = {0};
	struct json *answer = fetch(w, "branch", "main", &err);

	if (!answer)
		fail_msg("%s", err.msg);
	return text(w, answer, "commit");
}

void test_git__a_branch_is_followed(void **state)
{
	struct world *w;
	struct err err = {0};
	struct json *answer;

	setup((void **)&w);
	(void)state;
	answer = fetch(w, "branch", "main", &err);
	assert_non_null(answer);
	assert_true(json_bool(json_get(answer, STR("fetched")), false));
	assert_string_equal(
		text(w, answer, "revision"),
		arena_printf(&w->a, "main@sha1:%s", sh(w, "git -C repo rev-parse HEAD")));
	answer = fetch(w, "branch", "main", &err);
	assert_false(json_bool(json_get(answer, STR("fetched")), true));
	/* History that was rewritten is followed as well. */
	sh(w, "git -C repo commit -q --amend -m other; git -C repo push -qf origin main");
	assert_string_equal(fetch_main(w), sh(w, "git -C repo rev-parse HEAD"));
	done(w);
}

void test_git__tags_and_commits(void **state)
{
	struct world *w;
	struct err err = {0};
	char *first;

	setup((void **)&w);
	(void)state;
	first = sh(w, "git -C repo rev-parse HEAD");
	sh(w, "cd repo; git tag -a v1 -m v1; echo x >b; git add b; git commit -qm two; "
	      "git push -q origin main v1");
	struct json *answer = fetch(w, "tag", "v1", &err);
	assert_string_equal(text(w, answer, "commit"), first);
	assert_string_equal(text(w, answer, "revision"), arena_printf(&w->a, "v1@sha1:%s", first));
	answer = fetch(w, "commit", first, &err);
	assert_string_equal(text(w, answer, "revision"), arena_printf(&w->a, "sha1:%s", first));
	done(w);
}

void test_git__what_is_not_there_is_named(void **state)
{
	struct world *w;
	struct err err = {0};

	setup((void **)&w);
	(void)state;
	assert_null(fetch(w, "branch", "nope", &err));
	assert_non_null(strstr(err.msg, "refs/heads/nope"));
	sh(w, "mv bare.git hidden.git");
	assert_null(fetch(w, "branch", "main", &err));
	assert_non_null(strstr(err.msg, "bare.git"));
	done(w);
}

void test_git__manifests_below_a_path(void **state)
{
	struct world *w;
	struct err err = {0};
	struct git_files f;
	struct gitmirror *m;
	char id[GIT_OID_TEXT], *commit;

	setup((void **)&w);
	(void)state;
	commit = fetch_main(w);
	m = git_open(w->mirror, &err);
	assert_int_equal(git_manifests(m, &w->a, commit, "app", &f, &err), 0);
	assert_int_equal(f.n, 1);
	assert_true(str_is(f.v[0].path, "app/a.yaml"));
	assert_true(str_is(f.v[0].data, "a: 1 # one\n"));
	assert_int_equal(git_path_id(m, commit, "app", id, &err), 0);
	assert_int_equal(git_manifests(m, &w->a, commit, "nope", &f, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "nope"));
	git_close(m);
	done(w);
}

static void assert_manifests_refused(const char *script, const char *message)
{
	struct world *w;
	struct err err = {0};
	struct git_files f;
	struct gitmirror *m;

	setup((void **)&w);
	sh(w,
	   arena_printf(&w->a, "cd repo; %s; git add -A; git commit -qm x; git push -q origin main",
			script));
	char *commit = fetch_main(w);
	m = git_open(w->mirror, &err);
	assert_int_equal(git_manifests(m, &w->a, commit, "app", &f, &err), -1);
	if (!strstr(err.msg, message))
		fail_msg("'%s' is not in '%s'", message, err.msg);
	git_close(m);
	done(w);
}

void test_git__links_that_leave_are_refused(void **state)
{
	(void)state;
	assert_manifests_refused("ln -s /etc/passwd app/extra.yaml",
				 "app/extra.yaml: a symbolic link that leaves the repository");
	assert_manifests_refused("ln -s ../../x app/extra.yaml", "app/extra.yaml: a symbolic link");
	assert_manifests_refused("ln -s nothing app/extra.yaml", "which isn't there");
	assert_manifests_refused("ln -s loop.yaml app/loop.yaml", "too many symbolic links");
	assert_manifests_refused("ln -s ../app app/again", "too many symbolic links");
}

void test_git__large_files_are_refused(void **state)
{
	(void)state;
	assert_manifests_refused("head -c 5000000 /dev/zero | tr '\\0' x >app/big.yaml",
				 "app/big.yaml: 5000000 bytes is larger than the 4 MiB allowed");
}

void test_git__links_inside_are_followed(void **state)
{
	struct world *w;
	struct err err = {0};
	struct git_files f;
	struct gitmirror *m;

	setup((void **)&w);
	(void)state;
	sh(w, "cd repo; mkdir base; echo 'b: 2' >base/b.yaml; ln -s ../base/b.yaml app/l.yaml; "
	      "ln -s ../base app/sub; git add -A; git commit -qm x; git push -q origin main");
	char *commit = fetch_main(w);
	m = git_open(w->mirror, &err);
	assert_int_equal(git_manifests(m, &w->a, commit, "app", &f, &err), 0);
	assert_int_equal(f.n, 3);
	assert_true(str_is(f.v[1].path, "app/l.yaml"));
	assert_true(str_is(f.v[2].path, "app/sub/b.yaml"));
	/* What a build that reads them depends on. */
	assert_int_equal(f.nlinks, 2);
	assert_true(str_is(f.links[0], "base/b.yaml"));
	assert_true(str_is(f.links[1], "base"));
	git_close(m);
	done(w);
}

/* Commits what the script does; the new commit, fetched. */
static char *commit(struct world *w, const char *script)
{
	sh(w,
	   arena_printf(&w->a, "cd repo; %s; git add -A; git commit -qm x; git push -q origin main",
			script));
	return fetch_main(w);
}

/* What a build that loads these is told of. */
static char *read_paths(struct gitmirror *m, const char *at, const char *const *paths,
			const char *tree)
{
	struct reads r = {0};
	char *text;

	for (size_t i = 0; paths[i]; i++)
		reads_note(&r, m, at, str_c(paths[i]));
	text = reads_take(&r, tree);
	reads_release(&r);
	return text;
}

void test_git__what_was_read_is_the_same_until_it_changes(void **state)
{
	static const char *const paths[] = {"app/kustomization.yml", "app/a.yaml", "base/b.yaml",
					    "app/a.yaml", NULL};
	struct world *w;
	struct err err = {0};
	struct gitmirror *m;
	char *at, *reads;

	setup((void **)&w);
	(void)state;
	at = commit(w, "mkdir base; echo 'b: 2' >base/b.yaml");
	m = git_open(w->mirror, &err);
	reads = read_paths(m, at, paths, "app");
	assert_true(reads_same(m, at, str_c(reads)));
	at = commit(w, "echo 'c: 3' >base/c.yaml; echo 'd: 4' >app/d.yaml");
	assert_true(reads_same(m, at, str_c(reads)));
	assert_false(reads_same(m, commit(w, "echo 'b: 3' >base/b.yaml"), str_c(reads)));
	at = commit(w, "echo 'b: 2' >base/b.yaml");
	assert_true(reads_same(m, at, str_c(reads)));
	/* What wasn't there, and what rules leave out. */
	assert_false(reads_same(m, commit(w, ": >app/kustomization.yml"), str_c(reads)));
	at = commit(w, "rm app/kustomization.yml; echo a.yaml >.sourceignore");
	assert_false(reads_same(m, at, str_c(reads)));
	free(reads);
	git_close(m);
	done(w);
}

void test_git__a_folder_that_was_read_stands_for_what_is_in_it(void **state)
{
	static const char *const paths[] = {"app/kustomization.yml", "app", "apple/b.yaml", NULL};
	struct world *w;
	struct err err = {0};
	struct gitmirror *m;
	char *at, *reads;

	setup((void **)&w);
	(void)state;
	at = fetch_main(w);
	m = git_open(w->mirror, &err);
	reads = read_paths(m, at, paths, "app");
	assert_null(strstr(reads, "app/kustomization.yml"));
	assert_non_null(strstr(reads, "- apple/b.yaml\n"));
	assert_false(reads_same(m, commit(w, "echo 'd: 4' >app/d.yaml"), str_c(reads)));
	free(reads);
	git_close(m);
	done(w);
}

/* The paths below `path`, one after the other, or why there are none. */
static char *listed(struct world *w, struct gitmirror *m, const char *commit, const char *path)
{
	struct git_files f = {0};
	struct err err = {0};
	char *all = arena_printf(&w->a, "%s", "");

	if (git_manifests(m, &w->a, commit, path, &f, &err))
		return arena_printf(&w->a, "%s", err.msg);
	for (size_t i = 0; i < f.n; i++)
		all = arena_printf(&w->a, "%s%s%.*s", all, i ? " " : "", STR_ARG(f.v[i].path));
	return all;
}

void test_git__ignore_rules(void **state)
{
	char before[GIT_OID_TEXT], after[GIT_OID_TEXT];
	struct err err = {0};
	struct gitmirror *m;
	struct world *w;
	char *commit;

	setup((void **)&w);
	(void)state;
	sh(w, "cd repo; mkdir -p app/old app/ci; cp app/a.yaml app/old/o.yaml;"
	      "cp app/a.yaml app/ci/cloudbuild.yaml; git add -A; git commit -qm x;"
	      "git push -q origin main");
	commit = fetch_main(w);
	m = git_open(w->mirror, &err);
	assert_string_equal(listed(w, m, commit, "app"), "app/a.yaml app/old/o.yaml");
	assert_int_equal(git_path_id(m, commit, "app", before, &err), 0);
	assert_string_equal(before, sh(w, "git -C repo rev-parse HEAD:app"));
	git_ignore(m, STR("old/\n"));
	assert_string_equal(listed(w, m, commit, "app"), "app/a.yaml app/ci/cloudbuild.yaml");
	assert_int_equal(git_path_id(m, commit, "app", after, &err), 0);
	assert_string_not_equal(before, after);
	git_ignore(m, STR("/*\n!/app/old/\n"));
	assert_string_equal(listed(w, m, commit, "app"), "app/old/o.yaml");
	git_ignore(m, STR("/app\n"));
	assert_string_equal(listed(w, m, commit, "app"), "path app is left out by ignore rules");
	assert_string_equal(listed(w, m, commit, "app/a.yaml"),
			    "path app/a.yaml is left out by ignore rules");
	git_close(m);

	sh(w, "cd repo; echo '/app/a.yaml' >.sourceignore; echo '*.yaml' >app/old/.sourceignore;"
	      "git add -A; git commit -qm y; git push -q origin main");
	commit = fetch_main(w);
	m = git_open(w->mirror, &err);
	assert_string_equal(listed(w, m, commit, "app"), "app/ci/cloudbuild.yaml");
	assert_string_equal(listed(w, m, commit, ""), "app/ci/cloudbuild.yaml");
	assert_string_equal(listed(w, m, commit, "app/old"), "");
	git_ignore(m, STR("!a.yaml\n")); /* is asked first */
	assert_string_equal(listed(w, m, commit, "app"), "app/a.yaml app/ci/cloudbuild.yaml");
	git_close(m);
	done(w);
}

void test_git__paths_are_cleaned(void **state)
{
	struct arena a = {0};
	struct err err = {0};

	(void)state;
	assert_string_equal(git_clean_path(&a, STR("./clusters//x/"), &err), "clusters/x");
	assert_string_equal(git_clean_path(&a, STR("./"), &err), "");
	assert_string_equal(git_clean_path(&a, STR("/app"), &err), "app");
	assert_null(git_clean_path(&a, STR("a/../../b"), &err));
	arena_release(&a);
}

static struct json *push(struct world *w, const char *base, const char *content, struct err *err)
{
	return gitremote_push(&w->a,
			      json_build(&w->a, "{s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:s},{s:s,s:s}]}",
					 "url", w->url, "mirror", w->mirror, "branch",
					 "plumb/drift/c/n-u", "base", base, "message",
					 "drift: x\n\nPlumb-Drift: 1\n", "files", "path",
					 "app/a.yaml", "content", content, "path",
					 ".plumb/drift/n-u.md", "content", "# report\n"),
			      err);
}

void test_git__a_drift_commit_is_pushed(void **state)
{
	struct world *w;
	struct err err = {0};
	struct json *answer;
	char *base;

	setup((void **)&w);
	(void)state;
	base = fetch_main(w);
	answer = push(w, base, "a: 2 # one\n", &err);
	if (!answer)
		fail_msg("%s", err.msg);
	assert_string_equal(sh(w, "git -C bare.git rev-parse plumb/drift/c/n-u"),
			    text(w, answer, "commit"));
	assert_string_equal(sh(w, "git -C bare.git rev-parse plumb/drift/c/n-u^"), base);
	assert_string_equal(
		sh(w, "git -C bare.git diff --numstat main...plumb/drift/c/n-u -- app | cut -f1-2"),
		"1\t1");
	sh(w, "git -C bare.git fsck --strict");
	/* The same again is no new commit; something else replaces it. */
	struct json *again = push(w, base, "a: 2 # one\n", &err);
	assert_string_equal(text(w, again, "commit"), text(w, answer, "commit"));
	again = push(w, base, "a: 3 # one\n", &err);
	assert_string_not_equal(text(w, again, "commit"), text(w, answer, "commit"));
	assert_string_equal(sh(w, "git -C bare.git rev-parse plumb/drift/c/n-u^"), base);
	done(w);
}

void test_git__a_persons_commit_is_never_overwritten(void **state)
{
	struct world *w;
	struct err err = {0};
	char *base, *theirs;

	setup((void **)&w);
	(void)state;
	base = fetch_main(w);
	assert_non_null(push(w, base, "a: 2\n", &err));
	sh(w, "cd repo; git fetch -q origin plumb/drift/c/n-u; git checkout -q FETCH_HEAD; "
	      "echo mine >>app/a.yaml; git commit -qam mine; "
	      "git push -q origin HEAD:plumb/drift/c/n-u");
	theirs = sh(w, "git -C repo rev-parse HEAD");
	assert_null(push(w, base, "a: 3\n", &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(sh(w, "git -C bare.git rev-parse plumb/drift/c/n-u"), theirs);
	done(w);
}

/* Somebody pushes between our look at the branch and our push. */
void test_git__nor_one_that_comes_in_between(void **state)
{
	struct world *w;
	struct err err = {0};
	char *base, *theirs;

	setup((void **)&w);
	(void)state;
	base = fetch_main(w);
	assert_non_null(push(w, base, "a: 2\n", &err));
	theirs =
		sh(w, "cd repo; git fetch -q origin plumb/drift/c/n-u; git checkout -q FETCH_HEAD; "
		      "echo mine >>app/a.yaml; git commit -qam mine; git rev-parse HEAD; "
		      "(sleep 0.2; git push -q origin HEAD:plumb/drift/c/n-u) </dev/null "
		      ">/dev/null 2>&1 &");
	setenv("PLUMB_FAULT", "git.before_push=sleep:1500@1!", 1);
	fault_init();
	assert_null(push(w, base, "a: 3\n", &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.msg, "somebody pushed meanwhile"));
	assert_string_equal(sh(w, "git -C bare.git rev-parse plumb/drift/c/n-u"), theirs);
	done(w);
}
