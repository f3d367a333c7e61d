/*
 * Nobody gives away rights that they don't have: a role may only say what its writer may do, a
 * binding may only hand out a role whose rules its writer has, unless the writer holds the verbs
 * "escalate" or "bind" on the role. Evaluated from all roles and bindings, which is fine for what
 * is written a few times a day. Pure.
 */
#include <string.h>

#include "apiserver/admission/rights_of_all.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define RBAC "rbac.authorization.k8s.io"

struct cover {
	const struct authz *z;
	struct authz_ask q;
	struct buf *missing;
};

static bool ask(struct cover *c)
{
	if (authz_allows(c->z, &c->q, NULL))
		return true;
	if (c->q.path.n)
		buf_printf(c->missing, "verb \"%.*s\" on path \"%.*s\"", STR_ARG(c->q.verb),
			   STR_ARG(c->q.path));
	else
		buf_printf(c->missing, "verb \"%.*s\" on \"%.*s%s%.*s\" in API group \"%.*s\"",
			   STR_ARG(c->q.verb), STR_ARG(c->q.resource),
			   c->q.subresource.n ? "/" : "", STR_ARG(c->q.subresource),
			   STR_ARG(c->q.group));
	return false;
}

static bool covers_names(struct cover *c, const struct json *names)
{
	c->q.name = STR_NONE;
	if (!json_len(names))
		return ask(c);
	for (size_t i = 0; i < json_len(names); i++) {
		c->q.name = json_str(json_item(names, i));
		if (!ask(c))
			return false;
	}
	return true;
}

static bool covers_resources(struct cover *c, const struct json *rule)
{
	const struct json *groups = json_at(rule, "apiGroups"), *res = json_at(rule, "resources");

	c->q.path = STR_NONE;
	for (size_t g = 0; g < json_len(groups); g++) {
		c->q.group = json_str(json_item(groups, g));
		for (size_t i = 0; i < json_len(res); i++) {
			if (!str_cut(json_str(json_item(res, i)), '/', &c->q.resource,
				     &c->q.subresource))
				c->q.subresource = STR_NONE;
			if (!covers_names(c, json_at(rule, "resourceNames")))
				return false;
		}
	}
	return true;
}

static bool covers_rule(struct cover *c, const struct json *rule)
{
	const struct json *verbs = json_at(rule, "verbs"),
			  *paths = json_at(rule, "nonResourceURLs");

	for (size_t v = 0; v < json_len(verbs); v++) {
		c->q.verb = json_str(json_item(verbs, v));
		if (!covers_resources(c, rule))
			return false;
		for (size_t i = 0; i < json_len(paths); i++) {
			c->q.path = json_str(json_item(paths, i));
			if (c->q.path.n && !ask(c))
				return false;
		}
	}
	return true;
}

/* The verbs that let somebody grant what they don't hold. */
static bool may(struct admission_req *r, const char *verb, const char *plural, struct str role)
{
	const struct authz_ask q = {.user = &r->user,
				    .verb = str_c(verb),
				    .group = STR(RBAC),
				    .resource = str_c(plural),
				    .namespace = r->namespace,
				    .name = role};
	struct authz *z = rights_of_all(r);
	bool yes = authz_allows(z, &q, NULL);

	authz_free(z);
	return yes;
}

/* Does the writer hold all that the rules grant? */
static int check(struct admission_req *r, const struct json *rules, struct err *err)
{
	AUTO(buf) struct buf missing = {0};
	struct authz *z = rights_of_all(r);
	struct cover c = {
		.z = z, .missing = &missing, .q = {.user = &r->user, .namespace = r->namespace}};
	bool ok = true;

	for (size_t i = 0; ok && i < json_len(rules); i++)
		ok = covers_rule(&c, json_item(rules, i));
	authz_free(z);
	if (ok)
		return 0;
	return err_set(err, ERR_FORBIDDEN,
		       "%s \"%.*s\" is forbidden: user \"%.*s\" is attempting to grant RBAC "
		       "permissions not currently held: %s",
		       r->kind->plural, STR_ARG(r->name), STR_ARG(r->user.name),
		       buf_cstr(&missing));
}

static int admit(struct admission_req *r, struct err *err)
{
	const struct json *ref = json_at(r->object, "roleRef");
	bool role = !strcmp(r->kind->plural, "roles") || !strcmp(r->kind->plural, "clusterroles");

	if (strcmp(r->kind->group, RBAC) || r->op == ADMIT_DELETE || r->op == ADMIT_CONNECT ||
	    user_in_group(&r->user, "system:masters"))
		return 0;
	if (role) {
		if (r->old && json_equal(json_at(r->old, "rules"), json_at(r->object, "rules")))
			return 0;
		return may(r, "escalate", r->kind->plural, r->name)
			       ? 0
			       : check(r, json_at(r->object, "rules"), err);
	}
	if (r->old && json_equal(json_at(r->old, "subjects"), json_at(r->object, "subjects")) &&
	    json_equal(json_at(r->old, "roleRef"), ref))
		return 0;
	bool cluster = str_is(json_str(json_at(ref, "kind")), "ClusterRole");
	const char *plural = cluster ? "clusterroles" : "roles";
	struct str name = json_str(json_at(ref, "name"));
	const struct json *target = r->reader->get(r->reader->ctx, RBAC, plural,
						   cluster ? STR_NONE : r->namespace, name, r->a);
	if (may(r, "bind", plural, name))
		return 0;
	/* What isn't there yet can't be compared: without the verb nobody binds ahead. */
	if (!target)
		return err_set(err, ERR_NOT_FOUND, "%s.%s \"%.*s\" not found", plural, RBAC,
			       STR_ARG(name));
	return check(r, json_at(target, "rules"), err);
}

const struct admission admission_rbac_escalation = {
	.name = "RBACEscalation", .order = 570, .admit = admit};
