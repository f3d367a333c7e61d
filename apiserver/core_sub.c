/*
 * Sub-resources that aren't a view of the whole object: binding, scale, finalize; eviction has a
 * file of its own. Each is a row of a table. One thread.
 */
#include <string.h>

#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"
#include "apiserver/table.h"
#include "lib/json/jsonpath.h"
#include "lib/json/patch.h"
#include "lib/json/yaml.h"
#include "lib/schema/proto.h"

const struct obj *sub_live(struct op *op)
{
	const struct obj *live = table_get(op->served->table, op->req->namespace, op->req->name);

	if (!live)
		err_set(&op->err, ERR_NOT_FOUND, "%s%s%s \"%.*s\" not found", op->kind->plural,
			op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(op->req->name));
	return live;
}

/* The body as it is: these kinds have no schema of their own that would be checked. */
struct json *sub_body(struct op *op)
{
	struct json *v;

	if (!op->req->body.n)
		return json_new(op->a, JSON_OBJECT);
	v = proto_is(op->req->body) ? proto_decode(op->a, op->req->body, &op->err)
				    : json_parse(op->a, op->req->body, NULL, &op->err);
	if (v && json_is(v, JSON_OBJECT))
		return v;
	if (v)
		err_set(&op->err, ERR_BAD_REQUEST, "the body is not an object");
	op->err.code = ERR_BAD_REQUEST;
	return NULL;
}

/* What webhooks are shown says what it is, whether or not the writer did. */
struct json *sub_typed(struct op *op, struct json *body, const char *api_version, const char *kind)
{
	json_set_str(op->a, body, "apiVersion", str_c(api_version));
	json_set_str(op->a, body, "kind", str_c(kind));
	return body;
}

/* ---- pods/binding ---- */

static void copy_map(struct op *op, struct json *meta, const char *field, const struct json *from)
{
	const struct json *map = json_at(from, "metadata", field);

	for (size_t i = 0; i < json_len(map); i++)
		json_set(op->a, json_set_object(op->a, meta, field), map->members[i].key,
			 &map->members[i].value);
}

static int check_binding(struct op *op, const struct json *pod, const struct json *binding,
			 struct str node)
{
	struct str bound = json_str(json_at(pod, "spec", "nodeName")),
		   kind = json_str(json_at(binding, "target", "kind"));
	struct str uid = meta_uid(binding);

	if (meta_name(binding).n && !str_eq(meta_name(binding), op->req->name))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "name in URL does not match name in Binding object");
	if (!node.n)
		return err_set(&op->err, ERR_INVALID,
			       "Binding \"%.*s\" is invalid: target.name: Required value",
			       STR_ARG(op->req->name));
	if (kind.n && !str_is(kind, "Node"))
		return err_set(
			&op->err, ERR_INVALID,
			"target.kind: Unsupported value: \"%.*s\": supported values: \"Node\"",
			(int)MIN(kind.n, 50), kind.p);
	if (uid.n && !str_eq(uid, meta_uid(pod)))
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on pods/binding \"%.*s\": "
			       "Precondition failed: UID",
			       STR_ARG(op->req->name));
	if (json_str(json_at(pod, "metadata", "deletionTimestamp")).n)
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on pods/binding \"%.*s\": pod %.*s "
			       "is being deleted, cannot be assigned to "
			       "a host",
			       STR_ARG(op->req->name), STR_ARG(op->req->name));
	if (bound.n)
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on pods/binding \"%.*s\": pod %.*s "
			       "is already assigned to node \"%.*s\"",
			       STR_ARG(op->req->name), STR_ARG(op->req->name), STR_ARG(bound));
	if (json_len(json_at(pod, "spec", "schedulingGates")))
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on pods/binding \"%.*s\": pod has "
			       "non-empty .spec.schedulingGates",
			       STR_ARG(op->req->name));
	return 0;
}

