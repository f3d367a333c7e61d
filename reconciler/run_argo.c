/*
 * What an Application adds to a run: its own way of reading a folder, sync options, waves, hooks
 * around applying. Whatever is refused ends the run before anything was written. On the role's
 * loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"

#define PAUSE (100 * NS_PER_MS)
#define ALL_WAVES INT64_MAX

static const struct json *argo_of(const struct run *run)
{
	return json_get(run->spec, STR("argo"));
}

/* What the object says beats what the Application says. */
struct str argo_option_of(const struct run *run, const struct json *object, struct str key)
{
	AUTO(arena) struct arena a = {0};
	struct str own = object ? argo_option_value(object, arena_cstr(&a, key)) : STR_NONE;

	return own.n ? own : json_str(json_get(json_get(argo_of(run), STR("options")), key));
}

bool argo_run_option(const struct run *run, const struct json *object, const char *option)
{
	struct str key, value;

	if (!run->u->argo)
		return false;
	str_cut(str_c(option), '=', &key, &value);
	return str_eq(argo_option_of(run, object, key), value);
}

/* ---- before rendering ---- */

static bool is_commit(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!strchr("0123456789abcdef", s.p[i]))
			return false;
	}
	return s.n == GIT_OID_TEXT - 1;
}

/* Whoever asks for a sync has decided about what drifted: it goes. */
static void thaw(struct unit *u)
{
	struct map_iter it = {0};

	while (map_next(&u->entries, &it)) {
		struct entry *e = it.value;

		entry_thaw(e);
		e->frozen_gone = false;
	}
}

/* Said after the sync that asked for it. */
static bool is_approved(const struct run *run)
{
	AUTO(arena) struct arena a = {0};
	const struct argo *g = run->u->argo;
	const struct json *t = unit_tree(run->u, &a);
	struct str began = json_str(json_at(t, "status", "operationState", "startedAt"));
	int64_t at, since = g->started;

	if (time_parse(meta_annotation(t, ARGO_CONFIRMED), &at))
		return false;
	if (!since && (!began.n || time_parse(began, &since)))
		return false;
	/* Written in whole seconds. */
	return at / NS_PER_S >= since / NS_PER_S;
}

int argo_begin(struct run *run, struct err *err)
{
	struct argo *g = run->u->argo;
	struct str revision = json_str(json_at(argo_of(run), "operation", "sync", "revision"));
	struct str tracked = json_str(json_at(argo_of(run), "source", "targetRevision"));

	g->worked = false;
	run->approved = is_approved(run);
	if (g->operation && !run->u->plan)
		thaw(run->u);
	if (!revision.n || str_eq(revision, tracked) || str_is(revision, "HEAD") ||
	    str_is(revision, run->commit))
		return 0;
	if (!is_commit(revision))
		return err_set(err, ERR_UNSUPPORTED,
			       "operation.sync.revision: only a whole commit id, or what "
			       "targetRevision says");
	memcpy(run->commit, revision.p, revision.n);
	run->revision = arena_strf(&run->arena, "sha1:%.*s", STR_ARG(revision));
	run->at_commit = true;
	return 0;
}

void argo_prepare(struct run *run)
{
	struct render_opts *o = &run->opts;
	const struct json *argo = argo_of(run), *directory = json_get(argo, STR("directory"));
	struct render_pick *pick = arena_alloc(&run->arena, sizeof(*pick));

	*pick = (struct render_pick){.recurse =
					     json_bool(json_get(directory, STR("recurse")), false),
				     .include = json_str(json_get(directory, STR("include"))),
				     .exclude = json_str(json_get(directory, STR("exclude")))};
	o->pick = pick;
	o->overlay = json_get(argo, STR("overlay"));
	o->default_namespace = json_str(json_get(argo, STR("namespace")));
	o->tracked_as = o->unit_name;
	o->hook_suffix = run->commit[0] ? str_sub(str_c(run->commit), 0, 7) : STR("local");
	o->missing_ok = argo_run_option(run, NULL, "SkipDryRunOnMissingResource=true");
}

/* ---- hooks and resources are told apart ---- */

static int by_wave(const void *pa, const void *pb)
{
	const struct run_hook *a = pa, *b = pb;
	int ra = plan_rank(a->o.group, a->o.kind), rb = plan_rank(b->o.group, b->o.kind);

	if (a->wave != b->wave)
		return a->wave < b->wave ? -1 : 1;
	return ra != rb ? ra - rb : str_cmp(a->o.id, b->o.id);
}

