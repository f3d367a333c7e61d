/*
 * Objects that cannot be changed into what is declared: with `force` they are deleted and made
 * anew. What holds data or other objects is only recreated when the object itself says so, not
 * when its Kustomization does. On the role's loop.
 */
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "reconciler/run.h"

#define PAUSE (100 * NS_PER_MS)
#define PATIENCE (60 * NS_PER_S) /* finalizers take their time */

static bool is_immutable(const struct err *err)
{
	static const struct str words[] = {STR("immutable"), STR("may not change"),
					   STR("cannot be changed"), STR("Forbidden: updates to"),
					   STR("updates may not change")};

	if (err->code != ERR_INVALID && err->code != ERR_CONFLICT)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_find(str_c(err->msg), words[i]) >= 0)
			return true;
	}
	return false;
}

bool run_recreates(struct run *run, size_t i, const struct err *err)
{
	struct run_item *item = &run->items[i];
	bool asked = object_says(item->o->tree, UNIT_FORCE, "enabled") ||
		     argo_option(item->o->tree, "Force=true") ||
		     argo_option(item->o->tree, "Replace=true");

	if (!is_immutable(err))
		return false;
	if (!asked && json_bool(json_get(run->spec, STR("force")), false))
		asked = !plan_is_precious(item->o->kind);
	item->recreate = asked;
	if (!asked)
		item->hint = plan_is_precious(item->o->kind)
				     ? " (annotate it with " UNIT_FORCE
				       ": enabled to have it deleted and made anew)"
				     : " (spec.force or the annotation " UNIT_FORCE
				       ": enabled would delete it and make it anew)";
	return asked;
}

static void on_timer(struct run *run, size_t i, const struct api_answer *answer)
{
	(void)answer;
	run_apply_item(run, i);
}

static void on_deleted(struct run *run, size_t i, const struct api_answer *answer)
{
	struct run_item *item = &run->items[i];

	if (answer->err.code && answer->err.code != ERR_NOT_FOUND) {
		run_item_failed(run, i, &answer->err);
		return;
	}
	log_info("recreating", "unit", run->u->key, "object",
		 log_fmt("%.*s", STR_ARG(item->o->id)));
	item->recreate = false;
	item->patience = loop_now(run->r->loop) + PATIENCE;
	run_apply_item(run, i);
}

void run_recreate(struct run *run, size_t i)
{
	const struct rendered_object *o = run->items[i].o;
	struct api_call call = {.verb = API_DELETE,
				.resource = restmap_find(run->r->restmap, o->api_version, o->kind),
				.namespace = o->namespace,
				.name = o->name,
				.body = STR("{\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\","
					    "\"propagationPolicy\":\"Background\"}")};

	run_call_as(run, &call, i, on_deleted);
}

bool run_waits_for_end(struct run *run, size_t i, const struct api_answer *answer)
{
	struct run_item *item = &run->items[i];
	AUTO(arena) struct arena a = {0};
	bool dying;

	if (!item->patience || loop_now(run->r->loop) > item->patience)
		return false;
	/* What finalizers still hold can be written to, and would be gone in a moment. */
	dying = answer->err.code ? is_immutable(&answer->err) || answer->err.code == ERR_CONFLICT
				 : json_at(json_parse(&a, answer->body, NULL, NULL), "metadata",
					   "deletionTimestamp") != NULL;
	if (dying)
		run_later(run, PAUSE, i, on_timer);
	return dying;
}
