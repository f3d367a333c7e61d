/*
 * Kubernetes' authorizer in CEL: what is asked about is gathered call by call, the check asks the
 * environment's `may`. Pure.
 */
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

#define F(fn) static struct cel_value fn(struct cel *c, const struct cel_value *v, size_t n)
#define UNUSED_ARGS ((void)c, (void)v, (void)n)

static struct cel_value with(struct cel *c, const struct cel_value *v, const char *name,
			     struct str value)
{
	struct json *o = json_copy(c->a, v->j);

	if (!cel_pay_memory(c, 256 + value.n))
		return cel_fail(c, "%s", c->stop);
	json_set_str(c->a, o, name, value);
	return (struct cel_value){.type = CEL_AUTHORIZER, .json = true, .j = o};
}

F(group)
{
	UNUSED_ARGS;
	return with(c, v, "group", v[1].s);
}

F(resource)
{
	UNUSED_ARGS;
	return with(c, v, "resource", v[1].s);
}

F(subresource)
{
	UNUSED_ARGS;
	return with(c, v, "subresource", v[1].s);
}

F(namespace)
{
	UNUSED_ARGS;
	return with(c, v, "namespace", v[1].s);
}

F(name)
{
	UNUSED_ARGS;
	return with(c, v, "name", v[1].s);
}

F(path)
{
	UNUSED_ARGS;
	return with(c, v, "path", v[1].s);
}

F(service_account)
{
	struct str who =
		arena_strf(c->a, "system:serviceaccount:%.*s:%.*s", (int)MIN(v[1].s.n, 253),
			   v[1].s.p, (int)MIN(v[2].s.n, 253), v[2].s.p);

	UNUSED_ARGS;
	return with(c, v, "user", who);
}

F(check)
{
	struct cel_value asked = with(c, v, "verb", v[1].s), r = {.type = CEL_DECISION};
	struct str reason = STR("");

	UNUSED_ARGS;
	if (asked.type == CEL_ERROR || !cel_pay(c, 350000))
		return cel_fail(c, "%s", c->stop);
	r.n = c->env->may && c->env->may(c->env->may_arg, asked.j, &reason) == 1;
	r.s = reason;
	return r;
}

F(allowed)
{
	UNUSED_ARGS;
	return cel_of_bool(v->n);
}

F(reason)
{
	UNUSED_ARGS;
	return cel_of_str(v->s);
}

F(errored)
{
	UNUSED_ARGS;
	return cel_of_bool(false);
}

F(error)
{
	UNUSED_ARGS;
	return cel_of_str(STR(""));
}

const struct cel_fn cel_fns_authorizer[] = {
	{"group", "As", CEL_AUTHORIZER, true, group},
	{"resource", "As", CEL_AUTHORIZER, true, resource},
	{"subresource", "As", CEL_AUTHORIZER, true, subresource},
	{"namespace", "As", CEL_AUTHORIZER, true, namespace},
	{"name", "As", CEL_AUTHORIZER, true, name},
	{"path", "As", CEL_AUTHORIZER, true, path},
	{"serviceAccount", "Ass", CEL_AUTHORIZER, true, service_account},
	{"check", "As", CEL_DECISION, true, check},
	{"allowed", "X", CEL_BOOL, true, allowed},
	{"reason", "X", CEL_STRING, true, reason},
	{"errored", "X", CEL_BOOL, true, errored},
	{"error", "X", CEL_STRING, true, error},
	{0},
};
