/*
 * Fetching, with real repositories: which tag is chosen, whose signatures count, what commits are
 * put together from, how hostile remotes end.
 */
#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "reconciler/git.h"
#include "reconciler/gitpack.h"
#include "reconciler/gitremote.h"
#include "reconciler/gitunpack.h"
#include "reconciler/knownhosts.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct world {
	char dir[64];
	struct arena a;
	char *mirror, *url;
};

static char *sh(struct world *w, const char *script)
{
	char *text =
		arena_printf(&w->a,
			     "set -e; cd %s; export HOME=%s GIT_CONFIG_GLOBAL=/dev/null "
			     "GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t "
			     "GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t; %s",
			     w->dir, w->dir, script);
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

static struct world *begin(void)
{
	struct world *w = calloc(1, sizeof(*w));

	snprintf(w->dir, sizeof(w->dir), "/tmp/plumb-src.XXXXXX");
	if (!mkdtemp(w->dir))
		abort();
	w->mirror = arena_printf(&w->a, "%s/mirror", w->dir);
	w->url = arena_printf(&w->a, "file://%s/repo", w->dir);
	sh(w, "git init -q -b main repo; mkdir -p repo/app repo/other; echo a: 1 >repo/app/a.yaml; "
	      "echo b: 1 >repo/other/b.yaml; git -C repo add -A; git -C repo commit -qm first");
	return w;
}

static void end(struct world *w)
{
	struct err err = {0};

	assert_int_equal(fs_remove_tree(w->dir, &err), 0);
	arena_release(&w->a);
	free(w);
}

static struct json *request(struct world *w, const char *json)
{
	struct err err = {0};
	struct json *r = json_parse(&w->a, arena_str(&w->a, str_c(json)), NULL, &err);

	if (!r)
		fail_msg("%s", err.msg);
	json_set_str(&w->a, r, "url", str_c(w->url));
	json_set_str(&w->a, r, "mirror", str_c(w->mirror));
	return r;
}

static struct json *fetch(struct world *w, struct json *r)
{
	struct err err = {0};
	struct json *answer = gitremote_fetch(&w->a, r, &err);

	if (!answer)
		fail_msg("%s", err.msg);
	return answer;
}

static void refuse(struct world *w, struct json *r, const char *why)
{
	struct err err = {0};

	if (gitremote_fetch(&w->a, r, &err))
		fail_msg("not refused: %s", why);
	if (!strstr(err.msg, why))
		fail_msg("'%s' does not say '%s'", err.msg, why);
}

static char *text(struct world *w, const struct json *o, const char *key)
{
	return arena_cstr(&w->a, json_str(json_get(o, str_c(key))));
}

/* The paths of all manifests of a commit, parted by blanks. */
static char *files(struct world *w, const struct json *answer)
{
	struct err err = {0};
	struct gitmirror *m = git_open(w->mirror, &err);
	struct git_files f;
	struct buf out = {0};
	char *ret;

	assert_non_null(m);
	if (git_manifests(m, &w->a, text(w, answer, "commit"), "", &f, &err))
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < f.n; i++)
		buf_printf(&out, "%s%.*s", i ? " " : "", STR_ARG(f.v[i].path));
	ret = arena_cstr(&w->a, buf_view(&out));
	buf_release(&out);
	git_close(m);
	return ret;
}

/* ---- references ---- */

void test_sources__the_highest_tag_that_fits(void **state)
{
	struct world *w = begin();
	struct json *a;

	(void)state;
	sh(w, "cd repo; git tag v1.0.0; git commit -q --allow-empty -m two; git tag 1.2.0; "
	      "git tag v1.10.0-rc.1; git commit -q --allow-empty -m three; "
	      "git tag -a -m t v1.9.1; git tag v2.0.0; git tag nightly");
	a = fetch(w, request(w, "{\"ref\":{\"semver\":\"^1.0.0\"}}"));
	assert_string_equal(
		text(w, a, "revision"),
		arena_printf(&w->a, "v1.9.1@sha1:%s", sh(w, "git -C repo rev-parse 'v1.9.1^{}'")));
	a = fetch(w, request(w, "{\"ref\":{\"semver\":\">=1.10.0-0 <2.0.0-0\"}}"));
	assert_true(str_starts(str_c(text(w, a, "revision")), STR("v1.10.0-rc.1@")));
	refuse(w, request(w, "{\"ref\":{\"semver\":\">=3\"}}"), "no tag fits");
	refuse(w, request(w, "{\"ref\":{\"semver\":\"banana\"}}"), "spec.ref.semver");
	end(w);
}

