/*
 * Admission of what the front carries out itself: connections to pods and nodes, reviews, tokens.
 * The core is asked first, as it is for writes. Must never let a request go on that was refused,
 * nor one twice. The core's thread.
 */
#include "apiserver/front-internal.h"

/* What a create was made of comes back, perhaps changed. */
static void take_body(struct front_req *r, const struct core_answer *a)
{
	AUTO(buf) struct buf body = {0};

	if (!r->takes_body)
		return;
	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&body, a->blocks[i]->data);
	r->core.body = arena_str(&r->http->arena, buf_view(&body));
	r->core.read = NULL; /* that was another one */
}

static void on_answer(struct core_req *c, const struct core_answer *a)
{
	struct front_req *r = (struct front_req *)c;

	c->ask = false;
	c->sink = &front_sink;
	if (a->status != 200) {
		front_sink.answer(c, a);
		return;
	}
	take_body(r, a);
	front_audit_notes(r, a->notes);
	list_remove(&r->link);
	r->state = FRONT_QUEUED;
	r->admitted(r);
}

static const struct core_sink asks = {.answer = on_answer};

/* The core reads JSON only. */
static int make_json(struct front_req *r, struct err *err)
{
	struct core_req *c = &r->core;
	AUTO(buf) struct buf text = {0};
	const struct json *v;

	if (!c->body.n)
		return 0;
	v = body_parse(&r->http->arena, c->content_type, c->body, err);
	if (!v)
		return -1;
	json_write(v, &text);
	c->body = arena_str(&r->http->arena, buf_view(&text));
	c->content_type = STR("application/json");
	return 0;
}

void front_ask(struct front_req *r, enum admission_op op, void (*go)(struct front_req *r))
{
	struct err err = {0};

	if (!core_ask_is_watched(r->f->o.core, op)) {
		go(r);
		return;
	}
	if (op == ADMIT_CREATE && make_json(r, &err)) {
		front_fail(r, &err);
		return;
	}
	r->takes_body = op == ADMIT_CREATE;
	r->admitted = go;
	r->core.ask = true;
	r->core.sink = &asks;
	r->state = FRONT_CORE;
	list_append(&r->f->in_core, &r->link);
	core_submit(r->f->o.core, &r->core);
}
