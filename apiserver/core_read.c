/*
 * GET and LIST: objects leave as the bytes they are stored as. A long list is frozen at its first
 * page, so that all pages are one moment's truth. One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/conversion.h"
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"

#define SNAPSHOTS_MAX 64
#define SNAPSHOT_LIFE (300 * NS_PER_S)

/* ---- selectors ---- */

static bool of_metadata(struct str field)
{
	return str_is(field, "metadata.name") || str_is(field, "metadata.namespace");
}

int selecting_parse(struct op *op, struct arena *a, struct selecting *ret)
{
	struct str labels = op_query(op, "labelSelector"), fields = op_query(op, "fieldSelector");

	*ret = (struct selecting){.has_labels = labels.n > 0, .has_fields = fields.n > 0};
	if (labels.n && selector_parse(a, labels, &ret->labels, &op->err))
		return -1;
	if (fields.n && selector_parse_fields(a, fields, &ret->fields, &op->err))
		return -1;
	for (size_t i = 0; i < ret->fields.n; i++) {
		struct str f = ret->fields.terms[i].key;
		bool known = of_metadata(f);

		ret->moved |= !known && conversion_asks(op->kind);

		for (const char *const *s = op->kind->selectable; s && *s && !known; s++)
			known = str_is(f, *s);
		if (!known)
			return err_set(&op->err, ERR_BAD_REQUEST, "field label not supported: %.*s",
				       (int)MIN(f.n, 100), f.p);
	}
	return 0;
}

struct field_of {
	const struct kind *kind;
	const struct obj *o;
	const struct json *tree;
	struct arena *a;
};

static struct str field_get(void *arg, struct str field)
{
	struct field_of *f = arg;

	if (str_is(field, "metadata.name"))
		return f->o->name;
	if (str_is(field, "metadata.namespace"))
		return f->o->namespace;
	if (!f->kind->field)
		return STR("");
	if (!f->tree)
		f->tree = f->kind->stored && f->kind->field == f->kind->stored->field
				  ? obj_tree(f->o, f->a)
				  : convert_view(f->a, f->kind, f->o);
	return f->kind->field(f->tree, field, f->a);
}

bool selecting_match(const struct kind *k, const struct selecting *s, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct field_of f = {.kind = k, .o = o, .a = &a};

	if (s->has_labels && !selector_match_obj(&s->labels, o))
		return false;
	return !s->has_fields || selector_match_fields(&s->fields, field_get, &f);
}

bool selecting_may(const struct kind *k, const struct selecting *s, const struct obj *o)
{
	struct field_of f = {.o = o};

	if (!s->moved)
		return selecting_match(k, s, o);
	if (s->has_labels && !selector_match_obj(&s->labels, o))
		return false;
	for (size_t i = 0; i < s->fields.n; i++) {
		const struct selector one = {.terms = &s->fields.terms[i], .n = 1};

		if (of_metadata(one.terms->key) && !selector_match_fields(&one, field_get, &f))
			return false;
	}
	return true;
}

int op_select(struct op *op, const struct selecting *s, const struct obj **v, size_t *n,
	      const struct obj **seen)
{
	const struct obj **shown = seen;
	size_t may = 0, k = 0;

	for (size_t i = 0; i < *n; i++)
		if (selecting_may(op->kind, s, v[i]))
			v[may++] = v[i];
	*n = may;
	if (!seen && !s->moved)
		return 0;
	if (!shown)
		shown = arena_array(op->a, may + 1, sizeof(*shown));
	if (op_see(op, v, may, shown))
		return -1;
	for (size_t i = 0; s->moved && i < may; i++) {
		if (!selecting_match(op->kind, s, shown[i]))
			continue;
		v[k] = v[i];
		shown[k++] = shown[i];
	}
	*n = s->moved ? k : may;
	return 0;
}

/* ---- snapshots ---- */