/* Applied without hooks, where that is how the sync was asked for. */
static bool wanted(const struct run *run, enum argo_phase phase)
{
	const struct json *how = json_at(argo_of(run), "operation", "sync", "syncStrategy");

	return phase >= ARGO_PRE_DELETE || json_get(how, STR("hook")) ||
	       !json_get(how, STR("apply"));
}

static void add_hook(struct run *run, const struct rendered_object *o, unsigned phases)
{
	for (enum argo_phase p = 0; p < ARGO_PHASE_MAX; p++) {
		if (phases & (1u << p) && wanted(run, p))
			run->hooks[run->nhooks++] = (struct run_hook){
				.o = *o, .phase = p, .wave = argo_hook_wave(o->tree)};
	}
}

/* The first word that means nothing is said: whoever wrote it meant something. */
static void note_strange(struct run *run, const struct rendered_object *o, const char *key,
			 struct str word)
{
	AUTO(arena) struct arena a = {0};
	struct argo *g = run->u->argo;

	if (word.n && !g->strange)
		g->strange = xstrdup(arena_printf(
			&a, "%.*s: annotation %s: '%.*s' is not known, and means nothing",
			STR_ARG(rendered_place(&a, &run->rendered, o)), key,
			STR_ARG(str_sub(word, 0, 80))));
}

void argo_rendered(struct run *run)
{
	struct rendered *r = &run->rendered;
	struct argo *g = run->u->argo;
	size_t n = 0;

	g->kustomized = r->n && r->v[0].layered;
	free(g->strange);
	g->strange = NULL;
	run->hooks = arena_array(&run->arena, r->n * ARGO_PHASE_MAX + 1, sizeof(*run->hooks));
	for (size_t i = 0; i < r->n; i++) {
		struct rendered_object o = r->v[i];
		struct str strange;
		unsigned phases = argo_hook_phases(o.tree, &strange);

		note_strange(run, &o, ARGO_HOOK, strange);
		note_strange(run, &o, ARGO_OPTIONS, argo_option_strange(o.tree));
		if (phases)
			add_hook(run, &o, phases);
		else
			r->v[n++] = o;
	}
	r->n = n;
	if (run->nhooks)
		qsort(run->hooks, run->nhooks, sizeof(*run->hooks), by_wave);
	argo_finalizers_note(run);
}

/* ---- between dry run and apply ---- */

bool argo_makes_namespace(const struct run *run, struct str name)
{
	return argo_run_option(run, NULL, "CreateNamespace=true") &&
	       str_eq(name, run->opts.default_namespace);
}

/* The first run after a restart, of files that were applied before it under another commit. */
static bool only_renamed(const struct run *run)
{
	AUTO(arena) struct arena a = {0};
	const struct json *status = json_get(unit_tree(run->u, &a), STR("status"));
	struct str was = json_str(json_get(status, STR("lastAppliedRevision"))), label, commit;

	if (run->u->revision || !str_rcut(was, ':', &label, &commit) || !is_commit(commit) ||
	    json_int(json_get(status, STR("observedGeneration")), 0) != run->generation ||
	    run->reads.lost)
		return false;
	return reads_same(run->mirror, arena_cstr(&a, commit), buf_view(&run->reads.text));
}

/* Something is to be done, other than to find again what was applied before a restart. */
static bool works(const struct run *run)
{
	AUTO(arena) struct arena a = {0};

	/* What left the revision is to be pruned. */
	if (run->u->argo->operation || json_len(unit_inventory(run->u, &a)) > run->n)
		return true;
	if (only_renamed(run))
		return false;
	for (size_t i = 0; !run->resumed && i < run->n; i++) {
		if (run->items[i].changed && !run->items[i].skip)
			return true;
	}
	return false;
}

static void failed(struct run *run, const char *error)
{
	run_fail(run, "SyncFailed", str_c(error));
}

static void after_pre(struct run *run, const char *error)
{
	if (error)
		failed(run, error);
	else
		run_apply(run);
}

static void pre_hooks(struct run *run)
{
	if (!run->u->argo->worked)
		run_apply(run);
	else
		hooks_run(run, ARGO_PRE, ALL_WAVES, after_pre);
}

static void on_namespace(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	if (answer->err.code)
		run_fail(run, "SyncFailed",
			 arena_strf(&run->arena, "CreateNamespace=true: %s", answer->err.msg));
	else
		pre_hooks(run);
}

