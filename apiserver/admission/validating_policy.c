/*
 * ValidatingAdmissionPolicies: each policy that a request is the business of is carried out once
 * for every binding of it, and that once for every object of parameters. Sees what will be stored,
 * behind the webhooks; what all expressions of a request may spend is bounded.
 *
 * Must never be about policies themselves: a bad one could then not be taken out. Pure; memory is
 * the request's.
 */
#include <string.h>

#include "apiserver/admission/rights_of_all.h"
#include "apiserver/convert.h"
#include "apiserver/crd.h"
#include "apiserver/policy.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define GROUP "admissionregistration.k8s.io"
#define VERSIONS_MAX 16
#define MESSAGE_MAX 5120
#define NOTE_MAX (10 << 10)

struct step {
	struct admission_req *r;
	struct webhook_ask q;
	const struct json *bindings;
	const struct json *request, *namespace;
	struct authz *rights; /* read when an expression first asks */
	int64_t budget;
	bool refused; /* the first refusal stays; the others' warnings and notes still count */
};

/* One policy with one binding and one object of parameters. */
struct trial {
	struct step *s;
	const struct policy *p;
	const struct json *binding;
	struct cel_env env;
	struct json *notes; /* of the policy, by name: values of all its trials, or NULL */
};

/* ---- gathering ---- */

struct gathering {
	struct arena *a;
	struct json *all;
};

static void keep(void *arg, const struct json *o)
{
	struct gathering *g = arg;

	json_append(g->a, g->all, o);
}

static const struct json *gather(struct step *s, const char *group, const char *plural,
				 struct str namespace)
{
	struct gathering g = {s->r->a, json_new(s->r->a, JSON_ARRAY)};

	s->r->reader->each(s->r->reader->ctx,
			   &(struct admission_scan){group, plural, namespace, STR_NONE}, s->r->a,
			   keep, &g);
	return g.all;
}

static const struct kind *root(const struct kind *k)
{
	return k->stored ? k->stored : k;
}

/* The core's kinds are copies of the registry's. */
static bool same_table(const struct kind *x, const struct kind *y)
{
	return !strcmp(root(x)->group, root(y)->group) && !strcmp(root(x)->plural, root(y)->plural);
}

static bool same_version(const struct kind *x, const struct kind *y)
{
	return !strcmp(x->group, y->group) && !strcmp(x->version, y->version);
}

/* The other versions that the request's object can be seen in. */
static const struct kind *const *versions(struct admission_req *r)
{
	const struct kind **v = arena_array(r->a, VERSIONS_MAX + 1, sizeof(*v));
	const struct crd_version *own = crd_version(r->kind);
	size_t n = 0;

	for (size_t i = 0; own && !own->crd->converter && i < own->crd->n && n < VERSIONS_MAX; i++)
		if (own->crd->versions[i].served && &own->crd->versions[i].kind != r->kind)
			v[n++] = &own->crd->versions[i].kind;
	for (size_t i = 0; !own && kind_registry[i] && n < VERSIONS_MAX; i++)
		if (same_table(kind_registry[i], r->kind) &&
		    !same_version(kind_registry[i], r->kind))
			v[n++] = kind_registry[i];
	return v;
}

static const struct json *shown(struct step *s, const struct kind *as, const struct json *o)
{
	struct json *copy;

	if (!o || as == s->r->kind || !str_is(json_str(json_get(o, STR("kind"))), s->r->kind->kind))
		return o;
	copy = json_copy(s->r->a, o);
	convert_from_stored(s->r->a, as, copy);
	return copy;
}

static const struct json *request_of(struct step *s, const struct kind *as)
{
	struct webhook_ask q = s->q;
	AUTO(buf) struct buf text = {0};
	struct json *r;

	q.object = q.old = NULL;
	webhook_request(&q, as, &text);
	r = json_parse(s->r->a, arena_str(s->r->a, buf_view(&text)), NULL, NULL);
	json_del(r, STR("object"));
	json_del(r, STR("oldObject"));
	return r;
}

