/*
 * Deleting: at once, or marked until finalizers, a grace period or a namespace's contents are
 * done. One thread. Specification: k8s.io/apiserver/pkg/registry/rest (delete.go).
 */
#include <string.h>

#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"
#include "lib/json/yaml.h"
#include "lib/schema/proto.h"

/* ---- options ---- */

/* What can't be read is no wish that could be carried out otherwise. */
static int check_types(struct op *op, const struct json *o)
{
	const struct schema *s =
		schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
	struct schema_problems problems = {.a = op->a};

	schema_check(s, o, &problems, NULL);
	for (size_t i = 0; i < problems.n; i++)
		if (!strcmp(problems.v[i].reason, "FieldValueTypeInvalid"))
			return err_set(&op->err, ERR_BAD_REQUEST, "%.*s",
				       (int)MIN(problems.v[i].message.n, 200),
				       problems.v[i].message.p);
	return 0;
}

static struct json *options_of(struct op *op)
{
	struct json *o;
	struct str grace = op_query(op, "gracePeriodSeconds"),
		   how = op_query(op, "propagationPolicy");
	int64_t seconds;

	if (!op->req->body.n)
		o = json_new(op->a, JSON_OBJECT);
	else if (proto_is(op->req->body))
		o = proto_decode(op->a, op->req->body, &op->err);
	else
		o = json_parse(op->a, op->req->body, NULL, &op->err);
	if (!o || !json_is(o, JSON_OBJECT)) {
		op->err.code = ERR_BAD_REQUEST;
		return NULL;
	}
	if (json_is(json_get(o, STR("kind")), JSON_STRING) &&
	    !str_is(json_str(json_get(o, STR("kind"))), "DeleteOptions")) {
		err_set(&op->err, ERR_BAD_REQUEST,
			"decoded object cannot be converted to DeleteOptions");
		return NULL;
	}
	if (grace.n && str_to_i64(grace, &seconds)) {
		err_set(&op->err, ERR_BAD_REQUEST,
			"strconv.ParseInt: parsing \"%.*s\": invalid syntax", (int)MIN(grace.n, 50),
			grace.p);
		return NULL;
	}
	if (grace.n)
		json_set_int(op->a, o, "gracePeriodSeconds", seconds);
	if (how.n)
		json_set_str(op->a, o, "propagationPolicy", how);
	if (check_types(op, o) || options_read_delete(op, o))
		return NULL;
	op->delete_options = o;
	return o;
}

static int check_preconditions(struct op *op, const struct obj *live, const struct json *options)
{
	struct str uid = json_str(json_at(options, "preconditions", "uid"));
	struct str revision = json_str(json_at(options, "preconditions", "resourceVersion"));
	uint64_t want;

	op->by_kind = true;
	if (uid.n && !str_eq(uid, live->uid))
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on %s \"%.*s\": Precondition failed: "
			       "UID in precondition: %.*s, UID in "
			       "object meta: %.*s",
			       op->kind->kind, STR_ARG(live->name), (int)MIN(uid.n, 60), uid.p,
			       STR_ARG(live->uid));
	if (revision.n && (str_to_u64(revision, &want) || want != live->revision))
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on %s \"%.*s\": Precondition failed: "
			       "ResourceVersion in precondition: "
			       "%.*s, ResourceVersion in object meta: %llu",
			       op->kind->kind, STR_ARG(live->name), (int)MIN(revision.n, 30),
			       revision.p, (unsigned long long)live->revision);
	op->by_kind = false;
	return 0;
}

/* ---- what holds an object ---- */

static bool is_namespace(const struct kind *k)
{
	return !k->group[0] && !strcmp(k->plural, "namespaces");
}

bool core_deletable(const struct kind *k, const struct json *o)
{
	if (!json_str(json_at(o, "metadata", "deletionTimestamp")).n ||
	    json_len(json_at(o, "metadata", "finalizers")))
		return false;
	if (is_namespace(k))
		return !json_len(json_at(o, "spec", "finalizers"));
	return !(k->flags & KIND_GRACEFUL) ||
	       !json_int(json_at(o, "metadata", "deletionGracePeriodSeconds"), 0);
}

static bool has_finalizer(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), name))
			return true;
	return false;
}