void test_sources__full_names(void **state)
{
	struct world *w = begin();
	struct json *a;

	(void)state;
	sh(w, "cd repo; git update-ref refs/pull/7/head HEAD");
	a = fetch(w, request(w, "{\"ref\":{\"name\":\"refs/pull/7/head\",\"branch\":\"x\"}}"));
	assert_true(str_starts(str_c(text(w, a, "revision")), STR("refs/pull/7/head@sha1:")));
	refuse(w, request(w, "{\"ref\":{\"name\":\"refs/heads/a..b\"}}"), "not a reference");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"--upload-pack=x y\"}}"), "not a reference");
	refuse(w, request(w, "{\"ref\":{\"name\":\"refs/pull/8/head\"}}"), "has no refs/pull/8");
	end(w);
}

void test_sources__a_rewritten_branch_is_told(void **state)
{
	struct world *w = begin();
	struct json *r = request(w, "{\"ref\":{\"branch\":\"main\"}}"), *a = fetch(w, r);
	char *first = text(w, a, "base");

	(void)state;
	json_set_str(&w->a, r, "known", str_c(first));
	sh(w, "git -C repo commit -q --allow-empty -m two");
	assert_false(json_bool(json_get(fetch(w, r), STR("rewritten")), true));
	json_set_str(&w->a, r, "known", str_c(sh(w, "git -C repo rev-parse HEAD")));
	sh(w, "git -C repo commit -q --amend --allow-empty -m other");
	assert_true(json_bool(json_get(fetch(w, r), STR("rewritten")), false));
	end(w);
}

/* ---- signatures ---- */

static struct json *with_keys(struct world *w, const char *mode, const char *file)
{
	struct json *r = request(w, "{\"ref\":{\"tag\":\"v1\"}}");
	struct buf key = {0};
	struct err err = {0};

	assert_int_equal(fs_read(arena_printf(&w->a, "%s/%s", w->dir, file), 1 << 16, &key, &err),
			 0);
	json_set(&w->a, r, STR("verify"),
		 json_build(&w->a, "{s:s,s:{s:S}}", "mode", mode, "keys", "key.pub",
			    arena_str(&w->a, buf_view(&key))));
	buf_release(&key);
	return r;
}

static void holds(struct world *w, struct json *r)
{
	struct json *a = fetch(w, r);

	if (json_get(a, STR("problem")))
		fail_msg("%s", text(w, json_get(a, STR("problem")), "message"));
	assert_true(json_str(json_get(a, STR("commit"))).n > 0);
	assert_true(json_str(json_at(a, "verified", "message")).n > 0);
}

static void problem(struct world *w, struct json *r, const char *reason, const char *why)
{
	const struct json *p = json_get(fetch(w, r), STR("problem"));

	if (!p)
		fail_msg("not refused: %s", why);
	assert_string_equal(text(w, p, "reason"), reason);
	if (!strstr(text(w, p, "message"), why))
		fail_msg("'%s' does not say '%s'", text(w, p, "message"), why);
}

static void sign_with(struct world *w, const char *type)
{
	sh(w,
	   arena_printf(&w->a,
			"rm -f key key.pub; ssh-keygen -q %s -N '' -C who -f key; cd repo; "
			"git config gpg.format ssh; git config user.signingkey $HOME/key; "
			"git commit -qS --allow-empty -m signed; git tag -f -s -m t v1 >/dev/null",
			type));
}

void test_sources__ssh_signatures(void **state)
{
	static const char *const types[] = {"-t ed25519", "-t rsa -b 2048", "-t ecdsa -b 256",
					    "-t ecdsa -b 384", "-t ecdsa -b 521"};
	struct world *w = begin();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		sign_with(w, types[i]);
		holds(w, with_keys(w, "HEAD", "key.pub"));
		holds(w, with_keys(w, "Tag", "key.pub"));
		holds(w, with_keys(w, "TagAndHEAD", "key.pub"));
	}
	sh(w, "(printf 'who@where namespaces=\"git\" '; cat key.pub) >allowed");
	holds(w, with_keys(w, "HEAD", "allowed"));
	end(w);
}