static int may(void *arg, const struct json *attributes, struct str *ret_reason)
{
	struct step *s = arg;

	if (!s->rights)
		s->rights = rights_of_all(s->r);
	*ret_reason = STR("");
	return authorizer_allows(s->rights, &s->r->user, attributes);
}

/* ---- saying no ---- */

static bool acts(const struct json *binding, const char *action)
{
	const struct json *list = json_at(binding, "spec", "validationActions");

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), action))
			return true;
	return false;
}

static int code_of(struct str reason)
{
	if (str_is(reason, "Unauthorized"))
		return 401;
	if (str_is(reason, "Forbidden"))
		return 403;
	return str_is(reason, "RequestEntityTooLarge") ? 413 : 422;
}

static void refuse(struct step *s, struct str message, struct str reason)
{
	struct admission_req *r = s->r;
	struct err ignored = {0};
	struct str why;

	if (s->refused)
		return;
	s->refused = true;
	if (!reason.n)
		reason = STR("Invalid");
	admission_forbid(r, &ignored, message);
	why = r->message;
	r->status_code = code_of(reason);
	r->status =
		json_build(r->a, "{s:s,s:s,s:{},s:s,s:S,s:S,s:{s:S,s:S,s:s,s:[{s:S}]},s:i}", "kind",
			   "Status", "apiVersion", "v1", "metadata", "status", "Failure", "message",
			   why, "reason", reason, "details", "name", r->name.n ? r->name : STR(""),
			   "group", str_c(r->kind->group), "kind", r->kind->plural, "causes",
			   "message", message, "code", r->status_code);
}

static void warn(struct trial *t, struct str message)
{
	struct str line =
		arena_strf(t->s->r->a,
			   "Validation failed for ValidatingAdmissionPolicy "
			   "'%.*s' with binding '%.*s': %.*s",
			   STR_ARG(t->p->name), STR_ARG(meta_name(t->binding)), STR_ARG(message));

	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] == '\n' || line.p[i] == '\r')
			((char *)(uintptr_t)line.p)[i] = ' ';
	admission_warn(t->s->r, line);
}

/* For the audit log: which expression failed, counted from the policy's first. */
static void note_failure(struct trial *t, size_t index, struct str message)
{
	struct arena *a = t->s->r->a;
	AUTO(buf) struct buf text = {0};
	struct json *o;

	if (!t->s->r->notes)
		return;
	o = json_build(a, "{s:S,s:S,s:S,s:i}", "message", message, "policy", t->p->name, "binding",
		       meta_name(t->binding), "expressionIndex", (int)index);
	json_set(a, o, STR("validationActions"),
		 json_copy(a, json_at(t->binding, "spec", "validationActions")));
	buf_putc(&text, '[');
	json_write(o, &text);
	buf_putc(&text, ']');
	admission_note(t->s->r, STR("validation.policy.admission.k8s.io/validation_failure"),
		       arena_str(a, buf_view(&text)));
}

static struct str denial(struct trial *t, struct str message)
{
	return arena_strf(t->s->r->a,
			  "ValidatingAdmissionPolicy '%.*s' with binding '%.*s' denied request: "
			  "%.*s",
			  STR_ARG(t->p->name), STR_ARG(meta_name(t->binding)), STR_ARG(message));
}

/* What failed, by the binding's actions. */
static void fail(struct trial *t, size_t index, struct str message, struct str reason)
{
	if (acts(t->binding, "Warn"))
		warn(t, message);
	if (acts(t->binding, "Audit"))
		note_failure(t, index, message);
	if (acts(t->binding, "Deny"))
		refuse(t->s, denial(t, message), reason);
}

static struct str stumbled(struct trial *t, const struct policy_check *c, const char *why)
{
	return arena_strf(t->s->r->a, "expression '%.*s' resulted in error: %s",
			  (int)MIN(c->text.n, 4096), c->text.p, why);
}

/* An expression that can't be judged: the failure policy's business. */
static void stumble(struct trial *t, size_t index, const struct policy_check *c, const char *why)
{
	if (!t->p->ignore_failure)
		fail(t, index, stumbled(t, c, why), STR_NONE);
}

/* ---- carrying out ---- */

