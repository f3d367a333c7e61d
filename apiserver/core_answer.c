/*
 * What a request is answered: objects in the form that was asked for, documents, errors. Answers
 * wait for the turn's commit; an attempt that is abandoned (core_park.c) gives none. One thread;
 * memory is the request's.
 */
#include "apiserver/core-internal.h"

/* What admission noted, as it goes among the others of the event. */
static struct str notes_text(const struct op *op)
{
	AUTO(buf) struct buf text = {0};

	if (!json_len(op->notes))
		return STR_NONE;
	json_write(op->notes, &text);
	return arena_str(op->a, str_sub(buf_view(&text), 1, text.n - 1));
}

/* In the turn's memory: with its answer a request is over, and a refused watch's memory gone. */
void op_answer_blocks(struct op *op, int status, struct block **blocks, size_t n)
{
	struct reply *r = arena_alloc(&op->core->turn, sizeof(*r));

	if (op->parked) { /* what an abandoned attempt would have said */
		for (size_t i = 0; i < n; i++)
			block_unref(blocks[i]);
		return;
	}
	*r = (struct reply){
		.req = op->req,
		.status = status,
		.blocks = op->a == &op->core->turn
				  ? blocks
				  : arena_dup(&op->core->turn, blocks, n * sizeof(struct block *)),
		.nblocks = n,
		.retry_after_s = op->err.retry_after_s};
	r->warnings = arena_str(op->a, buf_view(&op->warnings));
	r->notes = notes_text(op);
	*op->core->replies_end = r;
	op->core->replies_end = &r->next;
}

static void answer_buf(struct op *op, int status, struct buf *text)
{
	struct block **blocks = arena_array(op->a, 1, sizeof(*blocks));

	blocks[0] = block_take(text);
	op_answer_blocks(op, status, blocks, 1);
}

void op_answer_json(struct op *op, int status, const struct json *v)
{
	struct buf text = {0};

	json_write(v, &text);
	answer_buf(op, status, &text);
}

void op_answer_obj(struct op *op, int status, const struct obj *o)
{
	struct block **blocks = arena_array(op->a, 1, sizeof(*blocks));

	blocks[0] = form_single(op->kind, op->req->form, o, op_query(op, "includeObject"), true,
				core_now(op->core));
	op_answer_blocks(op, status, blocks, 1);
}

void op_answer_error(struct op *op)
{
	struct buf text = {0};
	const struct core_req *r = op->req;
	struct str group = r->group;
	bool invalid = (op->err.code == ERR_INVALID || op->by_kind) && op->kind && !op->by_resource;

	if (op->denial) {
		op_answer_json(op, op->denial_code, op->denial);
		return;
	}
	/* What is wrong with an object is wrong with it in any version: it goes by the stored one.
	 */
	if (invalid)
		group = str_c(op->kind->stored ? op->kind->stored->group : op->kind->group);
	core_status_write_causes(&op->err, group, invalid ? str_c(op->kind->kind) : r->resource,
				 r->name.n ? r->name : op->name, STR_NONE,
				 op->problems.n ? &op->problems : NULL, &text);
	answer_buf(op, err_http(op->err.code), &text);
}

void op_answer_success(struct op *op, int status, const struct json *details)
{
	struct json *s = json_build(op->a, "{s:s, s:s, s:{}, s:s}", "kind", "Status", "apiVersion",
				    "v1", "metadata", "status", "Success");

	if (details)
		json_set(op->a, s, STR("details"), details);
	if (status != 200)
		json_set_int(op->a, s, "code", status);
	op_answer_json(op, status, s);
}