void test_sources__signatures_that_do_not_count(void **state)
{
	struct world *w = begin();

	(void)state;
	sh(w, "git -C repo tag v1; ssh-keygen -q -t ed25519 -N '' -f stranger; echo >none");
	problem(w, with_keys(w, "HEAD", "stranger.pub"), "InvalidCommitSignature", "not signed");
	problem(w, with_keys(w, "Tag", "stranger.pub"), "InvalidTagSignature", "annotated");
	sign_with(w, "-t ed25519");
	problem(w, with_keys(w, "HEAD", "stranger.pub"), "InvalidCommitSignature", "not among");
	problem(w, with_keys(w, "HEAD", "none"), "InvalidCommitSignature", "not among");
	sh(w, "(printf 'who@where namespaces=\"file\" '; cat key.pub) >allowed");
	problem(w, with_keys(w, "HEAD", "allowed"), "InvalidCommitSignature", "not allowed");
	sh(w, "(printf 'who valid-before=\"20200101\" '; cat key.pub) >allowed");
	problem(w, with_keys(w, "HEAD", "allowed"), "InvalidCommitSignature", "not allowed");
	sh(w, "(printf 'who cert-authority '; cat key.pub) >allowed");
	problem(w, with_keys(w, "HEAD", "allowed"), "InvalidCommitSignature", "not allowed");
	end(w);
}

/* The same signature over another text. */
void test_sources__a_changed_commit_does_not_verify(void **state)
{
	struct world *w = begin();

	(void)state;
	sign_with(w, "-t ed25519");
	sh(w, "cd repo; git cat-file commit HEAD | sed 's/^signed$/forged/' >../forged; "
	      "git reset -q --hard $(git hash-object -t commit -w ../forged); git tag -f v1 "
	      ">/dev/null");
	problem(w, with_keys(w, "HEAD", "key.pub"), "InvalidCommitSignature", "does not hold");
	end(w);
}

/* What was checked is not checked again, and something else is. */
void test_sources__verified_once(void **state)
{
	struct world *w = begin();
	struct json *r, *a;
	char *key;

	(void)state;
	sign_with(w, "-t ed25519");
	r = with_keys(w, "HEAD", "key.pub");
	a = fetch(w, r);
	key = arena_cstr(&w->a, json_str(json_at(a, "verified", "key")));
	json_set_str(&w->a, json_get(r, STR("verify")), "verified", str_c(key));
	a = fetch(w, r);
	assert_int_equal(json_str(json_at(a, "verified", "message")).n, 0);
	sh(w, "cd repo; git commit -q --no-gpg-sign --allow-empty -m unsigned; git tag -f v1 "
	      ">/dev/null");
	problem(w, r, "InvalidCommitSignature", "not signed");
	end(w);
}

void test_sources__openpgp_signatures(void **state)
{
	struct world *w = begin();

	(void)state;
	if (access("/usr/bin/gpg", X_OK)) {
		end(w);
		skip();
	}
	sh(w,
	   "mkdir -m 700 .gnupg; for n in good other; do gpg --batch --quiet --passphrase '' "
	   "--quick-gen-key $n@x ed25519 sign never 2>/dev/null; gpg --batch --armor --export "
	   "$n@x >$n.asc; done; cd repo; git -c gpg.program=gpg -c user.signingkey=good@x commit "
	   "-qS --allow-empty -m signed; git -c user.signingkey=good@x tag -f -s -m t v1 "
	   ">/dev/null; gpgconf --kill all");
	holds(w, with_keys(w, "TagAndHEAD", "good.asc"));
	problem(w, with_keys(w, "HEAD", "other.asc"), "InvalidCommitSignature", "not among");
	sh(w, "ssh-keygen -q -t ed25519 -N '' -f key");
	problem(w, with_keys(w, "HEAD", "key.pub"), "InvalidCommitSignature", "holds none");
	end(w);
}

/* ---- put together ---- */

void test_sources__sparse_folders(void **state)
{
	struct world *w = begin();
	struct json *a = fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"},"
					     "\"sparse\":[\"./app/\"]}"));

	(void)state;
	assert_string_equal(files(w, a), "app/a.yaml");
	assert_string_equal(text(w, a, "base"), sh(w, "git -C repo rev-parse HEAD"));
	assert_string_not_equal(text(w, a, "base"), text(w, a, "commit"));
	/* Equal parts, equal commit. */
	assert_string_equal(text(w, a, "commit"),
			    text(w,
				 fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"},"
						     "\"sparse\":[\"./app/\"]}")),
				 "commit"));
	a = fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"},"
				"\"sparse\":[\"app\",\"app/a.yaml\",\"other\"]}"));
	assert_string_equal(files(w, a), "app/a.yaml other/b.yaml");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"sparse\":[\"none\"]}"), "none");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"sparse\":[\"../x\"]}"), "leaves");
	end(w);
}