static int judge(struct trial *t, const struct policy_check *c, bool *ret, struct err *why)
{
	if (!c->program)
		return err_set(why, ERR_INVALID, "compilation failed");
	return cel_eval_bool(c->program, t->s->r->a, &t->env, ret, why);
}

static struct str words(struct trial *t, const struct policy_check *c)
{
	struct str s = STR_NONE;
	struct err ignored = {0};

	if (c->saying && !cel_eval_string(c->saying, t->s->r->a, &t->env, &s, &ignored)) {
		s = str_trim(s);
		if (s.n && s.n <= MESSAGE_MAX && !memchr(s.p, '\n', s.n))
			return s;
	}
	s = str_trim(json_str_or(json_get(c->source, STR("message")), STR("")));
	if (s.n)
		return s;
	s = str_trim(c->text);
	return arena_strf(t->s->r->a, "failed expression: %.*s", STR_ARG(s));
}

/* False when one doesn't hold, or none fails but one can't be judged. */
static bool conditions_hold(struct trial *t)
{
	const struct policy_check *bad = NULL;
	struct err why = {0}, first = {0};
	bool holds;

	for (size_t i = 0; i < t->p->nconditions; i++) {
		const struct policy_check *c = &t->p->conditions[i];

		holds = false;
		if (!judge(t, c, &holds, &why)) {
			if (!holds)
				return false;
		} else if (!bad) {
			bad = c;
			first = why;
		}
	}
	if (bad)
		stumble(t, 0, bad, first.msg);
	return !bad;
}

/* Bindings that say the same are noted once, others one after another. */
static void collect(struct trial *t, struct str key, struct str value)
{
	struct arena *a = t->s->r->a;
	struct json *list = json_get(t->notes, key);

	if (!list)
		list = json_set(a, t->notes, key, json_new(a, JSON_ARRAY));
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_item(list, i)), value))
			return;
	json_append_str(a, list, value);
}

static void annotate(struct trial *t, const struct policy_check *c)
{
	struct err why = {0};
	struct str value = STR_NONE;

	if (!c->program)
		err_set(&why, ERR_INVALID, "compilation failed");
	else if (!cel_eval_string(c->program, t->s->r->a, &t->env, &value, &why)) {
		value = str_trim(value);
		if (t->notes && value.n)
			collect(t, json_str(json_get(c->source, STR("key"))),
				str_sub(value, 0, NOTE_MAX));
		return;
	}
	if (!t->p->ignore_failure)
		refuse(t->s, denial(t, stumbled(t, c, why.msg)), STR_NONE);
}

static void carry_out(struct trial *t)
{
	struct err why = {0};

	if (!conditions_hold(t))
		return;
	for (size_t i = 0; i < t->p->nvalidations; i++) {
		const struct policy_check *c = &t->p->validations[i];
		bool holds = false;

		if (judge(t, c, &holds, &why))
			stumble(t, i, c, why.msg);
		else if (!holds)
			fail(t, i, words(t, c),
			     json_str_or(json_get(c->source, STR("reason")), STR_NONE));
	}
	for (size_t i = 0; i < t->p->naudits; i++)
		annotate(t, &t->p->audits[i]);
}

static void try_with(struct trial *with, const struct kind *as, const struct json *params)
{
	static const struct json null = {.type = JSON_NULL};
	struct trial t = *with;
	struct step *s = t.s;
	const struct policy *p = t.p;
	struct cel_var vars[POLICY_VARS];
	struct arena *a = s->r->a;

	t.env = policy_env(vars, p);
	vars[POLICY_OBJECT].value = shown(s, as, s->q.object) ?: &null;
	vars[POLICY_OLD].value = shown(s, as, s->q.old) ?: &null;
	if (p->uses_request)
		vars[POLICY_REQUEST].value = request_of(s, as);
	if (s->namespace)
		vars[POLICY_NAMESPACE].value = s->namespace;
	if (params)
		vars[POLICY_PARAMS].value = params;
	t.env.lazy = arena_array(a, p->nvariables + 1, sizeof(*t.env.lazy));
	t.env.nlazy = p->nvariables;
	for (size_t i = 0; i < p->nvariables; i++) {
		t.env.lazy[i] = p->variables[i];
		t.env.lazy[i].state = cel_lazy_new(a);
	}
	t.env.budget = &s->budget;
	t.env.may = may;
	t.env.may_arg = s;
	carry_out(&t);
}