static void bind_pod(struct op *op)
{
	const struct obj *live = sub_live(op);
	struct json *binding = live ? sub_body(op) : NULL, *pod;
	struct str node = json_str(json_at(binding, "target", "name"));

	if (!binding || check_binding(op, obj_tree(live, op->a), binding, node) ||
	    write_ask(op, ADMIT_CREATE, sub_typed(op, binding, "v1", "Binding"), NULL)) {
		op_answer_error(op);
		return;
	}
	pod = json_copy(op->a, obj_tree(live, op->a));
	json_set_str(op->a, json_set_object(op->a, pod, "spec"), "nodeName", node);
	copy_map(op, json_set_object(op->a, pod, "metadata"), "annotations", binding);
	copy_map(op, json_set_object(op->a, pod, "metadata"), "labels", binding);
	condition_set(op->a, pod, "PodScheduled", "True", NULL, STR_NONE, core_now(op->core));
	if (!op->dry_run)
		core_put(op->core, op->served->table, pod, op->a);
	op_answer_success(op, 201, NULL);
}

/* The old way: a Binding is posted, and its name is the pod's. */
void core_binding(struct op *op)
{
	struct json *binding = sub_body(op);

	op->served = core_served(op->core, STR(""), STR("v1"), STR("pods"));
	op->kind = op->served ? op->served->kind : op->kind;
	op->req->name = op->name = arena_str(op->req->arena, meta_name(binding));
	if (binding && op->served && op->name.n) {
		bind_pod(op);
		return;
	}
	if (binding)
		err_set(&op->err, ERR_BAD_REQUEST, "metadata.name is required");
	op_answer_error(op);
}

/* ---- scale ---- */

static const char *replicas_path(const struct op *op, const char *part)
{
	const struct crd_version *v = crd_version(op->kind);

	if (!strcmp(part, "spec"))
		return v ? v->replicas : ".spec.replicas";
	return v ? v->status_replicas : ".status.replicas";
}

static void write_labels(const struct json *map, struct buf *out)
{
	for (size_t i = 0; i < json_len(map); i++)
		buf_printf(out, "%s%.*s=%.*s", i ? "," : "", STR_ARG(map->members[i].key),
			   STR_ARG(json_str(&map->members[i].value)));
}

/* Kinds of definitions keep their selector as text, at a place of their own. */
static void put_selector(struct op *op, const struct json *tree, struct json *scale)
{
	const struct crd_version *v = crd_version(op->kind);
	AUTO(buf) struct buf text = {0};
	struct selector s;

	if (v && v->selector)
		buf_str(&text, json_str(jsonpath_first(tree, str_c(v->selector))));
	else if (!v && !op->kind->group[0]) /* replication controllers': a plain map */
		write_labels(json_at(tree, "spec", "selector"), &text);
	else if (!v && !selector_from_json(op->a, json_at(tree, "spec", "selector"), &s, NULL))
		selector_write(&s, &text);
	if (text.n || !v)
		json_set_str(op->a, json_get(scale, STR("status")), "selector", buf_view(&text));
}

static struct json *scale_of(struct op *op, const struct obj *o)
{
	const struct json *tree = convert_view(op->a, op->kind, o);
	const struct json *want = jsonpath_first(tree, str_c(replicas_path(op, "spec"))),
			  *have = jsonpath_first(tree, str_c(replicas_path(op, "status")));
	struct json *scale =
		json_build(op->a, "{s:s, s:s, s:{s:S, s:S, s:S}, s:{s:I}, s:{s:I}}", "kind",
			   "Scale", "apiVersion", "autoscaling/v1", "metadata", "name", o->name,
			   "namespace", o->namespace, "uid", o->uid, "spec", "replicas",
			   json_int(want, 0), "status", "replicas", json_int(have, 0));

	if (!json_int(want, 0))
		json_del(json_get(scale, STR("spec")), STR("replicas"));

