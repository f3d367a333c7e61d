/*
 * Sources: one struct source a GitRepository or OCIRepository, polled at its interval, at once when
 * its spec changes or somebody asks, when a local repository's references change, and when what it
 * includes moved. Never blocks: git runs in the helper. On the role's loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/engine.h"
#include "reconciler/gitpack.h"
#include "reconciler/prplan.h"
#include "reconciler/reseal.h"

#define INTERVAL_MIN (100 * NS_PER_MS)

static const struct backoff retry = {.base_ns = 2 * NS_PER_S, .max_ns = 120 * NS_PER_S};

static void set_text(char **slot, struct str s)
{
	free(*slot);
	*slot = s.p ? xstrndup(s.p, s.n) : NULL;
}

static struct str key_of(struct arena *a, enum source_kind kind, struct str namespace,
			 struct str name)
{
	struct str key = obj_key(a, namespace, name);

	return kind == SOURCE_OCI ? arena_strf(a, "OCIRepository/%.*s", STR_ARG(key)) : key;
}

static struct source *find(struct reconciler *r, enum source_kind kind, struct str namespace,
			   struct str name)
{
	AUTO(arena) struct arena a = {0};

	return map_get(&r->sources, key_of(&a, kind, namespace, name));
}

struct source *source_find(struct reconciler *r, struct str namespace, struct str name)
{
	return find(r, SOURCE_GIT, namespace, name);
}

struct source *source_find_oci(struct reconciler *r, struct str namespace, struct str name)
{
	return find(r, SOURCE_OCI, namespace, name);
}

const struct resource *source_resource(const struct source *s)
{
	return s->kind == SOURCE_OCI ? &res_ocirepositories : &res_gitrepositories;
}

struct gitmirror *source_git(struct source *s, struct err *err)
{
	if (!s->git)
		s->git = git_open(s->mirror, err);
	return s->git;
}

static void close_git(struct source *s)
{
	struct map_iter it = {0};

	while (s->git && map_next(&s->r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		struct unit *u = it.value;

		if (u->run && unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) == s)
			run_cancel(u);
	}
	git_close(s->git);
	s->git = NULL;
}

void source_free(struct source *s)
{
	if (!s)
		return;
	reseal_free(s);
	prplan_free(s);
	close_git(s);
	githelper_cancel(s->helper);
	githelper_cancel(s->repack);
	source_secrets_cancel(s);
	source_app_cancel(s);
	loop_timer_cancel(s->r->loop, &s->timer);
	source_unwatch_files(s);
	map_del(&s->r->sources, str_c(s->key));
	obj_unref(s->o);
	free(s->key);
	free(s->revision);
	free(s->mirror);
	free(s->url);
	free(s->digest);
	free(s->error);
	free(s->handled);
	free(s->verified);
	free(s->verified_by);
	free(s->origin);
	buf_wipe(&s->auth);
	buf_release(&s->asked);
	free(s);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	source_poll(CONTAINER_OF(t, struct source, timer));
}

/* A little less than asked for, by source: a hundred of them don't all fetch at once. */
static int64_t interval_of(const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	int64_t ns;

	if (duration_parse(json_str(json_at(obj_tree(s->o, &a), "spec", "interval")), &ns))
		ns = 60 * NS_PER_S;
	ns = MAX(ns, INTERVAL_MIN);
	ns -= ns / 20000 * (str_fnv32(str_c(s->key)) % 1000);
	return s->failures ? MIN(ns, backoff_after(&retry, s->failures - 1)) : ns;
}

/* A mirror that no source uses any longer: put aside, and removed by the next fetch of any. */
static void forget_mirror(struct reconciler *r, const char *mirror)
{
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};
	char id[UUID_TEXT_MAX];

	while (map_next(&r->sources, &it)) {
		const struct source *other = it.value;

		if (other->mirror && !strcmp(other->mirror, mirror))
			return;
	}
	uuid_v4(id);
	/* Where it was never made there is nothing to put aside. */
	(void)!rename(mirror, arena_printf(&a, "%s/git/" GIT_GONE "%s", r->opts.data_dir, id));
}

/* What was fetched before a restart is still in the mirror. */
static void remember(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = obj_tree(s->o, &a);
	struct str url = json_str(json_at(o, "spec", "url"));
	const char *before;

	if (s->url && str_is(url, s->url))
		return;
	close_git(s);
	before = s->mirror ? arena_cstr(&a, str_c(s->mirror)) : NULL;
	set_text(&s->url, url);
	set_text(&s->mirror, str_c(git_mirror_path(&a, s->r->opts.data_dir, url)));
	if (before)
		forget_mirror(s->r, before);
	s->commit[0] = s->base[0] = 0;
	set_text(&s->digest, STR_NONE);
	set_text(&s->verified, STR_NONE);
	source_unwatch_files(s);
	if (s->kind == SOURCE_GIT)
		source_watch_files(s);
}

static struct source *make(struct reconciler *r, enum source_kind kind, struct str key)
{
	struct source *s = xalloc(sizeof(*s));

	s->r = r;
	s->kind = kind;
	s->inotify.fd = -1;
	set_text(&s->key, key);
	map_set(&r->sources, str_c(s->key), s);
	return s;
}

