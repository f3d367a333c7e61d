/*
 * The ground that fetching and pushing stand on: opening a mirror, connecting, downloading through
 * libgit2. Runs only in the helper process: it blocks on networks and reads what strangers send,
 * and may die of it. Credentials come in the request, stay in memory, and never reach a message.
 * Memory: the caller's arena; libgit2's objects are freed here.
 */
#include "reconciler/gitremote.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <git2/errors.h>
#include <git2/global.h>
#include <git2/odb.h>
#include <git2/refs.h>
#include <git2/repository.h>

#include "lib/os/lazy.h"
#include "reconciler/gitpack.h"
#include "reconciler/gitremote-internal.h"

#define RECEIVED_MAX (UINT64_C(2) << 30)
#define OBJECTS_MAX 4000000u
#define LEFTOVER_S 3600
#define LOCK_LEFTOVER_S 10 /* a reference is written in no time */
#define REFS_DEPTH 16

int gr_fail(struct gitsession *s, struct err *err, int rc, const char *what)
{
	const git_error *e = git_error_last();
	enum err_code code = rc == GIT_ENOTFOUND ? ERR_NOT_FOUND
			     : rc == GIT_EAUTH   ? ERR_UNAUTHORIZED
						 : ERR_UNAVAILABLE;

	if (s->limit[0])
		return err_set(err, ERR_LIMIT, "%s: %s", what, s->limit);
	if (s->auth.problem[0])
		return err_set(err, ERR_UNAUTHORIZED, "%s: %s", what, s->auth.problem);
	return err_set(err, code, "%s: %s", what, e && e->message ? e->message : "unknown error");
}

bool gr_name_valid(const char *ref)
{
	int valid = 0;

	return git_reference_name_is_valid(&valid, ref) == 0 && valid;
}

char *gr_text(struct gitsession *s, const struct json *request, const char *key)
{
	struct str v = json_str(json_get(request, str_c(key)));

	return v.n && !memchr(v.p, 0, v.n) ? arena_cstr(s->a, v) : NULL;
}

/* A pack may be larger than anybody wants to keep. */
static int on_progress(const git_indexer_progress *p, void *arg)
{
	struct gitauth *g = arg;
	struct gitsession *s = CONTAINER_OF(g, struct gitsession, auth);

	if (p->received_bytes > s->max_bytes)
		snprintf(s->limit, sizeof(s->limit), "more than %llu MiB in one fetch",
			 (unsigned long long)(s->max_bytes >> 20));
	else if (p->total_objects > OBJECTS_MAX)
		snprintf(s->limit, sizeof(s->limit), "more than %u objects in one fetch",
			 OBJECTS_MAX);
	return s->limit[0] ? GIT_EUSER : 0;
}

/* https://user:password@host/ is a way to give credentials, and no text for a status. */
static const char *shown(struct arena *a, const char *url)
{
	struct str u = str_c(url), host, path, user, rest;
	ptrdiff_t at = str_find(u, STR("://"));

	if (at < 0)
		return arena_cstr(a, u);
	if (!str_cut(str_sub(u, (size_t)at + 3, u.n), '/', &host, &path))
		path = STR("");
	if (!str_rcut(host, '@', &user, &rest))
		return arena_cstr(a, u);
	return arena_printf(a, "%.*s://%.*s/%.*s", (int)at, url, STR_ARG(rest), STR_ARG(path));
}

int gr_turn_to(struct gitsession *s, const char *url, struct err *err)
{
	int rc;

	s->url = shown(s->a, url);

	git_remote_free(s->remote);
	s->remote = NULL;
	s->auth.asked = s->auth.proxy_asked = 0;
	rc = git_remote_create_anonymous(&s->remote, s->repo, url);
	return rc < 0 ? gr_fail(s, err, rc, s->url) : 0;
}

