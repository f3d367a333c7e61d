/*
 * Creating and updating: check against the schema, default, admit, prepare, validate,
 * stamp, put. Patches and applies come here too once they are whole objects. Pure but for the
 * tables that it reads and writes. One thread.
 * Specification: k8s.io/apiserver/pkg/registry/generic/registry (store.go), pkg/registry/rest.
 */
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/crd.h"
#include "apiserver/kinds/rules.h"
#include "lib/os/zoneinfo.h"
#include "lib/schema/apply.h"

/* ---- what the system says about an object ---- */

static struct json *metadata(struct op *op, struct json *o)
{
	return json_set_object(op->a, o, "metadata");
}

static struct str time_text(struct op *op, int64_t ns)
{
	char text[TIME_TEXT_MAX];

	return arena_str(op->a, time_format(ns, text));
}

static int check_namespace(struct op *op, struct json *o)
{
	struct str said = meta_namespace(o), asked = op->req->namespace;

	if (!(op->kind->flags & KIND_NAMESPACED)) {
		json_del(metadata(op, o), STR("namespace"));
		return 0;
	}
	if (said.n && !str_eq(said, asked))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "the namespace of the provided object does not match the namespace "
			       "sent on the request");
	json_set_str(op->a, metadata(op, o), "namespace", asked);
	return 0;
}

static int give_name(struct op *op, struct json *o)
{
	struct str prefix = json_str(json_at(o, "metadata", "generateName"));
	char suffix[6];

	if (meta_name(o).n || !prefix.n)
		return 0;
	for (int i = 0; i < 8; i++) {
		struct str name;

		rng_suffix(&op->core->rng, 5, suffix);
		name = arena_strf(op->a, "%.*s%s", (int)MIN(prefix.n, 58), prefix.p, suffix);
		json_set_str(op->a, metadata(op, o), "name", name);
		if (!table_get(op->served->table, meta_namespace(o), name))
			return 0;
	}
	return err_set(&op->err, ERR_EXISTS, "no free name found for generateName \"%.*s\"",
		       (int)MIN(prefix.n, 100), prefix.p);
}

static void stamp_new(struct op *op, struct json *o)
{
	struct json *m = metadata(op, o);
	char uid[UUID_TEXT_MAX];

	uuid_from(&op->core->rng, uid);
	json_set_str(op->a, m, "uid", str_c(uid));
	json_set_str(op->a, m, "creationTimestamp", time_text(op, core_now(op->core)));
	json_del(m, STR("deletionTimestamp"));
	json_del(m, STR("deletionGracePeriodSeconds"));
	json_del(m, STR("selfLink"));
	json_del(m, STR("generation"));
	if (op->kind->flags & KIND_GENERATION)
		json_set_int(op->a, m, "generation", 1);
}

/* What only the system sets is as it was, whatever the writer sent. */
static void stamp_kept(struct op *op, struct json *o, const struct json *live)
{
	static const char *const kept[] = {"uid",
					   "creationTimestamp",
					   "deletionTimestamp",
					   "deletionGracePeriodSeconds",
					   "generation",
					   "selfLink",
					   "generateName"};
	struct json *m = metadata(op, o);

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const struct json *v = json_at(live, "metadata", kept[i]);

		if (!strcmp(kept[i], "deletionGracePeriodSeconds") &&
		    json_is(json_get(m, str_c(kept[i])), JSON_INT))
			continue; /* whoever says another hears that it can't be changed */
		if (v)
			json_set(op->a, m, str_c(kept[i]), v);
		else
			json_del(m, str_c(kept[i]));
	}
}

/* Everything but metadata and status, compared. */
static bool spec_changed(const struct op *op, const struct json *next, const struct json *live)
{
	for (size_t i = 0; i < json_len(next); i++) {
		struct str key = next->members[i].key;

		if (!str_is(key, "metadata") && !str_is(key, "status") &&
		    !str_is(key, "apiVersion") &&
		    !json_equal(&next->members[i].value, json_get(live, key)))
			return true;
	}
	for (size_t i = 0; i < json_len(live); i++) {
		struct str key = live->members[i].key;

		if (!str_is(key, "metadata") && !str_is(key, "status") && !json_get(next, key))
			return true;
	}
	(void)op;
	return false;
}