static void set_finalizer(struct arena *a, struct json *meta, const char *name, bool wanted)
{
	struct json *list = json_get(meta, STR("finalizers"));

	if (wanted && !has_finalizer(list, name))
		json_append_str(a, json_set_array(a, meta, "finalizers"), str_c(name));
	for (size_t i = json_len(list); !wanted && i-- > 0;)
		if (str_is(json_str(json_item(list, i)), name))
			json_remove(list, i);
	if (list && !json_len(list))
		json_del(meta, STR("finalizers"));
}

/* Kinds that are older than garbage collection leave their dependents alone, unless they are told
 * otherwise. */
static struct str propagation_of_old(struct op *op, const struct json *meta)
{
	if (!strcmp(op->kind->group, "batch"))
		buf_puts(&op->warnings,
			 "child pods are preserved by default when jobs are deleted; set "
			 "propagationPolicy=Background to remove them or set "
			 "propagationPolicy=Orphan to suppress this warning\n");
	return has_finalizer(json_get(meta, STR("finalizers")), "foregroundDeletion")
		       ? STR_NONE
		       : STR("Orphan");
}

/* The old orphanDependents option is the policy's forerunner. */
static void set_propagation(struct op *op, struct json *meta, const struct json *options)
{
	struct str how = json_str(json_get(options, STR("propagationPolicy")));
	const struct json *orphan = json_get(options, STR("orphanDependents"));

	if (!how.n && json_is(orphan, JSON_BOOL))
		how = orphan->b ? STR("Orphan") : STR("Background");
	if (!how.n && op->kind->flags & KIND_ORPHANS)
		how = propagation_of_old(op, meta);
	if (!how.n)
		return;
	set_finalizer(op->a, meta, "foregroundDeletion", str_is(how, "Foreground"));
	set_finalizer(op->a, meta, "orphan", str_is(how, "Orphan"));
}

/* Pods: what was asked for, else the spec's; nothing where nothing runs. */
static int64_t grace_of(struct op *op, const struct json *tree, const struct json *options)
{
	int64_t grace = json_int(json_at(tree, "spec", "terminationGracePeriodSeconds"), 30);
	struct str phase = json_str(json_at(tree, "status", "phase"));

	if (!(op->kind->flags & KIND_GRACEFUL))
		return 0;
	grace = json_int(json_get(options, STR("gracePeriodSeconds")), grace);
	if (!json_str(json_at(tree, "spec", "nodeName")).n || str_is(phase, "Succeeded") ||
	    str_is(phase, "Failed"))
		grace = 0;
	return MAX(grace, 0);
}

/* A definition stays until its objects are gone (core_crd.c). */
static bool defines(const struct kind *k)
{
	return !strcmp(k->group, "apiextensions.k8s.io") &&
	       !strcmp(k->plural, "customresourcedefinitions");
}

static void mark(struct op *op, struct json *tree, int64_t grace)
{
	struct json *meta = json_set_object(op->a, tree, "metadata");
	char text[TIME_TEXT_MAX];
	bool marked = json_str(json_get(meta, STR("deletionTimestamp"))).n > 0;

	if (marked && grace >= json_int(json_get(meta, STR("deletionGracePeriodSeconds")), 0))
		return;
	json_set_str(op->a, meta, "deletionTimestamp",
		     time_format(core_now(op->core) + grace * NS_PER_S, text));
	if (defines(op->kind))
		return;
	json_set_int(op->a, meta, "deletionGracePeriodSeconds", grace);
	if ((op->kind->flags & KIND_GENERATION) && !marked)
		json_set_int(op->a, meta, "generation",
			     json_int(json_get(meta, STR("generation")), 0) + 1);
	if (is_namespace(op->kind))
		json_set_str(op->a, json_set_object(op->a, tree, "status"), "phase",
			     STR("Terminating"));
}

/* ---- deleting ---- */

/* An object as it is told of, though it doesn't stand like that. */
static const struct obj *shown(struct op *op, const struct json *tree)
{
	struct obj *o = obj_from_json(tree, &op->err);

	if (o)
		core_keep(op->core, o);
	return o;
}

