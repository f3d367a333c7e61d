/* What reconcile functions answer: building plans. Pure. */
#include "lib/kube/controller.h"
#include "lib/kube/resources.h"

#include "lib/base/pure.h"

static struct plan_op *add(struct plan *p, enum plan_op_type type, const struct resource *r,
			   const struct json *about)
{
	struct plan_op *op = arena_alloc(p->a, sizeof(*op));

	*op = (struct plan_op){.type = type,
			       .resource = r,
			       .namespace = meta_namespace(about),
			       .name = meta_name(about),
			       .body = about,
			       .grace_s = -1};
	if (p->last)
		p->last->next = op;
	else
		p->first = op;
	p->last = op;
	p->n++;
	return op;
}

void plan_create(struct plan *p, const struct resource *r, const struct json *object)
{
	add(p, PLAN_CREATE, r, object);
}

void plan_update(struct plan *p, const struct resource *r, const struct json *object)
{
	add(p, PLAN_UPDATE, r, object);
}

void plan_update_status(struct plan *p, const struct resource *r, const struct json *object)
{
	add(p, PLAN_UPDATE_STATUS, r, object);
}

void plan_patch(struct plan *p, const struct resource *r, const struct json *of,
		const char *subresource, const struct json *merge_patch)
{
	struct plan_op *op = add(p, PLAN_PATCH, r, of);

	op->body = merge_patch;
	op->subresource = subresource;
}

void plan_token(struct plan *p, const struct json *secret, struct str account,
		const struct json *merge_patch)
{
	struct plan_op *op = add(p, PLAN_TOKEN, &res_secrets, secret);

	op->uid = meta_uid(secret);
	op->account = account;
	op->body = merge_patch;
}

struct plan_op *plan_delete(struct plan *p, const struct resource *r, const struct json *object)
{
	struct plan_op *op = add(p, PLAN_DELETE, r, object);

	op->uid = meta_uid(object);
	op->body = NULL;
	op->ignore_not_found = true;
	return op;
}

void plan_event(struct plan *p, const struct json *regarding, const char *type, const char *reason,
		const char *fmt, ...)
{
	struct plan_op *op = add(p, PLAN_EVENT, NULL, regarding);
	AUTO(buf) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	op->body = json_build(p->a, "{s:o, s:s, s:s, s:S}", "regarding", regarding, "type", type,
			      "reason", reason, "message", arena_str(p->a, buf_view(&text)));
}

void plan_requeue(struct plan *p, int64_t after_ns)
{
	if (!p->requeue_ns || after_ns < p->requeue_ns)
		p->requeue_ns = MAX(after_ns, 1);
}