static void snapshot_drop(struct core *c, struct snapshot *s)
{
	list_remove(&s->all);
	c->nsnapshots--;
	for (size_t i = 0; i < s->n; i++)
		obj_unref(s->v[i]);
	free(s->v);
	free(s->namespace);
	free(s);
}

static void snapshots_trim(struct core *c)
{
	LIST_FOREACH (it, &c->snapshots) {
		struct snapshot *s = CONTAINER_OF(it, struct snapshot, all);

		if (c->nsnapshots > SNAPSHOTS_MAX || core_now(c) - s->at_ns > SNAPSHOT_LIFE)
			snapshot_drop(c, s);
	}
}

static struct snapshot *snapshot_new(struct op *op, uint64_t revision, const struct obj **v,
				     size_t n)
{
	struct core *c = op->core;
	struct snapshot *s = xalloc(sizeof(*s));

	s->id = ++c->next_snapshot ^
		(rng_u64(&c->rng) << 20); /* not to be guessed from another list's */
	s->revision = revision;
	s->table = op->served->table;
	s->namespace = xstrndup(op->req->namespace.p, op->req->namespace.n);
	s->at_ns = core_now(c);
	s->v = xreallocarray(NULL, n + 1, sizeof(*s->v));
	for (size_t i = 0; i < n; i++)
		s->v[i] = obj_ref(v[i]);
	s->n = n;
	list_append(&c->snapshots, &s->all);
	c->nsnapshots++;
	snapshots_trim(c);
	return s;
}

static struct snapshot *snapshot_find(struct core *c, uint64_t id)
{
	snapshots_trim(c);
	LIST_FOREACH (it, &c->snapshots)
		if (CONTAINER_OF(it, struct snapshot, all)->id == id)
			return CONTAINER_OF(it, struct snapshot, all);
	return NULL;
}

/* ---- lists ---- */

struct page {
	const struct obj **v; /* what is selected, from this page on */
	size_t n, limit, remaining;
	uint64_t revision;
	uint64_t past;    /* the version that is asked for exactly; 0 = as it is now */
	struct str token; /* for the next page */
	struct str after_namespace, after; /* where an older list ended */
};

/*
 * "SNAPSHOT.OFFSET.KEY": KEY is the last object that was shown, "namespace/name" in base64url. When
 * the snapshot is gone, "0.0.KEY" goes on behind it in the list as it is now.
 */
static struct str page_token(struct op *op, uint64_t snapshot, size_t offset,
			     const struct obj *last)
{
	AUTO(buf) struct buf key = {0}, text = {0};

	buf_printf(&key, "%.*s/%.*s", STR_ARG(last->namespace), STR_ARG(last->name));
	buf_printf(&text, "%llu.%zu.", (unsigned long long)snapshot, offset);
	base64url_encode(buf_view(&key), &text);
	return arena_str(op->a, buf_view(&text));
}

static void page_cut(struct op *op, const struct snapshot *s, size_t at, struct page *p)
{
	p->v = s->v + at;
	p->n = s->n - at;
	p->revision = s->revision;
	if (!p->limit || p->n <= p->limit)
		return;
	p->remaining = p->n - p->limit;
	p->n = p->limit;
	p->token = page_token(op, s->id, at + p->limit, p->v[p->n - 1]);
}

/* The answer to a token whose list is forgotten has another that goes on with today's. */
static int page_expired(struct op *op, struct str key)
{
	static const char message[] =
		"The provided continue parameter is too old to display a consistent list result. "
		"You can start a new list without the continue parameter, or use the continue "
		"token in this response to retrieve the remainder of the results. Continuing with "
		"the provided token results in an inconsistent list - objects that were created, "
		"modified, or deleted between the time the first chunk was returned and now may "
		"show up in the list.";

	op->denial = json_build(op->a, "{s:s, s:s, s:{s:S}, s:s, s:s, s:s, s:I}", "kind", "Status",
				"apiVersion", "v1", "metadata", "continue",
				arena_strf(op->a, "0.0.%.*s", STR_ARG(key)), "status", "Failure",
				"message", message, "reason", "Expired", "code", (int64_t)410);
	op->denial_code = 410;
	return err_set(&op->err, ERR_EXPIRED, "the list is forgotten");
}

