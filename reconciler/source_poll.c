/*
 * One poll of a source: its Secret, then the git helper, which asks the remote where the reference
 * stands and fetches only when that moved. Also watches the references of a repository on this
 * machine, so that a push to it is seen at once. On the role's loop.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"
#include "reconciler/engine.h"

#define TIMEOUT_DEFAULT (60 * NS_PER_S)

static void on_fetched(void *arg, const struct json *answer, const struct err *err)
{
	struct source *s = arg;

	s->helper = NULL;
	source_fetched(s, answer, err);
	if (answer && s->asked.n) {
		AUTO(arena) struct arena a = {0};

		source_branches(s, json_parse(&a, buf_view(&s->asked), NULL, NULL),
				json_get(answer, STR("branches")));
	}
}

static void ask(struct source *s, struct arena *a, const struct json *auth)
{
	const struct json *spec = json_get(obj_tree(s->o, a), STR("spec")),
			  *ref = json_get(spec, STR("ref"));
	struct json *request = json_build(a, "{s:s,s:s}", "url", s->url, "mirror", s->mirror);
	char *dir = arena_printf(a, "%s/git", s->r->opts.data_dir);
	struct json *branches;
	int64_t limit;
	struct err err = {0};

	if (fs_mkdirs(dir, 0700, &err)) {
		source_fetched(s, NULL, &err);
		return;
	}
	json_set(a, request, STR("ref"), ref ? ref : json_new(a, JSON_OBJECT));
	branches = proposed_branches(s->r, s, a);
	buf_reset(&s->asked);
	json_write(branches, &s->asked);
	json_set(a, request, STR("branches"), branches);
	buf_wipe(&s->auth);
	if (auth) {
		json_set(a, request, STR("auth"), auth);
		json_write(auth, &s->auth);
	}
	if (duration_parse(json_str(json_get(spec, STR("timeout"))), &limit) || limit <= 0)
		limit = TIMEOUT_DEFAULT;
	s->helper = githelper_start(s->r->loop, "git-fetch", request, limit, on_fetched, s);
}

/* The keys of a Secret, decoded. */
static struct json *decode(struct arena *a, const struct json *secret)
{
	const struct json *data = json_get(secret, STR("data"));
	struct json_member *m = json_members(data);
	struct json *out = json_new(a, JSON_OBJECT);

	for (size_t i = 0; m && i < json_len(data); i++) {
		AUTO(buf) struct buf text = {0};

		if (!base64_decode(json_str(&m[i].value), &text))
			json_set(a, out, m[i].key, json_new_str(a, buf_view(&text)));
		buf_wipe(&text);
	}
	return out;
}

static void on_secret(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = arg;
	struct err err = answer->err;
	const struct json *secret;

	s->call = NULL;
	secret = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);
	if (!secret) {
		err_wrap(&err, "spec.secretRef");
		source_fetched(s, NULL, &err);
		return;
	}
	ask(s, &a, decode(&a, secret));
}

void source_poll(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(obj_tree(s->o, &a), STR("spec"));
	struct str secret = json_str(json_at(spec, "secretRef", "name"));
	struct api_call call = {.verb = API_GET,
				.resource = &res_secrets,
				.namespace = s->o->namespace,
				.name = secret};

	if (json_bool(json_get(spec, STR("suspend")), false))
		return;
	if (s->helper || s->call) {
		s->again = true;
		return;
	}
	loop_timer_cancel(s->r->loop, &s->timer);
	if (json_get(spec, STR("verify"))) {
		struct err err = {0};

		err_set(&err, ERR_UNSUPPORTED, "spec.verify: signatures are not checked yet");
		source_fetched(s, NULL, &err);
	} else if (secret.n) {
		s->call = client_call(s->r->client, &call, on_secret, s);
	} else {
		ask(s, &a, NULL);
	}
}

/* ---- a repository on this machine ---- */

static void on_inotify(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct source *s = CONTAINER_OF(w, struct source, inotify);
	char buf[4096];

	(void)l;
	(void)ready;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	source_poll(s);
}

void source_unwatch_files(struct source *s)
{
	if (s->inotify.fd < 0)
		return;
	loop_fd_del(s->r->loop, &s->inotify);
	close(s->inotify.fd);
	s->inotify.fd = -1;
}

/* git writes a reference beside it and renames; packed-refs stands in the repository itself. */
void source_watch_files(struct source *s)
{
	static const char *const dirs[] = {"", "/refs/heads", "/refs/tags", "/.git",
					   "/.git/refs/heads"};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	if (!s->url || strncmp(s->url, "file://", 7) != 0)
		return;
	s->inotify.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	s->inotify.fn = on_inotify;
	if (s->inotify.fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		inotify_add_watch(s->inotify.fd, arena_printf(&a, "%s%s", s->url + 7, dirs[i]),
				  IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
	if (loop_fd_set(s->r->loop, &s->inotify, EPOLLIN, &err)) {
		log_warn("cannot watch the repository, polling only", "source", s->key, "error",
			 err.msg);
		source_unwatch_files(s);
	}
}
