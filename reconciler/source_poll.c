/*
 * One poll of a source: its Secrets, then the helper, which asks the remote where the reference
 * stands and fetches only when that moved. A mirror has one writer at a time, however many sources
 * share it. Never blocks. On the role's loop.
 */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"
#include "reconciler/engine.h"
#include "reconciler/gitremote.h"

#define TIMEOUT_DEFAULT (60 * NS_PER_S)
#define TIMEOUT_MAX (3600 * NS_PER_S)
#define REPACK_TIMEOUT (600 * NS_PER_S)

/* ---- one at a time ---- */

static bool mirror_busy(const struct source *s)
{
	struct map_iter it = {0};

	while (map_next(&s->r->sources, &it)) {
		const struct source *other = it.value;

		if (other != s && other->helper && other->mirror &&
		    !strcmp(other->mirror, s->mirror))
			return true;
	}
	return false;
}

void sources_waiting(struct reconciler *r, const char *mirror)
{
	struct map_iter it = {0};

	while (map_next(&r->sources, &it)) {
		struct source *s = it.value;

		if (s->waits && s->mirror && !strcmp(s->mirror, mirror)) {
			s->waits = false;
			source_poll(s);
			return; /* the others wait for this one */
		}
	}
}

/* ---- keeping packs few ---- */

static void on_repacked(void *arg, const struct json *answer, const struct err *err)
{
	struct source *s = arg;
	struct map_iter it = {0};

	s->repack = NULL;
	while (answer && map_next(&s->r->sources, &it)) {
		const struct source *other = it.value;

		if (other->mirror && !strcmp(other->mirror, s->mirror))
			git_refresh(other->git);
	}
	if (!answer)
		log_warn("cannot put the mirror's packs together", "source", s->key, "error",
			 err->msg);
}

static void repack(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};

	while (map_next(&s->r->sources, &it)) {
		const struct source *other = it.value;

		if (other->repack && other->mirror && !strcmp(other->mirror, s->mirror))
			return;
	}
	s->repack = githelper_start(s->r->loop, "git-repack",
				    json_build(&a, "{s:s}", "mirror", s->mirror), REPACK_TIMEOUT,
				    on_repacked, s);
}

/* ---- the poll ---- */

static void on_fetched(void *arg, const struct json *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = arg;
	struct reconciler *r = s->r;
	char *mirror = arena_cstr(&a, str_c(s->mirror));

	s->helper = NULL;
	if (answer && json_int(json_get(answer, STR("packs")), 0) > GIT_PACKS_MAX)
		repack(s);
	if (answer && s->asked.n && json_get(answer, STR("branches")))
		source_branches(s, json_parse(&a, buf_view(&s->asked), NULL, NULL),
				json_get(answer, STR("branches")));
	source_fetched(s, answer, err);
	sources_waiting(r, mirror);
}

static int64_t limit_of(const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	int64_t limit;

	if (duration_parse(json_str(json_at(obj_tree(s->o, &a), "spec", "timeout")), &limit) ||
	    limit <= 0)
		return TIMEOUT_DEFAULT;
	return MIN(limit, TIMEOUT_MAX);
}

static void start(struct source *s, const struct json *secrets, const struct err *why)
{
	AUTO(arena) struct arena a = {0};
	const char *reason = "AuthenticationFailed";
	struct err err = *why;
	struct json *request;

	if (!secrets) {
		source_failed(s, strstr(err.msg, "spec.verify") ? "VerificationError" : reason,
			      &err);
		return;
	}
	if (mirror_busy(s)) {
		s->waits = true;
		return;
	}
	request = source_request(s, &a, secrets, &reason, &err);
	if (!request) {
		source_failed(s, reason, &err);
		return;
	}
	if (fs_mkdirs(arena_printf(&a, "%s/git", s->r->opts.data_dir), 0700, &err)) {
		source_failed(s, "StorageOperationFailed", &err);
		return;
	}
	s->asked_generation = s->generation;
	s->helper = githelper_start(s->r->loop, s->kind == SOURCE_OCI ? "oci-pull" : "git-fetch",
				    request, limit_of(s), on_fetched, s);
}

static void on_secrets(struct source *s, const struct json *secrets, const struct err *why)
{
	if (!secrets || !source_app(s, secrets, start))
		start(s, secrets, why);
}

void source_poll(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(obj_tree(s->o, &a), STR("spec"));

	if (json_bool(json_get(spec, STR("suspend")), false))
		return;
	if (s->helper || s->secrets || s->apptoken) {
		s->again = true;
		return;
	}
	s->waits = false;
	loop_timer_cancel(s->r->loop, &s->timer);
	source_secrets(s, on_secrets);
}