static int page_continue(struct op *op, struct str token, struct page *p)
{
	struct str id, rest, offset, key, namespace, name;
	AUTO(buf) struct buf last = {0};
	uint64_t snapshot, at;
	struct snapshot *s;

	if (!str_cut(token, '.', &id, &rest) || !str_cut(rest, '.', &offset, &key) ||
	    str_to_u64(id, &snapshot) || str_to_u64(offset, &at) || base64url_decode(key, &last) ||
	    !str_cut(arena_str(op->a, buf_view(&last)), '/', &namespace, &name))
		return err_set(&op->err, ERR_BAD_REQUEST, "continue key is not valid: \"%.*s\"",
			       (int)MIN(token.n, 50), token.p);
	if (!snapshot) {
		p->after_namespace = namespace;
		p->after = name;
		return 0;
	}
	s = snapshot_find(op->core, snapshot);
	if (s &&
	    (s->table != op->served->table || !str_eq(op->req->namespace, str_c(s->namespace))))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "continue key is not valid: it is another list's");
	if (!s || at > s->n)
		return page_expired(op, key);
	page_cut(op, s, at, p);
	return 0;
}

/* The rows of a first page, or of one that goes on in today's list. */
static const struct obj **rows_now(struct op *op, const struct page *p, size_t *ret_n)
{
	const struct table *t = op->served->table;
	size_t from, to;

	table_range(t, op->req->namespace, &from, &to);
	if (p->after.n) {
		size_t behind = table_lower(t, p->after_namespace, p->after);

		if (table_get(t, p->after_namespace, p->after))
			behind++;
		from = MIN(MAX(from, behind), to);
	}
	*ret_n = to - from;
	return t->rows ? t->rows + from : NULL; /* an empty table has no rows at all */
}

static int select_rows(struct op *op, const struct selecting *s, struct page *p)
{
	const struct obj **v;

	if (!s->has_labels && !s->has_fields)
		return 0;
	v = arena_array(op->a, p->n + 1, sizeof(*v));
	for (size_t i = 0; i < p->n; i++)
		v[i] = p->v[i];
	p->v = v;
	return op_select(op, s, v, &p->n, NULL);
}

static int page_first(struct op *op, const struct selecting *s, struct page *p)
{
	if (!p->past)
		p->v = rows_now(op, p, &p->n);
	else if (table_past(op, p->past, &p->v, &p->n))
		return -1;
	if (select_rows(op, s, p))
		return -1;
	p->revision = p->past ? p->past : op->core->revision;
	if (p->limit && p->n > p->limit)
		page_cut(op, snapshot_new(op, p->revision, p->v, p->n), 0, p);
	return 0;
}

/* Which moment is asked for. A limit with a version and no word on how it is meant wants exactly
 * that one, as ever since before the word was there. */
static int check_revision(struct op *op, struct page *p)
{
	struct str text = op_query(op, "resourceVersion"),
		   match = op_query(op, "resourceVersionMatch");
	uint64_t wanted = 0;

	if (match.n && !text.n)
		return options_refuse(op, "FieldValueForbidden", "resourceVersionMatch",
				      "Forbidden: resourceVersionMatch is forbidden unless "
				      "resourceVersion is provided");
	if (match.n && !str_is(match, "NotOlderThan") && !str_is(match, "Exact"))
		return options_refuse(
			op, "FieldValueNotSupported", "resourceVersionMatch",
			arena_printf(op->a,
				     "Unsupported value: \"%.*s\": supported values: \"Exact\", "
				     "\"NotOlderThan\"",
				     (int)MIN(match.n, 50), match.p));
	if (text.n && str_to_u64(text, &wanted))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "Invalid value: \"%.*s\": resourceVersion", (int)MIN(text.n, 50),
			       text.p);
	if (str_is(match, "Exact") && !wanted)
		return options_refuse(op, "FieldValueForbidden", "resourceVersionMatch",
				      "Forbidden: resourceVersionMatch \"Exact\" is forbidden for "
				      "resourceVersion \"0\"");
	if (wanted > op->core->revision) {
		schema_problem(&op->problems, "ResourceVersionTooLarge", STR_NONE, 0,
			       "Too large resource version"); /* what client-go looks for */
		err_set(&op->err, ERR_TIMEOUT, "Too large resource version: %llu, current: %llu",
			(unsigned long long)wanted, (unsigned long long)op->core->revision);
		op->err.retry_after_s = 1;
		return -1;
	}
	if (str_is(match, "Exact") || (!match.n && p->limit && wanted))
		p->past = wanted == op->core->revision ? 0 : wanted;
	return 0;
}