/* ---- parameters ---- */

struct param_kind {
	const char *group, *plural;
	bool namespaced;
};

static bool find_param_kind(struct step *s, const struct json *said, struct param_kind *ret)
{
	struct str group, version, kind = json_str(json_get(said, STR("kind")));
	const struct json *crds;

	api_version_split(json_str(json_get(said, STR("apiVersion"))), &group, &version);
	for (size_t i = 0; kind_registry[i]; i++) {
		const struct kind *k = kind_registry[i];

		if (!str_is(kind, k->kind) || !str_is(group, k->group) ||
		    !str_is(version, k->version))
			continue;
		*ret = (struct param_kind){k->group, k->plural,
					   (root(k)->flags & KIND_NAMESPACED) != 0};
		return true;
	}
	crds = gather(s, "apiextensions.k8s.io", "customresourcedefinitions", STR_NONE);
	for (size_t i = 0; i < json_len(crds); i++) {
		const struct json *spec = json_get(json_item(crds, i), STR("spec"));

		if (!str_eq(json_str(json_get(spec, STR("group"))), group) ||
		    !str_eq(json_str(json_at(spec, "names", "kind")), kind))
			continue;
		ret->group = arena_cstr(s->r->a, group);
		ret->plural = arena_cstr(s->r->a, json_str(json_at(spec, "names", "plural")));
		ret->namespaced = str_is(json_str(json_get(spec, STR("scope"))), "Namespaced");
		return true;
	}
	return false;
}

/* The objects of parameters that a binding names, NULL with `why` when that can't be said. */
static const struct json *find_params(struct step *s, const struct policy *p,
				      const struct json *ref, struct str *why)
{
	struct arena *a = s->r->a;
	struct str ns = json_str(json_get(ref, STR("namespace"))),
		   name = json_str(json_get(ref, STR("name")));
	const struct json *said = json_get(p->spec, STR("paramKind")), *all, *o;
	struct json *found = json_new(a, JSON_ARRAY);
	struct param_kind k = {0};
	struct selector sel = {0};

	if (!find_param_kind(s, said, &k)) {
		*why = arena_strf(
			a, "failed to find resource referenced by paramKind: '%.*s, Kind=%.*s'",
			STR_ARG(json_str(json_get(said, STR("apiVersion")))),
			STR_ARG(json_str(json_get(said, STR("kind")))));
		return NULL;
	}
	if (k.namespaced && !ns.n)
		ns = s->r->namespace;
	if (k.namespaced && !ns.n) {
		*why = STR("cannot use namespaced paramRef in policy binding that matches "
			   "cluster-scoped resources");
		return NULL;
	}
	if (name.n) {
		o = s->r->reader->get(s->r->reader->ctx, k.group, k.plural,
				      k.namespaced ? ns : STR_NONE, name, a);
		if (o)
			json_append(a, found, o);
		return found;
	}
	if (selector_from_json(a, json_get(ref, STR("selector")), &sel, NULL))
		return found;
	all = gather(s, k.group, k.plural, k.namespaced ? ns : STR_NONE);
	for (size_t i = 0; i < json_len(all); i++)
		if (selector_match_json(&sel, json_at(json_item(all, i), "metadata", "labels")))
			json_append(a, found, json_item(all, i));
	return found;
}

static void misconfigured(struct trial *t, struct str why)
{
	if (t->p->ignore_failure)
		return;
	refuse(t->s,
	       denial(t, arena_strf(t->s->r->a, "failed to configure binding: %.*s", STR_ARG(why))),
	       STR_NONE);
}