/* What a helper that was killed left behind, so that no stalling remote fills the disk. */
static void sweep(const char *mirror)
{
	DIR *d;
	struct dirent *e;
	struct stat st;
	time_t now = time(NULL);
	int fd = open(mirror, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int pack = fd < 0 ? -1 : openat(fd, "objects/pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	d = pack < 0 ? NULL : fdopendir(pack);
	if (!d) {
		if (pack >= 0)
			close(pack);
		return;
	}
	while ((e = readdir(d))) {
		struct str name = str_c(e->d_name);

		if (str_ends(name, STR(".pack")) || str_ends(name, STR(".idx")) ||
		    str_find(name, STR("pack")) != 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode) || st.st_mtime > now - LEFTOVER_S)
			continue;
		unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
}

/* The locks, too: whoever held one for so long was killed, and nobody else would ever write what it
 * locks. No reference's own name ends so. */
static void sweep_locks(int at, const char *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISDIR(st.st_mode) && depth > 0)
			sweep_locks(fd, e->d_name, depth - 1);
		else if (S_ISREG(st.st_mode) && str_ends(str_c(e->d_name), STR(".lock")) &&
			 st.st_mtime <= now - LOCK_LEFTOVER_S)
			unlinkat(fd, e->d_name, 0);
	}
	closedir(d);
}

static void sweep_mirror(const char *mirror)
{
	int fd = open(mirror, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	sweep(mirror);
	if (fd < 0)
		return;
	sweep_locks(fd, ".", 0);
	sweep_locks(fd, "refs", REFS_DEPTH);
	close(fd);
}

int gr_open(struct gitsession *s, const struct json *request, struct err *err)
{
	const char *mirror = gr_text(s, request, "mirror"), *url = gr_text(s, request, "url");
	int64_t max = json_int(json_get(request, STR("maxBytes")), 0);
	int rc;

	if (lazy_load(&lazy_git2, err))
		return -1;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	if (!mirror || !url)
		return err_set(err, ERR_BAD_REQUEST, "mirror and url are required");
	s->max_bytes = max > 0 ? (uint64_t)max : RECEIVED_MAX;
	if (gitauth_init(&s->auth, s->a, request, err))
		return -1;
	sweep_mirror(mirror);
	if (git_repository_open_bare(&s->repo, mirror) < 0) {
		rc = git_repository_init(&s->repo, mirror, true);
		if (rc < 0)
			return gr_fail(s, err, rc, "make the mirror");
	}
	gitpack_bury(mirror);
	git_remote_init_callbacks(&s->callbacks, GIT_REMOTE_CALLBACKS_VERSION);
	gitauth_callbacks(&s->auth, &s->callbacks);
	s->callbacks.transfer_progress = on_progress;
	if (s->auth.header)
		s->headers = (git_strarray){.strings = &s->auth.header, .count = 1};
	return gr_turn_to(s, url, err);
}

void gr_close(struct gitsession *s)
{
	git_remote_free(s->remote);
	git_repository_free(s->repo);
	git_libgit2_shutdown();
}

/* A token in a header would follow a redirection to wherever that leads. */
static git_remote_redirect_t redirects(const struct gitsession *s)
{
	return s->auth.header ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
}

int gr_list(struct gitsession *s, const git_remote_head ***heads, size_t *n, struct err *err)
{
	git_remote_connect_options o;
	int rc;

	git_remote_connect_options_init(&o, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
	o.callbacks = s->callbacks;
	o.follow_redirects = redirects(s);
	o.custom_headers = s->headers;
	gitauth_proxy(&s->auth, &o.proxy_opts);
	rc = git_remote_connect_ext(s->remote, GIT_DIRECTION_FETCH, &o);
	if (rc < 0)
		return gr_fail(s, err, rc, s->url);
	rc = git_remote_ls(heads, n, s->remote);
	return rc < 0 ? gr_fail(s, err, rc, s->url) : 0;
}

const git_oid *gr_find(const git_remote_head **heads, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(heads[i]->name, name))
			return &heads[i]->oid;
	}
	return NULL;
}

bool gr_have(struct gitsession *s, const git_oid *id)
{
	git_odb *odb;
	bool found;

	if (git_repository_odb(&odb, s->repo) < 0)
		return false;
	found = git_odb_exists(odb, id);
	git_odb_free(odb);
	return found;
}

int gr_download(struct gitsession *s, const char *refspec, struct err *err)
{
	git_fetch_options o;
	char *spec = arena_cstr(s->a, str_c(refspec));
	git_strarray specs = {.strings = &spec, .count = 1};
	int rc;

	git_fetch_options_init(&o, GIT_FETCH_OPTIONS_VERSION);
	o.callbacks = s->callbacks;
	o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	o.update_fetchhead = 0;
	o.follow_redirects = redirects(s);
	o.custom_headers = s->headers;
	gitauth_proxy(&s->auth, &o.proxy_opts);
	rc = git_remote_fetch(s->remote, &specs, &o, NULL);
	return rc < 0 ? gr_fail(s, err, rc, s->url) : 0;
}