static struct block *item_block(const struct op *op, const struct obj *o, struct str include)
{
	if (op->req->form == CORE_FORM_OBJECT && convert_is_plain(op->kind, o))
		return block_ref(o->block);
	return form_block(op->kind, op->req->form, o, include, core_now(op->core));
}

static void answer_page(struct op *op, const struct page *p)
{
	struct block **blocks = arena_array(op->a, 2 * p->n + 2, sizeof(struct block *));
	struct str include = op_query(op, "includeObject");
	struct buf head = {0};
	size_t n = 0;

	form_list_head(op->kind, op->req->form, p->revision, p->token, (int64_t)p->remaining,
		       &head);
	blocks[n++] = block_take(&head);
	for (size_t i = 0; i < p->n; i++) {
		if (i)
			blocks[n++] = block_ref(op->core->comma);
		blocks[n++] = item_block(op, p->v[i], include);
	}
	blocks[n++] = block_new(STR("]}\n"));
	op_answer_blocks(op, 200, blocks, n);
}

static void list(struct op *op)
{
	struct str limit = op_query(op, "limit"), token = op_query(op, "continue");
	struct page p = {0};
	struct selecting s;
	int64_t n = 0;

	if (limit.n && str_to_i64(limit, &n))
		err_set(&op->err, ERR_BAD_REQUEST, "Invalid value: \"%.*s\": limit",
			(int)MIN(limit.n, 50), limit.p);
	if (token.n && op_query(op, "resourceVersion").n &&
	    !str_is(op_query(op, "resourceVersion"), "0"))
		err_set(&op->err, ERR_BAD_REQUEST,
			"specifying resource version is not allowed when using continue");
	p.limit = (size_t)MAX(n, 0);
	if (op->err.code != ERR_NONE || selecting_parse(op, op->a, &s) ||
	    (token.n ? page_continue(op, token, &p) : check_revision(op, &p))) {
		op_answer_error(op);
		return;
	}
	if (!p.revision && page_first(op, &s, &p)) {
		op_answer_error(op);
		return;
	}
	if (s.has_labels || s.has_fields)
		p.remaining = 0; /* said only where it costs nothing to know */
	if (conversion_asks(op->kind)) {
		const struct obj **seen = arena_array(op->a, p.n + 1, sizeof(*seen));

		if (op_see(op, p.v, p.n, seen)) {
			if ((!token.n || p.after.n) &&
			    p.token.n) /* the next attempt makes its own */
				snapshot_drop(op->core, CONTAINER_OF(op->core->snapshots.prev,
								     struct snapshot, all));
			op_answer_error(op);
			return;
		}
		p.v = seen;
	}
	answer_page(op, &p);
}

void core_read(struct op *op)
{
	const struct core_req *r = op->req;
	const struct obj *o;

	if (r->verb == CORE_LIST) {
		list(op);
		return;
	}
	o = op_live(op);
	if (op_stuck(op)) {
		op_answer_error(op);
		return;
	}
	if (!o) {
		err_set(&op->err, ERR_NOT_FOUND, "%s%s%s \"%.*s\" not found", op->kind->plural,
			op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(r->name));
		op_answer_error(op);
		return;
	}
	op_answer_obj(op, 200, o);
}
