/* Choosing among default classes. Pure; memory is the request's. */
#include "apiserver/admission/newest.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

struct choice {
	const char *const *marks;
	const struct json *best;
};

static struct str born(const struct json *o)
{
	return json_str(json_at(o, "metadata", "creationTimestamp"));
}

static void look(void *arg, const struct json *o)
{
	struct choice *c = arg;
	bool marked = false;
	int age;

	for (const char *const *m = c->marks; *m; m++)
		marked |= str_is(meta_annotation(o, *m), "true");
	if (!marked)
		return;
	/* RFC 3339 in UTC sorts as text. */
	age = c->best ? str_cmp(born(o), born(c->best)) : 1;
	if (age > 0 || (!age && str_cmp(meta_name(o), meta_name(c->best)) < 0))
		c->best = o;
}

const struct json *newest_default(struct admission_req *r, const char *group, const char *plural,
				  const char *const *marks)
{
	struct choice c = {.marks = marks};

	r->reader->each(r->reader->ctx, &(struct admission_scan){group, plural, STR_NONE, STR_NONE},
			r->a, look, &c);
	return c.best;
}