void test_sources__submodules(void **state)
{
	struct world *w = begin();
	struct json *a;

	(void)state;
	sh(w, "git init -q -b main lib; mkdir lib/in; echo c: 1 >lib/in/c.yaml; git -C lib add -A; "
	      "git -C lib commit -qm lib; cd repo; git -c protocol.file.allow=always submodule "
	      "--quiet add ../lib vendor/lib 2>/dev/null; git commit -qm sub");
	a = fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"}}"));
	assert_string_equal(files(w, a), "app/a.yaml other/b.yaml");
	a = fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"submodules\":true}"));
	assert_string_equal(files(w, a), "app/a.yaml other/b.yaml vendor/lib/in/c.yaml");
	/* Another place on this machine is not this repository's to name. */
	sh(w, "cd repo; git config -f .gitmodules submodule.vendor/lib.url file:///etc/x; "
	      "git commit -qam evil");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"submodules\":true}"), "same server");
	sh(w, "cd repo; git config -f .gitmodules submodule.vendor/lib.url ../../../etc/x; "
	      "git commit -qam evil");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"submodules\":true}"), "same server");
	end(w);
}

void test_sources__includes(void **state)
{
	struct world *w = begin(), *o = begin();
	struct json *r = request(w, "{\"ref\":{\"branch\":\"main\"}}"), *other, *list, *a;

	(void)state;
	other = fetch(o, request(o, "{\"ref\":{\"branch\":\"main\"}}"));
	list = json_set_array(&w->a, r, "include");
	json_append(&w->a, list,
		    json_build(&w->a, "{s:s,s:s,s:s,s:s}", "mirror", o->mirror, "commit",
			       text(o, other, "commit"), "fromPath", "app", "toPath", "deps/app"));
	a = fetch(w, r);
	assert_string_equal(files(w, a), "app/a.yaml deps/app/a.yaml other/b.yaml");
	json_set_str(&w->a, json_item(list, 0), "toPath", STR("other"));
	assert_string_equal(files(w, fetch(w, r)), "app/a.yaml other/a.yaml");
	json_set_str(&w->a, json_item(list, 0), "fromPath", STR("none"));
	refuse(w, r, "no folder");
	json_set_str(&w->a, json_item(list, 0), "fromPath", STR(""));
	json_set_str(&w->a, json_item(list, 0), "toPath", STR("../up"));
	refuse(w, r, "leaves");
	end(o);
	end(w);
}

/* Drift is written on top of the remote's own commit, never of one that was put together. */
void test_sources__a_push_starts_from_the_remotes_commit(void **state)
{
	struct world *w = begin();
	struct json *a, *r;
	struct err err = {0};

	(void)state;
	sh(w, "git clone -q --bare repo bare");
	w->url = arena_printf(&w->a, "file://%s/bare", w->dir);
	a = fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"sparse\":[\"app\"]}"));
	r = request(w, "{\"branch\":\"plumb/drift/x\",\"message\":\"m\\n\\n"
		       "Plumb-Drift: x\\n\",\"files\":[{\"path\":\"app/a.yaml\","
		       "\"content\":\"a: 2\\n\"}]}");
	json_set_str(&w->a, r, "base", str_c(text(w, a, "commit")));
	if (!gitremote_push(&w->a, r, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(sh(w, "git -C bare diff --name-only main plumb/drift/x"), "app/a.yaml");
	assert_string_equal(sh(w, "git -C bare rev-parse plumb/drift/x~1"),
			    sh(w, "git -C bare rev-parse main"));
	end(w);
}

/* ---- hostile remotes ---- */

void test_sources__a_fetch_is_bounded(void **state)
{
	struct world *w = begin();

	(void)state;
	sh(w, "cd repo; head -c 3000000 /dev/urandom >big; git add big; git commit -qm big");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"},\"maxBytes\":1000000}"),
	       "in one fetch");
	/* Nothing half-fetched is taken for whole. */
	fetch(w, request(w, "{\"ref\":{\"branch\":\"main\"}}"));
	end(w);
}

void test_sources__a_broken_remote_is_an_error(void **state)
{
	struct world *w = begin();

	(void)state;
	sh(w, "cd repo; git repack -qad; p=$(ls .git/objects/pack/*.pack); chmod +w $p; "
	      "truncate -s 60 $p");
	refuse(w, request(w, "{\"ref\":{\"branch\":\"main\"}}"), "");
	end(w);
}

void test_sources__passwords_in_addresses_are_not_shown(void **state)
{
	struct world *w = begin();
	struct json *r = request(w, "{\"ref\":{\"branch\":\"main\"}}");
	struct err err = {0};

	(void)state;
	json_set_str(&w->a, r, "url", STR("http://bot:s3cret@127.0.0.1:1/x.git"));
	assert_null(gitremote_fetch(&w->a, r, &err));
	assert_null(strstr(err.msg, "s3cret"));
	end(w);
}