	json_set(op->a, json_get(scale, STR("metadata")), STR("resourceVersion"),
		 json_at(tree, "metadata", "resourceVersion"));
	json_set(op->a, json_get(scale, STR("metadata")), STR("creationTimestamp"),
		 json_at(tree, "metadata", "creationTimestamp"));
	put_selector(op, tree, scale);
	return scale;
}

static struct json *child_object(struct op *op, struct json *o, struct str name)
{
	struct json *have = json_get(o, name);

	if (have && have->type != JSON_NULL)
		return have;
	return json_set_object(op->a, o, arena_cstr(op->a, name));
}

/* ".spec.replicas" and the like: plain members, as validation demands of definitions. */
static void set_replicas(struct op *op, struct json *next, int64_t n)
{
	struct str rest = str_c(replicas_path(op, "spec")), part;
	struct json *at = next;

	while (str_next(&rest, '.', &part)) {
		if (!part.n)
			continue;
		if (!json_is(at, JSON_OBJECT))
			return; /* something else stands in the way; the schema will say so */
		if (!rest.p)
			json_set_int(op->a, at, arena_cstr(op->a, part), n);
		else
			at = child_object(op, at, part);
	}
}

static struct json *wanted_scale(struct op *op, const struct obj *live)
{
	struct json *body = sub_body(op);
	struct str type, tail;

	if (!body || op->req->verb == CORE_UPDATE)
		return body;
	str_cut(op->req->content_type, ';', &type, &tail);
	if (str_is(str_trim(type), "application/json-patch+json"))
		return patch_json(op->a, scale_of(op, live), body, &op->err);
	return patch_merge(op->a, scale_of(op, live), body);
}

static void answer_scale(struct op *op, const struct json *v)
{
	AUTO(buf) struct buf text = {0};
	struct json *table;

	if (op->req->form != CORE_FORM_TABLE) {
		op_answer_json(op, 200, v);
		return;
	}
	scale_table(v, op_query(op, "includeObject"), core_now(op->core), &text);
	table = json_parse(op->a, buf_view(&text), NULL, &op->err);
	if (table)
		op_answer_json(op, 200, table);
	else
		op_answer_error(op);
}

/* About the Scale, not about what is scaled. */
static void refuse_scale(struct op *op, int64_t n)
{
	const char *why = arena_printf(
		op->a, "Invalid value: %lld: must be greater than or equal to 0", (long long)n);

	op->denial_code = 422;
	op->denial = json_build(
		op->a, "{s:s,s:s,s:{},s:s,s:s,s:s,s:{s:S,s:s,s:s,s:[{s:s,s:s,s:s}]},s:i}", "kind",
		"Status", "apiVersion", "v1", "metadata", "status", "Failure", "message",
		arena_printf(op->a, "Scale.autoscaling \"%.*s\" is invalid: spec.replicas: %s",
			     STR_ARG(op->req->name), why),
		"reason", "Invalid", "details", "name", op->req->name, "group", "autoscaling",
		"kind", "Scale", "causes", "reason", "FieldValueInvalid", "message", why, "field",
		"spec.replicas", "code", 422);
	err_set(&op->err, ERR_INVALID, "spec.replicas: %s", why);
}

