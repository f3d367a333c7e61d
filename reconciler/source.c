/*
 * Sources: one struct source a GitRepository, polled at its interval, at once when its spec changes
 * or somebody asks, and when a local repository's references change. Never blocks: git runs in the
 * helper. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"
#include "reconciler/reseal.h"

#define INTERVAL_MIN (100 * NS_PER_MS)

static void set_text(char **slot, struct str s)
{
	free(*slot);
	*slot = s.p ? xstrndup(s.p, s.n) : NULL;
}

struct source *source_find(struct reconciler *r, struct str namespace, struct str name)
{
	AUTO(arena) struct arena a = {0};

	return map_get(&r->sources, obj_key(&a, namespace, name));
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
	close_git(s);
	githelper_cancel(s->helper);
	client_call_cancel(s->r->client, s->call);
	reseal_free(s);
	loop_timer_cancel(s->r->loop, &s->timer);
	source_unwatch_files(s);
	map_del(&s->r->sources, str_c(s->key));
	obj_unref(s->o);
	free(s->key);
	free(s->revision);
	free(s->mirror);
	free(s->url);
	free(s->error);
	free(s->handled);
	buf_wipe(&s->auth);
	buf_release(&s->asked);
	free(s);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	source_poll(CONTAINER_OF(t, struct source, timer));
}

static int64_t interval_of(const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	int64_t ns;

	if (duration_parse(json_str(json_at(obj_tree(s->o, &a), "spec", "interval")), &ns))
		return 60 * NS_PER_S;
	return MAX(ns, INTERVAL_MIN);
}

/* What was fetched before a restart is still in the mirror. */
static void remember(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = obj_tree(s->o, &a);
	struct str url = json_str(json_at(o, "spec", "url"));

	if (s->url && str_is(url, s->url))
		return;
	close_git(s);
	set_text(&s->url, url);
	set_text(&s->mirror, str_c(git_mirror_path(&a, s->r->opts.data_dir, url)));
	s->commit[0] = 0;
	source_unwatch_files(s);
	source_watch_files(s);
}

void source_changed(struct reconciler *r, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;
	struct source *s = source_find(r, o->namespace, o->name);
	struct str asked;
	bool poll;

	if (!new) {
		source_free(s);
		return;
	}
	if (!s) {
		s = xalloc(sizeof(*s));
		s->r = r;
		s->inotify.fd = -1;
		set_text(&s->key, obj_key(&a, o->namespace, o->name));
		map_set(&r->sources, str_c(s->key), s);
	}
	obj_unref(s->o);
	s->o = obj_ref(new);
	asked = meta_annotation(obj_tree(new, &a), REQUESTED_AT);
	poll = s->generation != new->generation ||
	       (asked.n && (!s->handled || !str_is(asked, s->handled)));
	s->generation = new->generation;
	if (asked.n)
		set_text(&s->handled, asked);
	if (!poll)
		return;
	remember(s);
	source_poll(s);
}

void source_fetched(struct source *s, const struct json *answer, const struct err *err)
{
	struct str commit = json_str(json_get(answer, STR("commit")));
	bool moved = answer && !str_is(commit, s->commit);

	loop_timer_set(s->r->loop, &s->timer, interval_of(s), on_timer);
	if (answer) {
		snprintf(s->commit, sizeof(s->commit), "%.*s", STR_ARG(commit));
		set_text(&s->revision, json_str(json_get(answer, STR("revision"))));
	}
	source_report(s, err);
	if (moved) {
		log_info("new revision", "source", s->key, "revision", s->revision);
		units_of_source(s->r, s);
	}
	if (answer)
		reseal_look(s);
	if (s->again) {
		s->again = false;
		source_poll(s);
	}
}
