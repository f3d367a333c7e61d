/*
 * What a source says of itself: artifact, conditions, events. Written only when it changed, so that
 * polling writes nothing. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/alert.h"
#include "reconciler/engine.h"

struct report {
	struct source *s;
	const struct source_news *news;
	struct arena *a;
	struct json *o; /* the object, as it will be */
	const struct json *spec;
	int64_t now;
	bool ok, changed;
	const char *reason;
	struct str message;
};

bool source_is_internal(const struct source *s)
{
	return s->o->name.n && s->o->name.p[0] == '@';
}

/* Told by the revision: BRANCH@sha1:…, or a tag's whole name. */
static struct str branch_found(const struct source *s)
{
	struct str label = STR_NONE, rest;

	if (!str_rcut(str_c(s->revision), '@', &label, &rest) || str_starts(label, STR("refs/")))
		return STR_NONE;
	return label;
}

struct str source_branch(const struct source *s, struct arena *a)
{
	const struct json *ref = json_at(obj_tree(s->o, a), "spec", "ref");
	const struct str heads = STR("refs/heads/");
	static const char *const others[] = {"tag", "semver", "commit"};
	struct str name = json_str(json_get(ref, STR("name")));

	if (json_get(ref, STR("any")))
		return branch_found(s);
	if (s->kind != SOURCE_GIT)
		return STR_NONE;
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (json_str(json_get(ref, str_c(others[i]))).n)
			return STR_NONE;
	}
	if (name.n)
		return str_starts(name, heads) ? str_sub(name, heads.n, name.n) : STR_NONE;
	return json_str_or(json_get(ref, STR("branch")), STR("master"));
}

/* ---- artifacts ---- */

static struct json *artifact(const struct source *s, struct arena *a, int64_t now)
{
	char when[TIME_TEXT_MAX];
	const char *digest =
		s->kind == SOURCE_OCI ? s->digest ?: "" : arena_printf(a, "sha1:%s", s->commit);

	return json_build(a, "{s:s,s:s,s:s,s:s,s:S}", "revision", s->revision, "digest", digest,
			  "path", "", "url", s->url, "lastUpdateTime", time_format(now, when));
}

/* As the others say it themselves. */
static struct json *included_artifacts(const struct report *r)
{
	const struct json *list = json_get(r->spec, STR("include"));
	struct json *out = json_new(r->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(list); i++) {
		const struct source *in = source_included(r->s, json_item(list, i));

		if (in && in->commit[0])
			json_append(r->a, out, artifact(in, r->a, r->now));
	}
	return out;
}

/* What of the spec went into the artifact. */
static void observed(const struct report *r, struct json *status)
{
	static const struct {
		const char *field, *as;
	} copies[] = {{"ignore", "observedIgnore"},
		      {"include", "observedInclude"},
		      {"recurseSubmodules", "observedRecurseSubmodules"},
		      {"sparseCheckout", "observedSparseCheckout"},
		      {"layerSelector", "observedLayerSelector"}};
	const struct json *before = json_get(r->o, STR("status"));

	for (size_t i = 0; i < ARRAY_LEN(copies); i++) {
		const struct json *v = json_get(r->spec, str_c(copies[i].field));

		if (v || json_get(before, str_c(copies[i].as)))
			json_set(r->a, status, str_c(copies[i].as), v);
	}
	if (json_get(r->spec, STR("include")) || json_get(before, STR("includedArtifacts")))
		json_set(r->a, status, STR("includedArtifacts"), included_artifacts(r));
	if (json_get(r->spec, STR("verify")))
		json_set_str(r->a, status, "sourceVerificationMode",
			     json_str_or(json_at(r->spec, "verify", "mode"), STR("HEAD")));
	else if (json_get(before, STR("sourceVerificationMode")))
		json_set(r->a, status, STR("sourceVerificationMode"), NULL);
}

static bool includes_moved(const struct report *r)
{
	const struct json *said = json_at(r->o, "status", "includedArtifacts"),
			  *now = r->ok ? included_artifacts(r) : said;

	if (json_len(said) != json_len(now))
		return true;
	for (size_t i = 0; i < json_len(now); i++) {
		if (!json_equal(json_get(json_item(said, i), STR("digest")),
				json_get(json_item(now, i), STR("digest"))))
			return true;
	}
	return false;
}

/* ---- conditions ---- */

static void condition_drop(struct report *r, const char *type)
{
	struct json *list = json_at(r->o, "status", "conditions");

	for (size_t i = 0; i < json_len(list); i++) {
		if (!str_is(json_str(json_get(json_item(list, i), STR("type"))), type))
			continue;
		json_remove(list, i);
		r->changed = true;
		return;
	}
}

static void condition(struct report *r, const char *type, const char *status, const char *reason,
		      struct str message)
{
	r->changed |= condition_set(r->a, r->o, type, status, reason, message, r->now);
}

static bool of_signature(const char *reason)
{
	return !strcmp(reason, "VerificationError") || !strcmp(reason, "InvalidTagSignature") ||
	       !strcmp(reason, "InvalidCommitSignature");
}