static void scale(struct op *op)
{
	const struct obj *live = sub_live(op), *o = NULL;
	struct json *wanted = NULL, *next;
	const struct json *replicas;

	if (live && op_see(op, &live, 1, &live)) {
		op_answer_error(op);
		return;
	}

	if (live && op->req->verb == CORE_GET) {
		answer_scale(op, scale_of(op, live));
		return;
	}
	if (live)
		wanted = wanted_scale(op, live);
	replicas = json_at(wanted, "spec", "replicas");
	if (wanted && meta_name(wanted).n && !str_eq(meta_name(wanted), op->req->name)) {
		err_set(&op->err, ERR_BAD_REQUEST,
			"the name of the object (%.*s) does not match the name on the URL (%.*s)",
			(int)MIN(meta_name(wanted).n, 200), meta_name(wanted).p,
			(int)MIN(op->req->name.n, 200), op->req->name.p);
	} else if (wanted && replicas && (!json_is(replicas, JSON_INT) || replicas->i < 0)) {
		refuse_scale(op, json_int(replicas, -1));
	} else if (wanted &&
		   !write_ask(op, ADMIT_UPDATE, sub_typed(op, wanted, "autoscaling/v1", "Scale"),
			      scale_of(op, live))) {
		replicas = json_at(wanted, "spec", "replicas");
		next = json_copy(op->a, convert_view(op->a, op->kind, live));
		set_replicas(op, next, json_int(replicas, 0));
		json_set(op->a, json_set_object(op->a, next, "metadata"), STR("resourceVersion"),
			 json_at(wanted, "metadata", "resourceVersion"));
		o = write_object(op, next, live, true);
	}
	if (o)
		op_answer_json(op, 200, scale_of(op, o));
	else
		op_answer_error(op);
}

/* ---- namespaces/finalize ---- */

static void finalize(struct op *op)
{
	const struct obj *live = sub_live(op), *o = NULL;
	struct json *wanted = live ? write_decode(op) : NULL, *next;

	if (!wanted) {
		op_answer_error(op);
		return;
	}
	next = json_copy(op->a, obj_tree(live, op->a));
	json_set(op->a, json_set_object(op->a, next, "spec"), STR("finalizers"),
		 json_at(wanted, "spec", "finalizers"));
	if (!json_len(json_at(next, "spec", "finalizers")))
		json_del(json_get(next, STR("spec")), STR("finalizers"));
	o = live;
	if (!op->dry_run && !json_equal(next, obj_tree(live, op->a)))
		o = core_put(op->core, op->served->table, next, op->a);
	if (!op->dry_run && core_deletable(op->kind, next))
		core_remove(op->core, op->served->table, o, op->a);
	op_answer_obj(op, 200, o);
}

/* ---- the table ---- */

#define ON(verb) (1u << (verb))

static const struct sub {
	const char *plural, *name; /* plural NULL = every kind that has it */
	uint32_t flag;             /* of the kind */
	unsigned verbs;
	void (*fn)(struct op *op);
} subs[] = {
	{"pods", "binding", 0, ON(CORE_CREATE), bind_pod},
	{"pods", "eviction", 0, ON(CORE_CREATE), core_evict},
	{"namespaces", "finalize", 0, ON(CORE_UPDATE), finalize},
	{NULL, "scale", KIND_SCALE, ON(CORE_GET) | ON(CORE_UPDATE) | ON(CORE_PATCH), scale},
};

/* Sub-resources that are written like the whole object, by a narrower rule of the kind's. */
static bool is_view(const struct op *op)
{
	return str_is(op->req->subresource, "ephemeralcontainers") ||
	       str_is(op->req->subresource, "resize") || str_is(op->req->subresource, "approval");
}

bool core_subresource(struct op *op)
{
	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		const struct sub *s = &subs[i];

		if (!str_is(op->req->subresource, s->name) ||
		    (s->plural && strcmp(s->plural, op->kind->plural)) ||
		    (op->kind->flags & s->flag) != s->flag)
			continue;
		if (!(s->verbs & ON(op->req->verb))) {
			err_set(&op->err, ERR_METHOD_NOT_ALLOWED,
				"the server does not allow this method on the requested resource");
			op_answer_error(op);
			return true;
		}
		s->fn(op);
		return true;
	}
	for (const char *const *s = op->kind->subresources; s && *s && is_view(op); s++)
		if (str_is(op->req->subresource, *s))
			return false;
	err_set(&op->err, ERR_NOT_FOUND, "the server could not find the requested resource");
	op_answer_error(op);
	return true;
}