const struct obj *core_delete_object(struct op *op, const struct obj *live,
				     const struct json *options, bool *ret_gone)
{
	const struct json *old = obj_tree(live, op->a);
	struct json *tree = json_copy(op->a, old);
	const struct obj *marked;

	*ret_gone = false;
	if (check_preconditions(op, live, options) || write_admit_delete(op, live->name, old))
		return NULL;
	if (defines(op->kind)) /* its objects go first, whatever else was wished for */
		set_finalizer(op->a, json_set_object(op->a, tree, "metadata"), CRD_FINALIZER, true);
	else if (!(op->kind->flags & KIND_EXPIRES)) /* nothing hangs on Events */
		set_propagation(op, json_set_object(op->a, tree, "metadata"), options);
	mark(op, tree, grace_of(op, tree, options));
	if (op->evicting && !live->deleted_ns)
		condition_set(op->a, tree, "DisruptionTarget", "True", "EvictionByEvictionAPI",
			      STR("Eviction API: evicting"), core_now(op->core));
	*ret_gone = core_deletable(op->kind, tree);
	if (*ret_gone && !op->dry_run) {
		core_keep(op->core, obj_ref(live));
		core_remove(op->core, op->served->table, live, op->a);
	}
	if (*ret_gone && !(op->kind->flags & KIND_GRACEFUL))
		return live;
	if (*ret_gone || op->dry_run)
		return shown(op, tree);
	if (json_equal(tree, old))
		return live;
	marked = core_put(op->core, op->served->table, tree, op->a);
	return marked;
}

/* Status.details, as the API server says what it deleted. */
static const struct json *details(struct op *op, const struct obj *o)
{
	struct json *d = json_build(op->a, "{s:S}", "name", arena_str(op->a, o->name));

	if (op->kind->group[0])
		json_set_str(op->a, d, "group", str_c(op->kind->group));
	json_set_str(op->a, d, "kind", str_c(op->kind->plural));
	json_set_str(op->a, d, "uid", o->uid);
	return d;
}

void core_delete(struct op *op)
{
	const struct obj *live = table_get(op->served->table, op->req->namespace, op->req->name),
			 *o = NULL, *seen = live;
	struct json *options = options_of(op);
	bool gone = false;

	if (live && op_see(op, &live, 1, &seen))
		options = NULL;
	if (options && !live)
		err_set(&op->err, ERR_NOT_FOUND, "%s%s%s \"%.*s\" not found", op->kind->plural,
			op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(op->req->name));
	else if (options)
		o = core_delete_object(op, live, options, &gone);
	if (!o)
		op_answer_error(op);
	else if (gone && !(op->kind->flags & (KIND_GRACEFUL | KIND_SHOWS_GONE)))
		op_answer_success(op, 200, details(op, o));
	else
		op_answer_obj(op, 200, op_like(op, seen, o));
}

/* Every object that is selected; the first error ends it. */
void core_delete_collection(struct op *op)
{
	struct table *t = op->served->table;
	struct json *options = options_of(op);
	struct selecting s;
	const struct obj **doomed, **seen;
	size_t from, to, n = 0;
	struct json *list, *items;

	if (!options || selecting_parse(op, op->a, &s)) {
		op_answer_error(op);
		return;
	}
	table_range(t, op->req->namespace, &from, &to);
	doomed = arena_array(op->a, to - from + 1, sizeof(*doomed));
	for (; from < to; from++)
		doomed[n++] = t->rows[from];
	seen = arena_array(op->a, n + 1, sizeof(*seen));
	if (op_select(op, &s, doomed, &n, seen)) {
		op_answer_error(op);
		return;
	}
	list = json_build(op->a, "{s:s, s:s, s:{}, s:[]}", "kind",
			  arena_printf(op->a, "%sList", op->kind->kind), "apiVersion",
			  op->kind->group[0]
				  ? arena_printf(op->a, "%s/%s", op->kind->group, op->kind->version)
				  : op->kind->version,
			  "metadata", "items");
	items = json_get(list, STR("items"));
	for (size_t i = 0; i < n; i++) {
		bool gone;
		const struct obj *o = core_delete_object(op, doomed[i], options, &gone);

		if (!o && op->parked) /* the others' webhooks can be asked meanwhile */
			continue;
		if (!o) {
			op_answer_error(op);
			return;
		}
		json_append(op->a, items, convert_view(op->a, op->kind, seen[i]));
	}
	op_answer_json(op, 200, list);
}