static void verified(struct report *r)
{
	bool asked = json_get(r->spec, STR("verify")) != NULL;

	if (!asked)
		condition_drop(r, "SourceVerified");
	else if (r->ok)
		condition(r, "SourceVerified", "True", "Succeeded",
			  r->s->verified_by ? str_c(r->s->verified_by)
					    : STR("verified signatures"));
	else if (of_signature(r->reason))
		condition(r, "SourceVerified", "False", r->reason, r->message);
}

/* Trying again cannot help until somebody changes the spec. */
static bool stalled(const struct report *r)
{
	return !r->ok && (!strcmp(r->reason, "URLInvalid") || !strcmp(r->reason, "NotSupported"));
}

static void conditions(struct report *r)
{
	condition(r, "Ready", r->ok ? "True" : "False", r->reason, r->message);
	if (r->ok) {
		condition(r, "ArtifactInStorage", "True", "Succeeded", r->message);
		condition_drop(r, "FetchFailed");
	} else if (!of_signature(r->reason)) {
		condition(r, "FetchFailed", "True", r->reason, r->message);
	} else {
		condition_drop(r, "FetchFailed");
	}
	if (stalled(r))
		condition(r, "Stalled", "True", r->reason, r->message);
	else
		condition_drop(r, "Stalled");
	verified(r);
}

static const char *reason_of(const struct report *r)
{
	if (r->ok)
		return "Succeeded";
	if (r->news->reason)
		return r->news->reason;
	if (r->news->err->code == ERR_UNAUTHORIZED)
		return "AuthenticationFailed";
	return r->s->kind == SOURCE_OCI ? "OCIArtifactPullFailed" : "GitOperationFailed";
}

/* ---- telling ---- */

static void told(struct report *r, bool error, const char *reason)
{
	alert_source(r->s, &(struct alert_event){.error = error,
						 .reason = reason,
						 .message = str_sub(r->message, 0, 1000),
						 .revision = str_c(r->s->revision ?: ""),
						 .wall_ns = r->now});
}

static void tell(struct report *r, bool moved)
{
	struct source *s = r->s;

	if (!r->ok && (!s->error || strcmp(s->error, r->news->err->msg) != 0)) {
		log_warn("cannot fetch", "source", s->key, "error", r->news->err->msg);
		recorder_event(s->r->recorder, r->o, "Warning", r->reason, "%s", r->news->err->msg);
		told(r, true, r->reason);
	}
	free(s->error);
	s->error = r->ok ? NULL : xstrdup(r->news->err->msg);
	s->reason = r->reason;
	if (!r->ok)
		return;
	if (r->news->rewritten)
		recorder_event(s->r->recorder, r->o, "Warning", "HistoryRewritten",
			       "the branch was rewritten: %s no longer holds %.*s", s->revision,
			       STR_ARG(r->news->was));
	if (moved)
		recorder_event(s->r->recorder, r->o, "Normal", "NewArtifact", "%.*s",
			       STR_ARG(r->message));
	if (moved)
		told(r, false, "NewArtifact");
}

static struct json *patch_of(struct report *r, struct str handled)
{
	struct source *s = r->s;
	struct json *patch =
		json_build(r->a, "{s:o,s:I}", "conditions", json_at(r->o, "status", "conditions"),
			   "observedGeneration", s->o->generation);

	if (r->ok) {
		struct json *made = artifact(s, r->a, r->now);

		if (r->news->metadata)
			json_set(r->a, made, STR("metadata"), r->news->metadata);
		json_set(r->a, patch, STR("artifact"), made);
		observed(r, patch);
	}
	if (handled.n)
		json_set_str(r->a, patch, "lastHandledReconcileAt", handled);
	return json_build(r->a, "{s:o}", "status", patch);
}

void source_report(struct source *s, const struct source_news *news)
{
	AUTO(arena) struct arena a = {0};
	struct report r = {.s = s,
			   .news = news,
			   .a = &a,
			   .o = json_copy(&a, obj_tree(s->o, &a)),
			   .now = loop_wall(s->r->loop),
			   .ok = news->err->code == ERR_NONE};
	struct str handled = meta_annotation(r.o, REQUESTED_AT);
	struct json *status = json_set_object(&a, r.o, "status");
	bool moved;

	r.spec = json_get(r.o, STR("spec"));
	r.reason = reason_of(&r);
	r.message = r.ok ? arena_strf(&a, "stored artifact for revision '%s'", s->revision)
			 : str_c(news->err->msg);
	conditions(&r);
	r.changed |= json_int(json_get(status, STR("observedGeneration")), 0) != s->o->generation;
	r.changed |= handled.n &&
		     !str_eq(handled, json_str(json_get(status, STR("lastHandledReconcileAt"))));
	/* After a restart everything looks new; what the status says already isn't. */
	moved = r.ok && !str_is(json_str(json_at(status, "artifact", "revision")), s->revision);
	r.changed |= moved || includes_moved(&r) ||
		     (r.ok && !json_equal(json_at(status, "artifact", "digest"),
					  json_get(artifact(s, &a, r.now), STR("digest"))));
	/* Nobody would find its status: Applications tell of it. */
	if (source_is_internal(s)) {
		free(s->error);
		s->error = r.ok ? NULL : xstrdup(news->err->msg);
		return;
	}
	if (!r.changed && !statusq_busy(s->r->statuses, source_resource(s), s->o))
		return;
	tell(&r, moved);
	statusq_put(s->r->statuses, source_resource(s), s->o, patch_of(&r, handled));
}