static const struct json *namespace_metadata(const struct run *run, struct arena *a)
{
	return json_at(obj_tree(run->u->o, a), "spec", "syncPolicy", "managedNamespaceMetadata");
}

static void make_namespace(struct run *run)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct str name = run->opts.default_namespace;
	const struct json *more = namespace_metadata(run, &a);
	struct json *o = json_build(&a, "{s:s,s:s,s:{s:S}}", "apiVersion", "v1", "kind",
				    "Namespace", "metadata", "name", name);
	struct json *meta = json_get(o, STR("metadata"));
	struct api_call call = {.verb = API_APPLY,
				.resource = &res_namespaces,
				.name = name,
				.force = true,
				.field_manager = FIELD_MANAGER "-namespace"};

	if (json_len(json_get(more, STR("labels"))))
		json_set(&a, meta, STR("labels"), json_get(more, STR("labels")));
	if (json_len(json_get(more, STR("annotations"))))
		json_set(&a, meta, STR("annotations"), json_get(more, STR("annotations")));
	json_write(o, &body);
	call.body = buf_view(&body);
	run_call_as(run, &call, 0, on_namespace);
}

/* Another unit declares it, too. */
static const struct run_item *shared(const struct run *run)
{
	struct map_iter it = {0};

	if (!argo_run_option(run, NULL, "FailOnSharedResource=true"))
		return NULL;
	while (map_next(&run->r->units, &it)) {
		const struct unit *u = it.value;

		for (size_t i = 0; u != run->u && i < run->n; i++) {
			if (map_has(&u->entries, run->items[i].o->id))
				return &run->items[i];
		}
	}
	return NULL;
}

/* What is to be made anew at each sync: Jobs, mostly. */
static void renew(struct run *run)
{
	for (size_t i = 0; i < run->n; i++) {
		struct run_item *item = &run->items[i];

		if (item->skip || !argo_run_option(run, item->o->tree, "Force=true") ||
		    !argo_run_option(run, item->o->tree, "Replace=true") ||
		    plan_is_precious(item->o->kind))
			continue;
		item->changed = item->recreate = true;
	}
}

void argo_before_apply(struct run *run)
{
	const struct run_item *other = shared(run);
	struct argo *g = run->u->argo;

	if (other) {
		run_fail(run, "SyncFailed",
			 arena_strf(&run->arena,
				    "%.*s %.*s belongs to something else as well "
				    "(FailOnSharedResource=true)",
				    STR_ARG(other->o->kind), STR_ARG(other->o->name)));
		return;
	}
	g->worked = works(run);
	if (g->worked) {
		g->started = loop_wall(run->r->loop);
		g->hooks = g->results = NULL;
		arena_reset(&g->arena);
		g->phase = "Running";
		g->by_hand = g->operation != NULL;
		renew(run);
	}
	if (g->worked && run->opts.default_namespace.n &&
	    argo_makes_namespace(run, run->opts.default_namespace))
		make_namespace(run);
	else
		pre_hooks(run);
}

/* ---- waves ---- */

static struct verdict judge_before(struct run *run, size_t end, bool changed_only, struct arena *a)
{
	struct verdict v = {0};

	for (size_t i = 0; i < end; i++) {
		struct run_item *item = &run->items[i];
		struct entry *e = item->entry;
		const struct obj *live;
		struct health_result h;

		if (!e || (changed_only && !item->changed))
			continue;
		live = entry_live(e);
		if (!live || (e->accepted && live->revision < e->accepted->revision)) {
			verdict_add(&v, HEALTH_PROGRESSING,
				    arena_strf(a, "%s %s", e->kind, e->name));
			continue;
		}
		h = unit_health_of(run->u, obj_tree(live, a), a);
		verdict_add(&v, h.state,
			    arena_strf(a, "%s %s: %.*s", e->kind, e->name, STR_ARG(h.message)));
	}
	return v;
}

static void on_wave_hooks(struct run *run, const char *error)
{
	if (error)
		failed(run, error);
	else
		run_pump(run);
}

static void on_wave_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	run_pump(run);
}

/* Whether what stands before `end` is well; when it isn't, `wait` looks again. */
static bool well(struct run *run, size_t end, bool changed_only,
		 void (*wait)(struct run *, size_t, const struct api_answer *))
{
	AUTO(arena) struct arena a = {0};
	struct verdict v = judge_before(run, end, changed_only, &a);
	int64_t now = loop_now(run->r->loop);

	if (!v.failed && !v.waiting) {
		run->wave_until = 0;
		return true;
	}
	if (!run->wave_until)
		run->wave_until = now + unit_timeout(run->spec);
	if (now < run->wave_until) {
		argo_waits(run->u, arena_strf(&a, "waiting for healthy state of %.*s (%zu wait)",
					      STR_ARG(v.first), v.waiting + v.failed));
		run_later(run, PAUSE, 0, wait);
		return false;
	}
	run->wave_error = arena_printf(&run->arena, "not healthy in time: %.*s", STR_ARG(v.first));
	return false;
}