static void try_binding(struct trial *t, const struct kind *as)
{
	const struct json *ref = json_at(t->binding, "spec", "paramRef"), *all;
	struct str why = STR_NONE;

	if (!t->p->has_params || !json_is(ref, JSON_OBJECT)) {
		try_with(t, as, NULL);
		return;
	}
	all = find_params(t->s, t->p, ref, &why);
	if (!all) {
		misconfigured(t, why);
		return;
	}
	if (!json_len(all) &&
	    str_is(json_str(json_get(ref, STR("parameterNotFoundAction"))), "Deny"))
		misconfigured(t, STR("no params found for policy binding with `Deny` "
				     "parameterNotFoundAction"));
	for (size_t i = 0; i < json_len(all); i++)
		try_with(t, as, json_item(all, i));
}

/* ---- the step ---- */

static void publish(struct step *s, const struct policy *p, const struct json *notes)
{
	for (size_t i = 0; i < json_len(notes); i++) {
		const struct json *list = &notes->members[i].value;
		AUTO(buf) struct buf text = {0};

		for (size_t k = 0; k < json_len(list); k++) {
			buf_puts(&text, k ? ", " : "");
			buf_str(&text, json_str(json_item(list, k)));
		}
		admission_note(s->r,
			       arena_strf(s->r->a, "%.*s/%.*s", STR_ARG(p->name),
					  STR_ARG(notes->members[i].key)),
			       arena_str(s->r->a, buf_view(&text)));
	}
}

static void try_policy(struct step *s, const struct json *o)
{
	const struct json *constraints = json_at(o, "spec", "matchConstraints");
	const struct kind *as = policy_match(s->r->a, constraints, false, &s->q);
	struct trial t = {.s = s};

	for (size_t i = 0; as && i < json_len(s->bindings); i++) {
		const struct json *b = json_item(s->bindings, i);

		if (!str_eq(json_str(json_at(b, "spec", "policyName")), meta_name(o)) ||
		    !policy_match(s->r->a, json_at(b, "spec", "matchResources"), true, &s->q))
			continue;
		if (!t.p && s->r->notes)
			t.notes = json_new(s->r->a, JSON_OBJECT);
		if (!t.p)
			t.p = policy_compile(s->r->a, o, NULL);
		t.binding = b;
		try_binding(&t, as);
	}
	if (t.p)
		publish(s, t.p, t.notes);
}

/* A Scale's or an Eviction's policies were asked about the body; what becomes of the object is not
 * another request. */
static bool is_echo(const struct admission_req *r)
{
	static const char *const bodies[] = {"scale", "eviction", "binding"};

	for (size_t i = 0; r->subresource && i < ARRAY_LEN(bodies); i++)
		if (!strcmp(r->subresource, bodies[i]))
			return !r->object ||
			       str_is(json_str(json_get(r->object, STR("kind"))), r->kind->kind);
	return false;
}

static int admit(struct admission_req *r, struct err *err)
{
	struct step s = {.r = r, .budget = CEL_COST_REQUEST};
	const struct json *policies;

	if (!strcmp(r->kind->group, GROUP) || is_echo(r))
		return 0;
	s.bindings = gather(&s, GROUP, "validatingadmissionpolicybindings", STR_NONE);
	if (!json_len(s.bindings))
		return 0;
	policies = gather(&s, GROUP, "validatingadmissionpolicies", STR_NONE);
	if (r->namespace.n)
		s.namespace = r->reader->get(r->reader->ctx, "", "namespaces", STR_NONE,
					     r->namespace, r->a);
	s.q = (struct webhook_ask){.op = r->op,
				   .kind = r->kind,
				   .same = versions(r),
				   .subresource = r->subresource,
				   .namespace = r->namespace,
				   .name = r->name,
				   .object = r->object,
				   .old = r->old,
				   .namespace_labels = json_at(s.namespace, "metadata", "labels"),
				   .user = r->user,
				   .dry_run = r->dry_run};
	for (size_t i = 0; i < json_len(policies); i++)
		try_policy(&s, json_item(policies, i));
	if (s.rights)
		authz_free(s.rights);
	return s.refused ? err_set(err, ERR_FORBIDDEN, "%.*s", STR_ARG(r->message)) : 0;
}

const struct admission admission_validating_policy = {
	.name = "ValidatingAdmissionPolicy", .order = ADMISSION_LAST, .admit = admit};
