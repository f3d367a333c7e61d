/*
 * A run of a unit, from revision to rendered objects; the steps that write are in run_apply.c and
 * run_prune.c. A run is data: each answer moves it on, nothing waits. It can be cancelled at any
 * point. Memory: the run's arena.
 */
#include "reconciler/run.h"
#include "reconciler/recipients.h"
#include "reconciler/spec.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/schema/cel.h"
#include "reconciler/argo.h"
#include "secrets/age.h"

static void run_free(struct run *run)
{
	while (run->ops) {
		struct run_op *op = run->ops;

		run->ops = op->next;
		if (op->call)
			client_call_cancel(op->client, op->call);
		loop_timer_cancel(run->r->loop, &op->timer);
		free(op);
	}
	if (run->discovering)
		restmap_cancel(unit_there(run->u)->restmap, run);
	for (size_t i = 0; i < run->n; i++)
		obj_unref(run->items[i].dry);
	loop_timer_cancel(run->r->loop, &run->soon);
	rendered_release(&run->rendered);
	reads_release(&run->reads);
	age_keys_free(run->keys);
	run->r->running--;
	arena_release(&run->arena);
	free(run);
}

void run_cancel(struct unit *u)
{
	if (u->run)
		run_free(u->run);
	u->run = NULL;
	if (u->argo)
		u->plan = NULL;
	units_dequeue(u->r);
}

static void op_done(struct run_op *op, const struct api_answer *answer)
{
	struct run *run = op->run;
	void (*done)(struct run *, size_t, const struct api_answer *) = op->done;
	size_t i = op->i;

	for (struct run_op **at = &run->ops; *at; at = &(*at)->next) {
		if (*at == op) {
			*at = op->next;
			break;
		}
	}
	free(op);
	run->inflight--;
	done(run, i, answer);
}

static void on_answer(void *arg, const struct api_answer *answer)
{
	op_done(arg, answer);
}

static void on_time(struct loop *l, struct loop_timer *t)
{
	(void)l;
	op_done(CONTAINER_OF(t, struct run_op, timer), NULL);
}

static struct run_op *op_new(struct run *run, size_t i,
			     void (*done)(struct run *run, size_t i,
					  const struct api_answer *answer))
{
	struct run_op *op = xalloc(sizeof(*op));

	*op = (struct run_op){.run = run, .i = i, .done = done, .next = run->ops};
	run->ops = op;
	run->inflight++;
	return op;
}

void run_later(struct run *run, int64_t ns, size_t i,
	       void (*done)(struct run *run, size_t i, const struct api_answer *answer))
{
	loop_timer_set(run->r->loop, &op_new(run, i, done)->timer, ns, on_time);
}

static void ask(struct client *client, const struct api_call *call, struct run_op *op)
{
	op->client = client;
	op->call = client_call(client, call, on_answer, op);
}

void run_call(struct run *run, const struct api_call *call, size_t i,
	      void (*done)(struct run *run, size_t i, const struct api_answer *answer))
{
	ask(run->r->client, call, op_new(run, i, done));
}

void run_call_as(struct run *run, struct api_call *call, size_t i,
		 void (*done)(struct run *run, size_t i, const struct api_answer *answer))
{
	call->impersonate = run->as;
	ask(unit_there(run->u)->client, call, op_new(run, i, done));
}

void run_fail(struct run *run, const char *reason, struct str message)
{
	struct unit *u = run->u;
	struct unit_report rep = {.ready = "False",
				  .reason = reason,
				  .message = message,
				  .attempted = run->revision,
				  .event = true};

	if (u->argo && argo_on_failure(run, reason, message))
		return;
	rep.ended = true;
	/* What is left of pruning stays known. */
	if (run->prune_failed)
		rep.inventory = run_inventory(run, false);
	if (u->plan) {
		run_plan_failed(run, message);
		return;
	}
	unit_report(u, &rep);
	run_cancel(u);
	unit_ended(u, false);
}

void run_stall(struct run *run, const char *reason, struct str message)
{
	struct unit *u = run->u;
	struct unit_report rep = {.ready = "False",
				  .reason = reason,
				  .message = message,
				  .attempted = run->revision,
				  .event = true,
				  .stalled = true,
				  .ended = true};

	if (u->plan) {
		run_plan_failed(run, message);
		return;
	}
	unit_report(u, &rep);
	run_cancel(u);
	unit_ended(u, false);
}

static bool is_new(const struct unit *u, struct str revision)
{
	return !u->revision || !str_is(revision, u->revision);
}

