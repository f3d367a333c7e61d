/*
 * Admission in a write's course: the built-in steps in their order, the webhooks, and those steps
 * that must see what will be stored. One thread; memory is the request's.
 */
#include "apiserver/core-internal.h"

static struct admission_req admission(struct op *op, enum admission_op what, struct str name,
				      struct json *next, const struct json *old)
{
	struct admission_req r = {.a = op->a,
				  .op = what,
				  .kind = op->kind,
				  .namespace = op->req->namespace,
				  .name = name,
				  .object = next,
				  .old = old,
				  .user = op->req->user,
				  .reader = &op->core->reader,
				  .dry_run = op->dry_run,
				  .now_ns = core_now(op->core),
				  .warnings = &op->warnings};

	r.subresource = op->req->subresource.n ? arena_cstr(op->a, op->req->subresource) : NULL;
	return r;
}

/* The registry is sorted by name, steps run by order: those before the webhooks, or those after. */
static int run_steps(struct op *op, struct admission_req *r, bool last)
{
	bool done[64] = {false};

	for (;;) {
		const struct admission *step = NULL;
		size_t at = 0;

		for (size_t i = 0; admission_registry[i]; i++)
			if (!done[i] && (admission_registry[i]->order >= ADMISSION_LAST) == last &&
			    (!step || admission_registry[i]->order < step->order)) {
				step = admission_registry[i];
				at = i;
			}
		if (!step)
			return 0;
		done[at] = true;
		if (step->admit(r, &op->err)) {
			op->err.retry_after_s = r->retry_after_s;
			return -1;
		}
	}
}

int write_admit(struct op *op, enum admission_op what, struct str name, struct json *next,
		const struct json *old)
{
	struct admission_req r = admission(op, what, name, next, old);
	bool changed;

	if (run_steps(op, &r, false))
		return -1;
	/* A Scale's webhooks were asked about the Scale; an Eviction's deletion is its own. */
	if (op->pure_body)
		return run_steps(op, &r, true);
	if (webhooks_mutate(op, &r, &changed) || (changed && run_steps(op, &r, false)) ||
	    webhooks_validate_all(op, &r))
		return -1;
	return run_steps(op, &r, true);
}

int write_ask(struct op *op, enum admission_op what, struct json *next, const struct json *old)
{
	struct admission_req r = admission(op, what, op->req->name, next, old);
	bool changed;

	op->pure_body = true;
	return webhooks_mutate(op, &r, &changed) || webhooks_validate_all(op, &r) ? -1 : 0;
}

/* ---- connections ---- */

static const struct connection {
	const char *sub, *plural, *kind;
} connections[] = {{"exec", "pods", "PodExecOptions"},
		   {"attach", "pods", "PodAttachOptions"},
		   {"portforward", "pods", "PodPortForwardOptions"},
		   {"proxy", "pods", "PodProxyOptions"},
		   {"proxy", "services", "ServiceProxyOptions"},
		   {"proxy", "nodes", "NodeProxyOptions"}};

/* The query's parameters, in the types that they have as an object. */
static struct json *connect_options(struct op *op, const char *kind)
{
	static const char *const flags[] = {"stdin", "stdout", "stderr", "tty"},
				 *const texts[] = {"container", "path"};
	struct json *o = json_build(op->a, "{s:s,s:s}", "kind", kind, "apiVersion", "v1");
	struct str word;
	size_t at = 0;
	int64_t port;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		struct str s = op_query(op, flags[i]);

		if (s.p)
			json_set_bool(op->a, o, flags[i], !str_is(s, "false") && !str_is(s, "0"));
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (op_query(op, texts[i]).n)
			json_set_str(op->a, o, texts[i], op_query(op, texts[i]));
	while ((word = http_query_next(op->a, op->req->query, "command", &at)).p)
		json_append_str(op->a, json_set_array(op->a, o, "command"), word);
	at = 0;
	while ((word = http_query_next(op->a, op->req->query, "ports", &at)).p)
		if (!str_to_i64(word, &port))
			json_append(op->a, json_set_array(op->a, o, "ports"),
				    json_new_int(op->a, port));
	return o;
}

void core_connect(struct op *op)
{
	for (size_t i = 0; i < ARRAY_LEN(connections); i++) {
		const struct connection *c = &connections[i];

		if (!str_is(op->req->subresource, c->sub) || !str_is(op->req->resource, c->plural))
			continue;
		if (write_ask(op, ADMIT_CONNECT, connect_options(op, c->kind), NULL))
			op_answer_error(op);
		else
			op_answer_success(op, 200, NULL);
		return;
	}
	op_answer_success(op, 200, NULL);
}