static void replace_member(struct op *op, struct json *o, const char *name, const struct json *from)
{
	const struct json *v = json_get(from, str_c(name));

	if (v)
		json_set(op->a, o, str_c(name), v);
	else
		json_del(o, str_c(name));
}

/* An approval is written like a status; the kind keeps it to what it may change. */
static bool of_status(const struct op *op)
{
	return str_is(op->req->subresource, "status") || str_is(op->req->subresource, "approval");
}

/* A write to /status changes status (and what metadata the writer may); any other leaves it alone.
 */
static struct json *keep_apart(struct op *op, struct json *next, const struct json *live)
{
	struct json *merged;

	if (!(op->kind->flags & KIND_STATUS))
		return next;
	if (!of_status(op)) {
		replace_member(op, next, "status", live);
		return next;
	}
	merged = json_copy(op->a, live);
	replace_member(op, merged, "status", next);
	if (op->kind->flags & KIND_STATUS_META) {
		replace_member(op, merged, "metadata", next);
		return merged;
	}
	replace_member(op, metadata(op, merged), "managedFields", json_get(next, STR("metadata")));
	replace_member(op, metadata(op, merged), "resourceVersion",
		       json_get(next, STR("metadata")));
	return merged;
}

/* ---- rules ---- */

static int invalid(struct op *op)
{
	AUTO(buf) struct buf text = {0};

	if (!op->problems.n)
		return 0;
	for (size_t i = 0; i < op->problems.n; i++) {
		const struct schema_problem *p = &op->problems.v[i];

		buf_printf(&text, "%s%.*s%s%.*s", i ? ", " : "", STR_ARG(p->field),
			   p->field.n ? ": " : "", STR_ARG(p->message));
	}
	return err_set(&op->err, ERR_INVALID, "%s%s%s", op->problems.n > 1 ? "[" : "",
		       buf_cstr(&text), op->problems.n > 1 ? "]" : "");
}

static bool zone_known(struct str name)
{
	const struct timezone *tz;

	return zoneinfo_find(name, &tz);
}

static const struct kind *find_served(void *arg, struct str group, struct str version,
				      struct str plural)
{
	const struct served *s = core_served(arg, group, version, plural);

	return s ? s->kind : NULL;
}

static struct kind_ctx context(struct op *op)
{
	return (struct kind_ctx){.a = op->a,
				 .served = find_served,
				 .served_arg = op->core,
				 .now_ns = core_now(op->core),
				 .warnings = &op->warnings,
				 .zone_known = zone_known,
				 .asked = op->served->kind,
				 .subresource = op->req->subresource.n
							? arena_cstr(op->a, op->req->subresource)
							: NULL,
				 .problems = op->problems};
}

static void default_all(struct op *op, struct json *next)
{
	struct kind_ctx c = context(op);

	schema_default(op->a, op->kind->schema, next);
	if (op->kind->set_defaults)
		op->kind->set_defaults(&c, next);
	op->problems = c.problems;
}

static void prepare(struct op *op, struct json *next, const struct json *live)
{
	struct kind_ctx c = context(op);

	if (op->kind->prepare)
		op->kind->prepare(&c, next, live);
	op->problems = c.problems;
}

static void validate(struct op *op, const struct json *next, const struct json *live)
{
	struct kind_ctx c = context(op);

	rule_metadata(&c, op->kind, next, live);
	if (op->kind->validate)
		op->kind->validate(&c, next, live);
	op->problems = c.problems;
}

static int allocate(struct op *op, struct json *next, const struct json *live)
{
	if (strcmp(op->kind->plural, "services") || op->kind->group[0] || of_status(op))
		return 0;
	return alloc_service(op->core->alloc, op->a, &op->core->rng, next, live, &op->problems);
}

