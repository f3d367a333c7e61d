/*
 * What evaluating an expression may cost at most, from the limits that schemas set: so that a
 * definition whose rules could never be afforded is refused when it is made. The figures are part
 * of the API: what Kubernetes takes must be taken, what it refuses refused. Costs and sizes
 * saturate. Pure.
 * Specification: cel-go's checker/cost.go, k8s.io/apiserver/pkg/cel/library (cost).
 */
#include <math.h>
#include <string.h>

#include "lib/schema/cel-internal.h"
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

#define BODY_MAX                                                                                   \
	UINT64_C(3145728) /* of a request: what bounds whatever has no bound of its own            \
			   */
#define TRAVERSE 0.1      /* a character */
#define REGEX 0.25        /* a character of a pattern */
#define LIST 10
#define MAP 30

/* ---- arithmetic ---- */

static uint64_t add(uint64_t x, uint64_t y)
{
	return x > UINT64_MAX - y ? UINT64_MAX : x + y;
}

static uint64_t mul(uint64_t x, uint64_t y)
{
	return y && x > UINT64_MAX / y ? UINT64_MAX : x * y;
}

static uint64_t part(uint64_t x, double factor)
{
	double d = ceil((double)x * factor);

	return d >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)d;
}

/* ---- what schemas say ---- */

static bool is_format(const struct schema *s, const char *name)
{
	return s->format && !strcmp(s->format, name);
}

static uint64_t max_enum(const char *const *list)
{
	uint64_t most = 0;

	for (; *list; list++)
		most = MAX(most, (uint64_t)strlen(*list));
	return most;
}

static uint64_t max_text(const struct schema *s)
{
	const struct schema_limits *l = s->limits;

	if (is_format(s, "duration") || is_format(s, "date-time"))
		return 32;
	if (is_format(s, "date"))
		return 12;
	if (l && l->max_len >= 0) /* characters; a byte each only in what is base64 */
		return mul((uint64_t)l->max_len, s->type == SCHEMA_BYTES ? 1 : 4);
	if (s->enums)
		return max_enum(s->enums);
	return BODY_MAX - 2;
}

uint64_t cel_size_most(const struct schema *s)
{
	const struct schema_limits *l = s->limits;

	switch (s->type) {
	case SCHEMA_STRING:
	case SCHEMA_BYTES:
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
	case SCHEMA_DURATION:
	case SCHEMA_INT_OR_STRING:
		return max_text(s);
	case SCHEMA_ARRAY:
		if (l && l->max_items >= 0)
			return (uint64_t)l->max_items;
		return (BODY_MAX - 2) / (cel_size_least(s->item) + 1);
	case SCHEMA_MAP:
		if (l && l->max_properties >= 0)
			return (uint64_t)l->max_properties;
		return (BODY_MAX - 2) / (cel_size_least(s->item) + 6);
	case SCHEMA_ANY:
	case SCHEMA_INT:
	case SCHEMA_NUMBER:
	case SCHEMA_BOOL:
	case SCHEMA_OBJECT:
	case SCHEMA_QUANTITY:
		break;
	}
	return 0;
}

static uint64_t least_object(const struct schema *s)
{
	uint64_t n = 2; /* {} */

	for (size_t i = 0; i < s->nfields; i++) {
		const struct schema_field *f = &s->fields[i];

		if (f->required && !f->default_json)
			n = add(n, strlen(f->name) + 4 + cel_size_least(f->type));
	}
	return n;
}

uint64_t cel_size_least(const struct schema *s)
{
	if (!s)
		return 1;
	switch (s->type) {
	case SCHEMA_OBJECT:
		return least_object(s);
	case SCHEMA_STRING:
		if (is_format(s, "date"))
			return 12;
		if (is_format(s, "date-time"))
			return 21;
		return is_format(s, "duration") ? 3 : 2;
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return is_format(s, "date") ? 12 : 21;
	case SCHEMA_DURATION:
		return 3;
	case SCHEMA_BOOL:
		return 4;
	case SCHEMA_BYTES:
	case SCHEMA_ARRAY:
	case SCHEMA_MAP:
		return 2;
	case SCHEMA_ANY:
	case SCHEMA_INT:
	case SCHEMA_NUMBER:
	case SCHEMA_INT_OR_STRING:
	case SCHEMA_QUANTITY:
		break;
	}
	return 1;
}

/* ---- sizes of what expressions give ---- */

struct size {
	uint64_t least, most;
};

static const struct size unknown = {0, UINT64_MAX};

static struct size size_of(const struct cel_node *e);

static struct size fixed(uint64_t n)
{
	return (struct size){n, n};
}

static bool is_scalar(const struct cel_node *e)
{
	return strchr("biudDT", e->type) != NULL;
}