void run_succeed(struct run *run, struct str message)
{
	struct unit *u = run->u;
	bool wait = json_bool(json_get(run->spec, STR("wait")), false) ||
		    json_len(json_get(run->spec, STR("healthChecks")));
	struct unit_report rep = {.ready = wait ? "Unknown" : "True",
				  .reason = wait ? "Progressing" : "ReconciliationSucceeded",
				  .message = wait ? STR("waiting for health") : message,
				  .attempted = run->revision,
				  .applied = run->revision,
				  .inventory = run_inventory(run, false),
				  .healthy = wait ? "Unknown" : NULL,
				  .unwatched = !wait,
				  .ended = !wait,
				  .event = !wait && (u->untold || is_new(u, run->revision))};

	u->untold = wait;
	if (is_new(u, run->revision)) {
		free(u->revision);
		u->revision = xstrndup(run->revision.p, run->revision.n);
		drifts_reset(u);
	}
	memcpy(u->commit, run->commit, sizeof(u->commit));
	free(u->reads);
	u->reads = reads_take(&run->reads, run->opts.path);
	u->generation = run->generation;
	unit_report(u, &rep);
	entries_tell_shared(u);
	run_cancel(u);
	drift_recheck(u);
	unit_settle(u);
	unit_ended(u, true);
	if (wait && !u->run)
		unit_health_start(u);
}

/* ---- rendering ---- */

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct run *run = ctx;
	int rc = git_manifests(run->mirror, &run->arena, run->commit, path, ret, err);

	reads_note(&run->reads, run->mirror, run->commit, str_c(path));
	for (size_t i = 0; !rc && i < ret->nlinks; i++)
		reads_note(&run->reads, run->mirror, run->commit, ret->links[i]);
	return rc;
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	struct run *run = ctx;
	const struct resource *res = restmap_find(unit_there(run->u)->restmap, api_version, kind);

	if (!res)
		return SCOPE_UNKNOWN;
	return res->namespaced ? SCOPE_NAMESPACED : SCOPE_CLUSTER;
}

static void on_refreshed(struct loop *l, struct loop_timer *t)
{
	struct run *run = CONTAINER_OF(t, struct run, soon);

	(void)l;
	run_render(run);
}

static void on_discovery(void *arg, const struct err *err)
{
	(void)arg;
	if (err->code)
		log_warn("cannot read what kinds there are", "error", err->msg);
}

static void items_make(struct run *run)
{
	run->n = run->rendered.n;
	run->items = arena_array(&run->arena, run->n + 1, sizeof(*run->items));
	plan_sort(&run->rendered);
	for (size_t i = 0; i < run->n; i++) {
		const struct rendered_object *o = &run->rendered.v[i];

		run->items[i] = (struct run_item){
			.o = o, .rank = plan_rank(o->group, o->kind), .wave = argo_wave(o->tree)};
	}
}

static void note_integrity(struct run *run, struct str broken)
{
	struct unit *u = run->u;

	free(u->broken);
	u->broken = broken.n ? xstrndup(broken.p, broken.n) : NULL;
	u->integrity = broken.n ? INTEGRITY_BROKEN : run->keys ? INTEGRITY_GOOD : INTEGRITY_NONE;
}

/* Of what goes into the build. Values of variables stay out of it: the digest is public. */
static void digest(struct run *run, struct str from)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "%.*s ", STR_ARG(from));
	json_write_sorted(run->spec, &text);
	memcpy(run->u->digest, "sha256:", 7);
	sha256_hex(buf_view(&text), run->u->digest + 7);
}

void run_render(struct run *run)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = run};
	struct err err = {0};
	int rc;

	run->phase = RUN_RENDER;
	rc = render(&run->arena, &env, &run->opts, &run->rendered, &err);
	recipients_look(run, !rc);
	if (!rc) {
		note_integrity(run, run->rendered.nbroken ? run->rendered.broken : STR_NONE);
		digest(run, buf_view(&run->reads.text));
		if (run->u->argo && argo_permits(run, &err)) {
			run_fail(run, "SyncFailed", str_c(err.msg));
			return;
		}
		if (run->u->argo)
			argo_rendered(run);
		if (run->farewell) {
			argo_farewell_rendered(run);
			return;
		}
		items_make(run);
		run_dry(run);
		return;
	}
	if (err.code == ERR_NOT_FOUND && !run->refreshed &&
	    restmap_ready(unit_there(run->u)->restmap)) {
		/* A kind that nobody served when discovery was read last: ask again, once. */
		run->refreshed = true;
		restmap_refresh(unit_there(run->u)->restmap, on_discovery, NULL);
		loop_timer_set(run->r->loop, &run->soon, 100 * NS_PER_MS, on_refreshed);
		return;
	}
	if (err.code == ERR_CORRUPT)
		note_integrity(run, str_c(err.msg));
	run_fail(run, "BuildFailed", str_c(err.msg));
}

static struct str text(const struct json *spec, const char *key)
{
	return json_str(json_get(spec, str_c(key)));
}

/* Flux checks no MAC: a repository that comes from there may have to be put right first. */
static bool may_be_broken(const struct unit *u)
{
	AUTO(arena) struct arena a = {0};

	return str_is(meta_annotation(unit_tree(u, &a), SECRETS_INTEGRITY), "warn");
}

static bool must_bind(const struct unit *u)
{
	const char *all = u->r->opts.sops_binding;
	AUTO(arena) struct arena a = {0};

	return (all && !strcmp(all, "required")) ||
	       str_is(meta_annotation(unit_tree(u, &a), SECRETS_BINDING), "required");
}