int write_again(struct op *op, struct json *next, struct json *changed)
{
	struct json *was = json_copy(op->a, next);

	if (write_check(op, changed))
		return -1;
	default_all(op, changed);
	*next = *changed;
	if (!(op->kind->flags & KIND_STATUS))
		return 0;
	if (of_status(op)) { /* nothing else is written, whoever wants it */
		replace_member(op, was, "status", changed);
		*next = *was;
	} else {
		replace_member(op, next, "status", was);
	}
	return 0;
}

/* In the version that the writer speaks: that is whose field paths are kept. */
static void track(struct op *op, const struct kind *asked, struct json *next,
		  const struct json *live)
{
	struct str manager = op_query(op, "fieldManager"), agent, rest;
	struct apply_opts o = {.now_ns = core_now(op->core), .subresource = op->req->subresource};

	str_cut(op->req->user_agent, '/', &agent, &rest);
	o.manager = manager.n ? manager : agent.n ? agent : STR("unknown");
	o.api_version = convert_api_version(op->a, asked);
	if (!convert_moves(asked)) {
		apply_track_update(op->a, asked->schema, live, next, &o);
		return;
	}
	struct json *shown = json_copy(op->a, next), *was = live ? json_copy(op->a, live) : NULL;

	convert_from_stored(op->a, asked, shown);
	if (was)
		convert_from_stored(op->a, asked, was);
	apply_track_update(op->a, asked->schema, was, shown, &o);
	replace_member(op, metadata(op, next), "managedFields", json_get(shown, STR("metadata")));
}

/* ---- the pipeline ---- */

static int make_new(struct op *op, struct json *next)
{
	if (check_namespace(op, next) || give_name(op, next))
		return -1;
	op->name = meta_name(next);
	stamp_new(op, next);
	if ((op->kind->flags & (KIND_STATUS | KIND_STATUS_GIVEN)) == KIND_STATUS)
		json_del(next, STR("status"));
	return 0;
}

static int check_revision(struct op *op, const struct json *next, const struct obj *live)
{
	struct str said = json_str(json_at(next, "metadata", "resourceVersion")),
		   uid = meta_uid(next);
	uint64_t revision = 0;

	if (uid.n && !str_eq(uid, live->uid))
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on %s%s%s \"%.*s\": Precondition "
			       "failed: UID in precondition: %.*s, UID "
			       "in object meta: %.*s",
			       op->kind->plural, op->kind->group[0] ? "." : "", op->kind->group,
			       STR_ARG(live->name), (int)MIN(uid.n, 60), uid.p, STR_ARG(live->uid));
	if (said.n && !str_is(said, "0")) {
		if (!str_to_u64(said, &revision) && revision == live->revision)
			return 0;
		return err_set(&op->err, ERR_CONFLICT,
			       "Operation cannot be fulfilled on %s%s%s \"%.*s\": the object has "
			       "been modified; please apply your "
			       "changes to the latest version and try again",
			       op->kind->plural, op->kind->group[0] ? "." : "", op->kind->group,
			       STR_ARG(live->name));
	}
	if (op->kind->flags & KIND_UNCONDITIONAL_UPDATE || op->req->verb != CORE_UPDATE)
		return 0;
	schema_problem(&op->problems, "FieldValueInvalid", STR("metadata.resourceVersion"), 0,
		       "Invalid value: 0x0: must be specified for an update");
	op->by_resource = true;
	return invalid(op);
}

/* Without what every write touches, is it the same? */
static bool same(struct op *op, const struct json *next, const struct json *live)
{
	struct json *a = json_copy(op->a, next), *b = json_copy(op->a, live);
	struct json *both[] = {a, b};

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct json *m = json_set_object(op->a, both[i], "metadata"),
			    *managed = json_get(m, STR("managedFields"));

		json_del(m, STR("resourceVersion"));
		for (size_t j = 0; j < json_len(managed); j++)
			json_del(json_item(managed, j), STR("time"));
	}
	return json_equal(a, b);
}

static struct json *make_next(struct op *op, struct json *next, const struct obj *live,
			      const struct json *tree)
{
	if (check_revision(op, next, live))
		return NULL;
	json_set_str(op->a, metadata(op, next), "name", live->name);
	if (check_namespace(op, next))
		return NULL;
	next = keep_apart(op, next, tree);
	stamp_kept(op, next, tree);
	/* What is written gets a new one; what is only tried shows the one that was found. */
	json_set(op->a, metadata(op, next), STR("resourceVersion"),
		 json_at(tree, "metadata", "resourceVersion"));
	return next;
}