bool run_wave_ready(struct run *run, size_t i)
{
	if (run->inflight)
		return false;
	if (run->u->argo && run->u->argo->worked &&
	    hooks_left(run, ARGO_SYNC, run->items[i].wave)) {
		hooks_run(run, ARGO_SYNC, run->items[i].wave, on_wave_hooks);
		return false;
	}
	return well(run, i, true, on_wave_pause);
}

/* ---- behind applying ---- */

static void after_post(struct run *run, const char *error)
{
	if (error)
		failed(run, error);
	else
		run_prune(run);
}

static void post(struct run *run);

static void on_post_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	post(run);
}

/* What comes after the sync comes when all of it is well. */
static void post(struct run *run)
{
	bool hooks = hooks_left(run, ARGO_POST, ALL_WAVES);

	if (!hooks && !argo_run_option(run, NULL, "PruneLast=true"))
		run_prune(run);
	else if (well(run, run->n, false, on_post_pause))
		hooks_run(run, ARGO_POST, ALL_WAVES, after_post);
	else if (run->wave_error)
		failed(run, run->wave_error);
}

static void after_sync(struct run *run, const char *error)
{
	if (error)
		failed(run, error);
	else
		post(run);
}

void argo_after_apply(struct run *run)
{
	if (run->u->argo->worked)
		hooks_run(run, ARGO_SYNC, ALL_WAVES, after_sync);
	else
		run_prune(run);
}

static void on_prune_pause(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)i;
	(void)answer;
	run_prune_next(run);
}

bool argo_prunes_later(struct run *run, const struct json *live)
{
	if (!run->u->argo->worked || run->farewell || !argo_option(live, "PruneLast=true"))
		return false;
	return !well(run, run->n, false, on_prune_pause) && !run->wave_error;
}

static void after_fail(struct run *run, const char *error)
{
	(void)error;
	run_fail(run, run->fail_reason, run->fail_message);
}

bool argo_on_failure(struct run *run, const char *reason, struct str message)
{
	if (run->farewell) {
		argo_farewell_failed(run, message);
		return true;
	}
	if (run->fail_reason || run->phase < RUN_APPLY || !hooks_left(run, ARGO_FAIL, ALL_WAVES))
		return false;
	run->fail_reason = reason;
	run->fail_message = arena_str(&run->arena, message);
	hooks_run(run, ARGO_FAIL, ALL_WAVES, after_fail);
	return true;
}

/* ---- what is no difference ---- */

static const struct json *ignored(const struct unit *u, struct arena *a)
{
	return u->argo ? json_at(unit_tree(u, a), "spec", "argo", "ignore") : NULL;
}

void argo_filter(const struct unit *u, const struct json *declared, struct drift_list *l)
{
	AUTO(arena) struct arena a = {0};
	const struct json *rules = ignored(u, &a);
	size_t n = 0;

	for (size_t i = 0; json_len(rules) && i < l->n; i++) {
		if (!argo_ignores(rules, declared, l->v[i].path, l->v[i].manager))
			l->v[n++] = l->v[i];
	}
	if (json_len(rules))
		l->n = n;
}

struct json *argo_respect(const struct entry *e, struct arena *a, struct json *tree)
{
	AUTO(arena) struct arena mine = {0};
	const struct json *rules = ignored(e->unit, &mine);
	const struct obj *live = json_len(rules) ? entry_live((struct entry *)e) : NULL;

	struct drift_list l;

	if (!live)
		return tree;
	argo_keep_ignored(a, rules, tree, obj_tree(live, &mine));
	/* What whoever is ignored wrote. */
	drift_compare(&mine, schema_find_kind(str_c(e->api_version), str_c(e->kind)), tree,
		      obj_tree(live, &mine), NULL, &l);
	for (size_t i = 0; i < l.n; i++) {
		const struct drift_item *d = &l.v[i];

		if (d->manager.n && argo_ignores(rules, tree, d->path, d->manager))
			argo_keep_value(a, tree, d->path, d->live);
	}
	return tree;
}