static int check_expressions(const struct json *spec, struct err *err)
{
	static const char *const names[] = {"inProgress", "failed", "current"};
	const struct json *all = json_get(spec, STR("healthCheckExprs"));

	for (size_t i = 0; i < json_len(all); i++) {
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			struct str text = json_str(json_get(json_item(all, i), str_c(names[k])));

			if (text.n && cel_check(text, err))
				return err_wrap(err, "spec.healthCheckExprs[%zu].%s", i, names[k]);
		}
	}
	return 0;
}

int run_prepare(struct run *run, struct source *s, struct err *err)
{
	struct unit *u = run->u;
	char *path;

	if (unit_spec_check(run->spec, err))
		return -1;
	path = git_clean_path(&run->arena, text(run->spec, "path"), err);
	if (!path)
		return -1;
	run->mirror = source_git(s, err);
	if (run->mirror)
		git_ignore(run->mirror,
			   json_str(json_at(obj_tree(s->o, &run->arena), "spec", "ignore")));
	if (!run->mirror || git_path_id(run->mirror, run->commit, path, run->tree, err))
		return -1;
	run->opts = (struct render_opts){
		.path = path,
		.unit_namespace = arena_str(&run->arena, u->o->namespace),
		.unit_name = arena_str(&run->arena, u->o->name),
		.target_namespace = text(run->spec, "targetNamespace"),
		.common_metadata = json_get(run->spec, STR("commonMetadata")),
		.images = json_get(run->spec, STR("images")),
		.patches = json_get(run->spec, STR("patches")),
		.components = json_get(run->spec, STR("components")),
		.missing_components =
			json_bool(json_get(run->spec, STR("ignoreMissingComponents")), false),
		.build_metadata = json_get(run->spec, STR("buildMetadata")),
		.name_prefix = text(run->spec, "namePrefix"),
		.name_suffix = text(run->spec, "nameSuffix"),
		.broken_mac_ok = may_be_broken(u),
		.must_bind = must_bind(u),
		.substitute = json_get(run->spec, STR("postBuild")) != NULL};
	if (u->argo)
		argo_prepare(run);
	return 0;
}

/* Nothing that the last build read is another thing in this commit. */
static bool same_files(const struct run *run)
{
	const struct unit *u = run->u;

	/* Of the same commit, too: ignore rules change without one. */
	return u->reads && reads_same(run->mirror, run->commit, str_c(u->reads));
}

/* The same files and the same spec: only the revision's name moves. */
static bool unchanged(const struct run *run)
{
	const struct unit *u = run->u;

	return !u->full && !u->failures && !u->prune_later && same_files(run) &&
	       u->generation == run->generation && !json_get(run->spec, STR("postBuild")) &&
	       !json_get(run->spec, STR("decryption"));
}

static void rename_only(struct run *run)
{
	struct unit *u = run->u;
	struct unit_report rep = {.ready = u->ready ? "True" : "Unknown",
				  .reason = u->ready ? "ReconciliationSucceeded" : "Progressing",
				  .attempted = run->revision,
				  .applied = run->revision};

	rep.message = arena_strf(&run->arena, "Applied revision: %.*s", STR_ARG(run->revision));
	free(u->revision);
	u->revision = xstrndup(run->revision.p, run->revision.n);
	memcpy(u->commit, run->commit, sizeof(u->commit));
	unit_report(u, &rep);
	run_cancel(u);
	unit_ended(u, true);
}

void run_begin(struct unit *u)
{
	struct run *run = xalloc(sizeof(*run));
	struct err err = {0};
	struct source *s;

	u->run = run;
	run->u = u;
	run->r = u->r;
	u->r->running++;
	run->spec = json_copy(&run->arena, json_get(unit_tree(u, &run->arena), STR("spec")));
	run->generation = u->o->generation;
	run->as = unit_acts_as(u, &run->arena);
	s = unit_source(u, run->spec);
	memcpy(run->commit, s->commit, sizeof(run->commit));
	run->revision = arena_str(&run->arena, str_c(s->revision));
	if (u->argo && argo_begin(run, &err)) {
		run_fail(run, "BuildFailed", str_c(err.msg));
		return;
	}
	if (check_expressions(run->spec, &err)) {
		run_stall(run, "InvalidCELExpression", str_c(err.msg));
		return;
	}
	if (run_prepare(run, s, &err)) {
		if (err.code == ERR_UNSUPPORTED) {
			run_stall(run, "BuildFailed", str_c(err.msg));
			return;
		}
		run_fail(run, err.code == ERR_NOT_FOUND ? "ArtifactFailed" : "BuildFailed",
			 str_c(err.msg));
		return;
	}
	if (unchanged(run) && (u->ready || u->health_until)) {
		rename_only(run);
		return;
	}
	u->health_until = 0;
	farchecks_free(u);
	u->began = u->began ?: loop_now(u->r->loop);
	digest(run, str_c(run->tree));
	run_far(run);
}
