/*
 * Admission in a write's course: the built-in steps in their order, the webhooks, and those steps
 * that must see what will be stored. One thread; memory is the request's.
 */
#include <limits.h>

#include "apiserver/core-internal.h"

extern const struct admission admission_validating_policy;

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
				  .problems = &op->problems,
				  .warnings = &op->warnings,
				  .notes = op->notes};

	r.subresource = op->req->subresource.n ? arena_cstr(op->a, op->req->subresource) : NULL;
	return r;
}

void core_admit_sort(struct core *c)
{
	size_t n = 0;

	while (admission_registry[n])
		n++;
	c->steps = xreallocarray(NULL, n + 1, sizeof(*c->steps));
	for (size_t i = 0; i < n; i++) {
		size_t at = i;

		for (; at && c->steps[at - 1]->order > admission_registry[i]->order; at--)
			c->steps[at] = c->steps[at - 1];
		c->steps[at] = admission_registry[i];
	}
	c->steps[n] = NULL;
}

/* Refusals may be longer than an error holds: then the Status is written here. */
static int refused(struct op *op, const struct admission_req *r)
{
	op->err.retry_after_s = r->retry_after_s;
	if (r->status) {
		op->denial = r->status;
		op->denial_code = r->status_code;
		return -1;
	}
	if (r->message.n < sizeof(op->err.msg) || op->err.code == ERR_INVALID)
		return -1;
	op->denial_code = err_http(op->err.code);
	op->denial = json_build(op->a, "{s:s,s:s,s:{},s:s,s:S,s:s,s:{s:S,s:s},s:i}", "kind",
				"Status", "apiVersion", "v1", "metadata", "status", "Failure",
				"message", r->message, "reason", err_reason(op->err.code),
				"details", "name", r->name.n ? r->name : STR(""), "kind",
				r->kind->plural, "code", op->denial_code);
	if (r->kind->group[0])
		json_set_str(op->a, json_get((struct json *)(uintptr_t)op->denial, STR("details")),
			     "group", str_c(r->kind->group));
	return -1;
}

/* Those of an order from `first` on, before `end`. */
static int run_steps(struct op *op, struct admission_req *r, int first, int end)
{
	for (const struct admission **s = op->core->steps; *s; s++)
		if ((*s)->order >= first && (*s)->order < end && (*s)->admit(r, &op->err))
			return r->comes && op_await(op) ? -1 : refused(op, r);
	return 0;
}

int write_mutate(struct op *op, enum admission_op what, struct json *next, const struct json *old)
{
	struct admission_req r = admission(op, what, meta_name(next), next, old);
	bool changed = false;

	if (run_steps(op, &r, 0, ADMISSION_JUDGES))
		return -1;
	/* A Scale's webhooks were asked about the Scale; an Eviction's deletion is its own. */
	if (!op->pure_body && webhooks_mutate(op, &r, &changed))
		return -1;
	return changed ? run_steps(op, &r, 0, ADMISSION_JUDGES) : 0;
}

static int judge(struct op *op, struct admission_req *r)
{
	if (run_steps(op, r, ADMISSION_JUDGES, ADMISSION_LAST) ||
	    (!op->pure_body && webhooks_validate_all(op, r)))
		return -1;
	return run_steps(op, r, ADMISSION_LAST, INT_MAX);
}

int write_judge(struct op *op, enum admission_op what, struct json *next, const struct json *old)
{
	struct admission_req r = admission(op, what, meta_name(next), next, old);

	return judge(op, &r);
}

int write_admit_delete(struct op *op, struct str name, const struct json *old)
{
	struct admission_req r = admission(op, ADMIT_DELETE, name, NULL, old);

	if (run_steps(op, &r, 0, ADMISSION_JUDGES))
		return -1;
	return judge(op, &r);
}

int write_ask(struct op *op, enum admission_op what, struct json *next, const struct json *old)
{
	struct admission_req r = admission(op, what, op->req->name, next, old);
	bool changed;

	op->pure_body = true;
	if (webhooks_mutate(op, &r, &changed) || webhooks_validate_all(op, &r))
		return -1;
	return admission_validating_policy.admit(&r, &op->err) ? refused(op, &r) : 0;
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

/* A review or a token's request: its body is an object that nobody stores. */
static void ask_create(struct op *op)
{
	bool token = str_is(op->req->subresource, "token");
	struct json *body = sub_body(op);

	if (!body) {
		op_answer_error(op);
		return;
	}
	if (token)
		sub_typed(op, body, "authentication.k8s.io/v1", "TokenRequest");
	else
		sub_typed(op, body,
			  arena_printf(op->a, "%s/%s", op->kind->group, op->kind->version),
			  op->kind->kind);
	if (write_ask(op, ADMIT_CREATE, body, NULL))
		op_answer_error(op);
	else
		op_answer_json(op, 200, body);
}

void core_ask(struct op *op)
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
	ask_create(op);
}
