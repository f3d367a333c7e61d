/*
 * What the audit log's event is told of webhooks: which changed the object and how, which failed
 * and were let pass, what they noted themselves. Must never cost anything when nobody listens. One
 * thread; memory is the request's.
 * Specification: https://kubernetes.io/docs/reference/labels-annotations-taints/audit-annotations/
 */
#include "apiserver/core-internal.h"
#include "apiserver/webhook.h"

#define NOTES_MAX 64 /* of one webhook */
#define NOTE_MAX (10 << 10)

static void note(struct op *op, struct str key, struct str value)
{
	if (!json_get(op->notes, key))
		json_set(op->a, op->notes, key, json_new_str(op->a, value));
}

/* Names the webhook by its place: the same one may be asked twice. */
static struct str key_of(struct op *op, const char *what)
{
	return arena_strf(op->a, "%s.webhook.admission.k8s.io/round_%d_index_%zu", what, op->round,
			  op->index);
}

void note_said(struct op *op, const struct webhook *w, const struct json *said)
{
	for (size_t i = 0; op->notes && i < json_len(said) && i < NOTES_MAX; i++)
		if (json_is(&said->members[i].value, JSON_STRING))
			note(op,
			     arena_strf(op->a, "%.*s/%.*s", STR_ARG(w->name),
					STR_ARG(said->members[i].key)),
			     str_sub(json_str(&said->members[i].value), 0, NOTE_MAX));
}

void note_open(struct op *op, const struct webhook *w)
{
	if (op->notes)
		note(op,
		     key_of(op, w->mutating ? "failed-open.mutating" : "failed-open.validating"),
		     w->name);
}

static void put(struct op *op, const char *what, const struct json *o)
{
	AUTO(buf) struct buf text = {0};

	json_write(o, &text);
	note(op, key_of(op, what), arena_str(op->a, buf_view(&text)));
}

void note_mutation(struct op *op, const struct webhook *w, bool mutated, const struct json *patch)
{
	struct json *o;

	if (!op->notes)
		return;
	o = json_build(op->a, "{s:S,s:S,s:b}", "configuration", w->config, "webhook", w->name,
		       "mutated", mutated);
	put(op, "mutation", o);
	if (!mutated || !op->req->noted_patches)
		return;
	o = json_build(op->a, "{s:S,s:S}", "configuration", w->config, "webhook", w->name);
	json_set(op->a, o, STR("patch"), json_copy(op->a, patch));
	json_set_str(op->a, o, "patchType", STR("JSONPatch"));
	put(op, "patch", o);
}