/* Others show its content as a folder of theirs. */
static void poll_including(struct source *s)
{
	struct map_iter it = {0};

	while (map_next(&s->r->sources, &it)) {
		AUTO(arena) struct arena a = {0};
		struct source *other = it.value;
		const struct json *list = json_at(obj_tree(other->o, &a), "spec", "include");

		if (other == s || other->kind != SOURCE_GIT)
			continue;
		for (size_t i = 0; i < json_len(list); i++) {
			if (source_included(other, json_item(list, i)) == s) {
				source_poll(other);
				break;
			}
		}
	}
}

/* What was asked for by another spec answers nothing: an address or a demand may be new. */
static void begin_anew(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	char *mirror = s->helper ? arena_cstr(&a, str_c(s->mirror)) : NULL;

	githelper_cancel(s->helper);
	s->helper = NULL;
	source_secrets_cancel(s);
	source_app_cancel(s);
	s->again = s->waits = false;
	s->failures = 0;
	if (mirror)
		sources_waiting(s->r, mirror);
}

static void changed(struct reconciler *r, enum source_kind kind, const struct obj *old,
		    const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;
	struct source *s = find(r, kind, o->namespace, o->name);
	struct str asked;
	bool poll;

	if (!new) {
		char *mirror = s ? arena_cstr(&a, str_c(s->mirror)) : NULL;

		source_free(s);
		if (mirror) {
			sources_waiting(r, mirror);
			forget_mirror(r, mirror);
		}
		return;
	}
	if (!s)
		s = make(r, kind, key_of(&a, kind, o->namespace, o->name));
	obj_unref(s->o);
	s->o = obj_ref(new);
	asked = meta_annotation(obj_tree(new, &a), REQUESTED_AT);
	poll = s->generation != new->generation ||
	       (asked.n && (!s->handled || !str_is(asked, s->handled)));
	if (s->generation != new->generation)
		begin_anew(s);
	s->generation = new->generation;
	if (asked.n)
		set_text(&s->handled, asked);
	if (!poll)
		return;
	remember(s);
	source_poll(s);
}

void source_changed(struct reconciler *r, const struct obj *old, const struct obj *new)
{
	changed(r, SOURCE_GIT, old, new);
}

void source_changed_oci(struct reconciler *r, const struct obj *old, const struct obj *new)
{
	changed(r, SOURCE_OCI, old, new);
}

/* Whatever came of it: when to look again. */
static void settle(struct source *s, bool ok)
{
	s->failures = ok ? 0 : s->failures + 1;
	loop_timer_set(s->r->loop, &s->timer, interval_of(s), on_timer);
	if (s->again) {
		s->again = false;
		source_poll(s);
	}
}

void source_failed(struct source *s, const char *reason, const struct err *err)
{
	struct source_news news = {.err = err, .reason = reason};

	source_report(s, &news);
	/* Those that have nothing to apply say why. */
	if (!s->commit[0])
		units_of_source(s->r, s);
	settle(s, false);
}

/* The head is not signed by whom it should be: what was verified before stays. */
static void refused(struct source *s, const struct json *problem)
{
	static const char *const reasons[] = {"InvalidTagSignature", "InvalidCommitSignature"};
	struct str said = json_str(json_get(problem, STR("reason")));
	const char *reason = "VerificationError";
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (str_is(said, reasons[i]))
			reason = reasons[i];
	}
	err_set(&err, ERR_FORBIDDEN, "signature verification of %.*s",
		STR_ARG(json_str(json_get(problem, STR("message")))));
	source_failed(s, reason, &err);
}

#define ORIGIN_MAX 256
#define ORIGIN "org.opencontainers.image.revision"

static void take(struct source *s, const struct json *answer)
{
	const struct json *verified = json_get(answer, STR("verified"));
	struct str by = json_str(json_get(verified, STR("message")));
	struct str commit = json_str(json_get(answer, STR("commit"))),
		   base = json_str_or(json_get(answer, STR("base")), commit);

	snprintf(s->commit, sizeof(s->commit), "%.*s", STR_ARG(commit));
	snprintf(s->base, sizeof(s->base), "%.*s", STR_ARG(base));
	set_text(&s->revision, json_str(json_get(answer, STR("revision"))));
	set_text(&s->digest, json_str(json_get(answer, STR("digest"))));
	set_text(&s->origin, str_sub(json_str(json_at(answer, "metadata", ORIGIN)), 0, ORIGIN_MAX));
	set_text(&s->verified, json_str(json_get(verified, STR("key"))));
	if (by.n || !verified)
		set_text(&s->verified_by, by.n ? by : STR_NONE);
}

void source_fetched(struct source *s, const struct json *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct source_news news = {.err = err};
	bool moved;

	if (!answer) {
		source_failed(s, NULL, err);
		return;
	}
	if (json_get(answer, STR("problem"))) {
		refused(s, json_get(answer, STR("problem")));
		return;
	}
	moved = !str_is(json_str(json_get(answer, STR("commit"))), s->commit);
	news.rewritten = json_bool(json_get(answer, STR("rewritten")), false);
	news.was = s->revision ? arena_str(&a, str_c(s->revision)) : STR_NONE;
	news.metadata = json_get(answer, STR("metadata"));
	take(s, answer);
	source_report(s, &news);
	if (moved)
		log_info("new revision", "source", s->key, "revision", s->revision);
	/* Ignore rules may be new where the commit isn't. */
	if (moved || s->fetched_generation != s->asked_generation)
		units_of_source(s->r, s);
	s->fetched_generation = s->asked_generation;
	if (moved) {
		poll_including(s);
		reseal_look(s);
	}
	if (moved || !s->plans)
		prplan_look(s);
	settle(s, true);
}