static const struct obj *kept(struct op *op, const struct json *tree)
{
	struct obj *o = obj_from_json(tree, &op->err);

	if (o)
		core_keep(op->core, o);
	return o;
}

/* Where somebody else converts, an object that stands in an older version is written anew. */
static bool stands_as_today(struct op *op, const struct obj *live)
{
	const struct obj *raw = table_get(op->served->table, live->namespace, live->name);

	return !conversion_asks(op->kind) || !raw ||
	       conversion_is_of(op->served->table->kind, raw->api_version);
}

/* The writer's version goes back to the writer, the stored one into the store. */
static const struct obj *put_converted(struct op *op, struct json *next)
{
	struct json *stored = op_convert(op, next, op->served->table->kind);
	const struct obj *o;

	if (!stored)
		return NULL;
	if (op->dry_run)
		return kept(op, next);
	o = core_put(op->core, op->served->table, stored, op->a);
	json_set_str(op->a, metadata(op, next), "resourceVersion",
		     arena_strf(op->a, "%llu", (unsigned long long)o->revision));
	if (core_deletable(op->kind, stored))
		core_remove(op->core, op->served->table, o, op->a);
	return kept(op, next);
}

static const struct obj *put(struct op *op, struct json *next, const struct obj *live,
			     const struct json *tree)
{
	if (live && same(op, next, tree) && stands_as_today(op, live))
		return live;
	if (conversion_asks(op->kind) && op->kind != op->served->table->kind)
		return put_converted(op, next);
	if (live && core_deletable(op->kind, next) && !op->dry_run) {
		const struct obj *last = core_put(op->core, op->served->table, next, op->a);

		core_remove(op->core, op->served->table, last, op->a);
		return last; /* the turn's changes keep it */
	}
	if (!op->dry_run)
		return core_put(op->core, op->served->table, next, op->a);
	return kept(op, next);
}

static void bump_generation(struct op *op, struct json *next, const struct json *live)
{
	if ((op->kind->flags & KIND_GENERATION) && spec_changed(op, next, live))
		json_set_int(op->a, metadata(op, next), "generation",
			     json_int(json_at(live, "metadata", "generation"), 0) + 1);
}

static int exists(struct op *op, struct str name)
{
	return err_set(&op->err, ERR_EXISTS, "%s%s%s \"%.*s\" already exists", op->kind->plural,
		       op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(name));
}

/* What is well-formed, and cannot be made all the same. */
static int refuse_new(struct op *op, const struct json *next, bool taken)
{
	if (json_str(json_at(next, "metadata", "resourceVersion")).n)
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "resourceVersion should not be set on objects to be created");
	return taken ? exists(op, meta_name(next)) : 0;
}

/* asked: the version whose fields the writer comes to own, NULL when that is settled. */
static const struct obj *write_stored(struct op *op, struct json *next, const struct obj *live,
				      const struct kind *asked)
{
	const struct json *tree = live ? obj_tree(live, op->a) : NULL;
	enum admission_op what = live ? ADMIT_UPDATE : ADMIT_CREATE;
	bool taken;

	if (live ? !(next = make_next(op, next, live, tree)) : make_new(op, next))
		return NULL;
	/* Told last: who sends nonsense hears of that first. */
	taken = !live && table_get(op->served->table, meta_namespace(next), meta_name(next));
	default_all(op, next);
	if (asked) /* what admission and the kind's strategy add is nobody's */
		track(op, asked, next, tree);
	if (write_mutate(op, what, next, tree))
		return NULL;
	prepare(op, next, tree);
	if (!taken && allocate(op, next, tree))
		return NULL;
	validate(op, next, tree);
	if (invalid(op) || write_judge(op, what, next, tree))
		return NULL;
	if (!live && refuse_new(op, next, taken))
		return NULL;
	schema_fill(op->a, op->kind->schema, next);
	if (live)
		bump_generation(op, next, tree);
	return put(op, next, live, tree);
}