static bool named(const struct cel_node *e, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(e->name, names[i]))
			return true;
	return false;
}
#define NAMED(e, ...)                                                                              \
	named(e, (const char *const[]){__VA_ARGS__},                                               \
	      ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static struct size size_of_element(const struct cel_node *e)
{
	const struct schema *s = e->schema;

	return s && s->item ? (struct size){0, cel_size_most(s->item)} : unknown;
}

static struct size size_joined(const struct cel_node *e)
{
	struct size list = size_of(e->args[0]), each = size_of_element(e->args[0]),
		    between = e->n > 1 ? size_of(e->args[1]) : fixed(0);

	return (struct size){0, add(mul(list.most, each.most),
				    mul(between.most, list.most ? list.most - 1 : 0))};
}

/* The smallest texts taken out, the largest put in, as often as they fit. */
static struct size size_replaced(const struct cel_node *e)
{
	struct size all = size_of(e->args[0]), out = size_of(e->args[1]), in = size_of(e->args[2]);

	if (out.least == 0)
		return (struct size){0, add(mul(add(all.most, 1), in.most), all.most)};
	if (in.most <= out.least)
		return (struct size){0, all.most};
	return (struct size){0, mul(part(all.most, 1.0 / (double)out.least), in.most)};
}

static struct size size_called(const struct cel_node *e)
{
	if (NAMED(e, "lowerAscii", "upperAscii", "substring", "trim"))
		return size_of(e->args[0]);
	if (NAMED(e, "split", "find", "findAll"))
		return (struct size){0, size_of(e->args[0]).most};
	if (NAMED(e, "join") && e->fns[0]->method)
		return size_joined(e);
	if (NAMED(e, "replace") && e->n >= 3)
		return size_replaced(e);
	if (NAMED(e, "bytes") && e->n == 1)
		return (struct size){0, mul(size_of(e->args[0]).most, 4)};
	if (NAMED(e, "string") && e->n == 1 && e->args[0]->type == CEL_BYTES)
		return (struct size){0, size_of(e->args[0]).most};
	if (NAMED(e, "dyn") && e->n == 1)
		return size_of(e->args[0]);
	return is_scalar(e) ? fixed(1) : unknown;
}

static struct size size_plain(const struct cel_node *e)
{
	if (e->schema)
		return (struct size){0, cel_size_most(e->schema)};
	if (is_scalar(e))
		return fixed(1);
	/* A map's keys, and what a macro goes over in a list that an expression made. */
	return e->op == CEL_OP_LOCAL ? fixed(0) : unknown;
}

static struct size size_of(const struct cel_node *e)
{
	struct size x, y;

	switch ((enum cel_op)e->op) {
	case CEL_OP_CONST:
		return fixed(e->type == CEL_STRING || e->type == CEL_BYTES ? e->value.s.n : 1);
	case CEL_OP_LIST:
		return fixed(e->n);
	case CEL_OP_MAP:
		return fixed(e->n / 2);
	case CEL_OP_COND:
		x = size_of(e->args[1]);
		y = size_of(e->args[2]);
		return (struct size){MIN(x.least, y.least), MAX(x.most, y.most)};
	case CEL_OP_BINARY:
		if (e->which != CEL_B_ADD || is_scalar(e))
			return fixed(1);
		x = size_of(e->args[0]);
		y = size_of(e->args[1]);
		return (struct size){add(x.least, y.least), add(x.most, y.most)};
	case CEL_OP_MACRO:
		if (e->which == CEL_M_FILTER || e->which == CEL_M_MAP ||
		    e->which == CEL_M_TRANSFORM_MAP)
			return (struct size){0, size_of(e->args[0]).most};
		return is_scalar(e) ? fixed(1) : unknown;
	case CEL_OP_CALL:
		return size_called(e);
	case CEL_OP_IDENT:
	case CEL_OP_LOCAL:
	case CEL_OP_SELECT:
	case CEL_OP_OPT_SELECT:
	case CEL_OP_HAS:
	case CEL_OP_INDEX:
	case CEL_OP_OPT_INDEX:
	case CEL_OP_AND:
	case CEL_OP_OR:
	case CEL_OP_NOT:
	case CEL_OP_NEG:
		break;
	}
	return size_plain(e);
}

/* ---- costs ---- */

static uint64_t cost(const struct cel_node *e);

static uint64_t cost_of_args(const struct cel_node *e)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < e->n; i++)
		sum = add(sum, cost(e->args[i]));
	return sum;
}

static uint64_t cost_find(const struct cel_node *e)
{
	return mul(part(add(size_of(e->args[0]).most, 1), TRAVERSE),
		   part(size_of(e->args[1]).most, REGEX));
}

/* Going over a list once; over its texts, too. */
static uint64_t cost_list(const struct cel_node *list)
{
	uint64_t n = size_of(list).most, each = 1;
	const struct schema *s = list->schema;

	if (list->type == CEL_STRING)
		return part(n, TRAVERSE);
	if (s && s->item && (s->item->type == SCHEMA_STRING || s->item->type == SCHEMA_BYTES))
		each = add(each, part(cel_size_most(s->item), TRAVERSE));
	return mul(n, each);
}

static uint64_t cost_text(const struct cel_node *e)
{
	uint64_t n = e->n ? size_of(e->args[0]).most : 0;

	if (NAMED(e, "replace", "split"))
		return part(n, 2 * TRAVERSE);
	if (NAMED(e, "join"))
		return part(size_joined(e).most, TRAVERSE);
	return part(n, TRAVERSE);
}