/* Of our own descriptors: those of packs that are no more. */
static int gone_packs(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char to[PATH_MAX] = "";

		if (readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1) > 0)
			n += strstr(to, ".pack (deleted)") != NULL;
	}
	closedir(d);
	return n;
}

void test_sources__readers_let_go_of_packs_that_are_gone(void **state)
{
	struct world *w = begin();
	struct json *r = request(w, "{\"ref\":{\"branch\":\"main\"}}"), *a = NULL;
	struct gitmirror *m = NULL;
	struct git_file f;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 4; i++) {
		sh(w, arena_printf(&w->a, "cd repo; echo c: %d >app/a.yaml; git commit -qam %d", i,
				   i));
		a = fetch(w, r);
		if (!m)
			m = git_open(w->mirror, &err);
		assert_non_null(m);
		assert_int_equal(git_file(m, &w->a, text(w, a, "commit"), "app/a.yaml", &f, &err),
				 0);
	}
	if (!gitremote_repack(&w->a, r, &err))
		fail_msg("%s", err.msg);
	assert_true(gone_packs() > 0); /* else this proves nothing */
	git_refresh(m);
	assert_int_equal(gone_packs(), 0);
	assert_int_equal(git_file(m, &w->a, text(w, a, "commit"), "app/a.yaml", &f, &err), 0);
	assert_true(str_is(f.data, "c: 3\n"));
	git_close(m);
	end(w);
}

void test_sources__packs_are_put_together(void **state)
{
	struct world *w = begin();
	struct json *r = request(w, "{\"ref\":{\"branch\":\"main\"}}"), *a = NULL;
	struct err err = {0};

	(void)state;
	for (int i = 0; i < 4; i++) {
		sh(w, arena_printf(&w->a, "cd repo; echo c: %d >app/a.yaml; git commit -qam %d", i,
				   i));
		a = fetch(w, r);
	}
	assert_true(gitpack_count(w->mirror) >= 4);
	if (!gitremote_repack(&w->a, r, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(gitpack_count(w->mirror), 1);
	assert_string_equal(files(w, a), "app/a.yaml other/b.yaml");
	sh(w, "git -C mirror fsck --full 2>&1");
	fetch(w, r);
	end(w);
}

/* ---- archives ---- */

static int unpack(struct world *w, const char *make, char commit[GIT_OID_TEXT], struct err *err)
{
	struct buf bytes = {0};
	int rc;

	sh(w, make);
	assert_int_equal(fs_read(arena_printf(&w->a, "%s/t.tar", w->dir), 64 << 20, &bytes, err),
			 0);
	rc = gitunpack(w->mirror, buf_view(&bytes), commit, err);
	buf_release(&bytes);
	return rc;
}

void test_sources__archives_become_commits(void **state)
{
	struct world *w = begin();
	char one[GIT_OID_TEXT], two[GIT_OID_TEXT];
	struct err err = {0};

	(void)state;
	if (unpack(w, "tar -C repo --exclude .git -czf t.tar .", one, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(files(w, json_build(&w->a, "{s:s}", "commit", one)),
			    "app/a.yaml other/b.yaml");
	/* When it was packed is no part of it. */
	assert_int_equal(unpack(w,
				"touch -d 2001-01-01 repo/app/a.yaml; tar -C repo --exclude .git "
				"-cf t.tar app other",
				two, &err),
			 0);
	assert_string_equal(one, two);
	end(w);
}

void test_sources__archives_that_are_refused(void **state)
{
	struct world *w = begin();
	char commit[GIT_OID_TEXT];
	struct err err = {0};

	(void)state;
	assert_int_equal(unpack(w, "tar -C repo/app -P --transform 's,^,../,' -cf t.tar a.yaml",
				commit, &err),
			 -1);
	assert_non_null(strstr(err.msg, "leaves"));
	err = (struct err){0};
	assert_int_equal(unpack(w, "echo hello >t.tar", commit, &err), -1);
	err = (struct err){0};
	assert_int_equal(
		unpack(w, "head -c 70000000 /dev/zero >z; tar -czf t.tar z; rm z", commit, &err),
		-1);
	assert_int_equal(err.code, ERR_LIMIT);
	/* A repository in an archive brings none of its settings. */
	assert_int_equal(unpack(w, "tar -C repo -cf t.tar .git app", commit, &err), 0);
	assert_string_equal(files(w, json_build(&w->a, "{s:s}", "commit", commit)), "app/a.yaml");
	end(w);
}