/* An empty list of owners means that there shall be none, and would be pruned like any other. */
static void mark_reset(struct op *op, struct json *next)
{
	struct json *list = json_at(next, "metadata", "managedFields");

	if (json_is(list, JSON_ARRAY) && !json_len(list))
		json_append(op->a, list, json_new(op->a, JSON_OBJECT));
}

/*
 * The body is read in the version that was asked for; from there on everything is about the stored
 * version. Definitions' versions differ in their schemas, which the asked one's stays in charge of.
 */
const struct obj *write_object(struct op *op, struct json *next, const struct obj *live,
			       bool tracked)
{
	const struct kind *asked = op->kind, *stored = op->served->table->kind;
	const struct obj *o;

	op->live = live;
	mark_reset(op, next);
	if (write_check(op, next))
		return NULL;
	if (asked->stored && !asked->crd)
		default_all(op, next);
	if (!conversion_asks(asked))
		convert_to_stored(op->a, asked, stored, next);
	if (!asked->crd)
		op->kind = stored;
	/* What was in annotations is in fields now, and nobody has looked at it yet. */
	if (asked->to_stored && write_check(op, next)) {
		op->kind = asked;
		return NULL;
	}
	o = write_stored(op, next, live, tracked ? asked : NULL);
	op->kind = asked;
	return o;
}

/* ---- verbs ---- */

void core_create_object(struct op *op, struct json *next, bool tracked)
{
	const struct obj *o = NULL;

	op->name = meta_name(next);

	if (op->kind->crd && crd_version(op->kind)->crd->terminating)
		err_set(&op->err, ERR_METHOD_NOT_ALLOWED,
			"create not allowed while custom resource definition is terminating");
	else
		o = write_object(op, next, NULL, tracked);
	if (o)
		op_answer_obj(op, 201, o);
	else
		op_answer_error(op);
}

void core_create(struct op *op)
{
	struct json *next;

	if (op->req->name.p) {
		err_set(&op->err, ERR_METHOD_NOT_ALLOWED,
			"the server does not allow this method on the requested resource");
		op_answer_error(op);
		return;
	}
	next = write_decode(op);
	if (next)
		core_create_object(op, next, true);
	else
		op_answer_error(op);
}

void core_make_missing(struct op *op, struct json *next, bool tracked)
{
	if (op->req->may_create && op->req->may_create(op->req, &op->err)) {
		op_answer_error(op);
		return;
	}
	json_set_str(op->a, metadata(op, next), "name", op->req->name);
	core_create_object(op, next, tracked);
}

/* A writer that has seen the object does not mean another of that name. */
static bool makes(const struct op *op, const struct json *next)
{
	return op->kind->flags & KIND_PUT_MAKES && !op->req->subresource.n && !meta_uid(next).n &&
	       !json_str(json_at(next, "metadata", "resourceVersion")).n;
}

void core_update(struct op *op)
{
	const struct obj *live = op_live(op), *o = NULL;
	struct json *next = op_stuck(op) ? NULL : write_decode(op);

	if (next && meta_name(next).n && !str_eq(meta_name(next), op->req->name))
		err_set(&op->err, ERR_BAD_REQUEST,
			"the name of the object (%.*s) does not match the name on the URL (%.*s)",
			(int)MIN(meta_name(next).n, 200), meta_name(next).p,
			(int)MIN(op->req->name.n, 200), op->req->name.p);
	else if (next && !meta_name(next).n)
		err_set(&op->err, ERR_BAD_REQUEST,
			"the name of the object (%.*s based on URL) was undeterminable: name must "
			"be provided",
			(int)MIN(op->req->name.n, 200), op->req->name.p);
	else if (next && !live && makes(op, next)) {
		core_make_missing(op, next, true);
		return;
	} else if (next && !live)
		err_set(&op->err, ERR_NOT_FOUND, "%s%s%s \"%.*s\" not found", op->kind->plural,
			op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(op->req->name));
	else if (next)
		o = write_object(op, next, live, true);
	if (o)
		op_answer_obj(op, 200, o);
	else
		op_answer_error(op);
}