static uint64_t cost_called(const struct cel_node *e)
{
	if (NAMED(e, "check"))
		return 350000;
	if (e->n && NAMED(e, "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"))
		return cost_list(e->args[0]);
	if (e->n >= 2 && NAMED(e, "matches", "find", "findAll"))
		return cost_find(e);
	if (e->n >= 2 && NAMED(e, "contains"))
		return mul(part(size_of(e->args[0]).most, TRAVERSE),
			   part(size_of(e->args[1]).most, TRAVERSE));
	if (e->n >= 2 && NAMED(e, "startsWith", "endsWith"))
		return part(size_of(e->args[1]).most, TRAVERSE);
	if (NAMED(e, "url", "lowerAscii", "upperAscii", "substring", "trim", "replace", "split",
		  "join", "quantity", "isQuantity", "bytes", "format"))
		return cost_text(e);
	if (e->n && NAMED(e, "string") && e->args[0]->type == CEL_BYTES)
		return cost_text(e);
	if (NAMED(e, "containsIP", "containsCIDR"))
		return e->n > 1 && e->args[1]->type == CEL_STRING
			       ? add(6, part(size_of(e->args[1]).most, TRAVERSE))
			       : 6;
	if (NAMED(e, "sets.contains", "sets.intersects", "sets.equivalent") && e->n >= 2)
		return mul(size_of(e->args[0]).most, size_of(e->args[1]).most);
	return 1;
}

static uint64_t cost_binary(const struct cel_node *e)
{
	struct size x = size_of(e->args[0]), y = size_of(e->args[1]);
	uint8_t type = e->args[0]->type;

	switch ((enum cel_binary)e->which) {
	case CEL_B_EQ:
	case CEL_B_NE:
		return part(MIN(x.most, y.most), TRAVERSE);
	case CEL_B_LE:
	case CEL_B_GE:
	case CEL_B_LT:
	case CEL_B_GT:
		if (type != CEL_STRING && type != CEL_BYTES)
			return type == CEL_ANY ? MAX(1, part(MIN(x.most, y.most), TRAVERSE)) : 1;
		return part(MIN(x.most, y.most), TRAVERSE);
	case CEL_B_IN:
		return e->args[1]->type == CEL_MAP ? 1 : y.most;
	case CEL_B_ADD:
		return type == CEL_STRING || type == CEL_BYTES ? part(add(x.most, y.most), TRAVERSE)
							       : 1;
	case CEL_B_SUB:
	case CEL_B_MUL:
	case CEL_B_DIV:
	case CEL_B_MOD:
		break;
	}
	return 1;
}

/* As the loops that macros stand for. */
static uint64_t cost_macro(const struct cel_node *e)
{
	uint64_t over = cost(e->args[0]), n = size_of(e->args[0]).most,
		 before = e->args[1] ? cost(e->args[1]) : 0, each = cost(e->args[2]);

	switch ((enum cel_macro)e->which) {
	case CEL_M_ALL:
		return add(add(over, 1), mul(n, add(each, 3)));
	case CEL_M_EXISTS:
		return add(add(over, 1), mul(n, add(each, 4)));
	case CEL_M_EXISTS_ONE:
		return add(add(over, 2), mul(n, add(each, 2)));
	case CEL_M_FILTER:
		return add(add(over, LIST + 1), mul(n, add(each, LIST + 3)));
	case CEL_M_MAP:
		return add(add(over, LIST + 1), mul(n, add(add(before, each), LIST + 2)));
	case CEL_M_TRANSFORM_MAP:
		return add(add(over, MAP + 1), mul(n, add(add(before, each), 3)));
	case CEL_M_OPT_MAP:
	case CEL_M_OPT_FLAT_MAP:
		break;
	}
	return add(add(mul(over, 2), each), LIST + 4);
}

static uint64_t cost(const struct cel_node *e)
{
	switch ((enum cel_op)e->op) {
	case CEL_OP_CONST:
		return 0;
	case CEL_OP_IDENT:
	case CEL_OP_LOCAL:
		return 1;
	case CEL_OP_HAS:
		return cost(e->args[0]);
	case CEL_OP_AND:
	case CEL_OP_OR:
		return cost_of_args(e);
	case CEL_OP_SELECT:
	case CEL_OP_OPT_SELECT:
	case CEL_OP_INDEX:
	case CEL_OP_OPT_INDEX:
	case CEL_OP_NOT:
	case CEL_OP_NEG:
		return add(cost_of_args(e), 1);
	case CEL_OP_CALL:
		return add(cost_of_args(e), cost_called(e));
	case CEL_OP_COND:
		return add(cost(e->args[0]), MAX(cost(e->args[1]), cost(e->args[2])));
	case CEL_OP_BINARY:
		return add(cost_of_args(e), cost_binary(e));
	case CEL_OP_LIST:
		return add(cost_of_args(e), LIST);
	case CEL_OP_MAP:
		return add(cost_of_args(e), MAP);
	case CEL_OP_MACRO:
		return cost_macro(e);
	}
	return 1;
}

uint64_t cel_cost(const struct cel_program *p)
{
	return cost(p->root);
}
