/* What CEL's files share: values, the tree of an expression, and the table of functions. */
#ifndef PLUMB_CEL_INTERNAL_H
#define PLUMB_CEL_INTERNAL_H

#include "lib/base/quantity.h"
#include "lib/schema/cel.h"

/* ---- values: a type's letter is what functions' signatures are written in ---- */
enum cel_type {
	CEL_ERROR = 'E',
	CEL_ANY = '.', /* of expressions and signatures only */
	CEL_NULL = 'n',
	CEL_BOOL = 'b',
	CEL_INT = 'i',
	CEL_UINT = 'u',
	CEL_DOUBLE = 'd',
	CEL_STRING = 's',
	CEL_BYTES = 'y',
	CEL_LIST = 'l',
	CEL_MAP = 'm',
	CEL_DURATION = 'D',
	CEL_TIMESTAMP = 'T',
	CEL_TYPE = 't',
	CEL_OPTIONAL = 'o',
	CEL_QUANTITY = 'q',
	CEL_URL = 'U',
	CEL_IP = 'I',
	CEL_CIDR = 'C',
	CEL_SEMVER = 'V',
	CEL_AUTHORIZER = 'A',
	CEL_DECISION = 'X',
};

struct cel_entry;
struct cel_ip {
	uint8_t bytes[16];
	uint8_t len, prefix; /* 4 or 16 */
};
struct cel_semver {
	uint64_t major, minor, patch;
	struct str pre, build;
};

struct cel_value {
	uint8_t type; /* enum cel_type */
	bool json;    /* a list or map that is `j` */
	bool lazy;    /* the map `variables` */
	uint32_t n;   /* items, entries; of a type: what it is the type of */
	union {
		bool b;
		int64_t i; /* also nanoseconds of durations and timestamps */
		uint64_t u;
		double d;
		struct str s; /* text, bytes, an error's reason, a URL */
		const struct json *j;
		struct cel_value *items;
		struct cel_entry *entries;
		const struct cel_value *held; /* of an optional; NULL = none */
		const struct quantity *quantity;
		const struct cel_ip *ip;
		const struct cel_semver *semver;
	};
	const struct schema *schema; /* of `j` */
};

struct cel_entry {
	struct cel_value key, value;
};

struct cel_lazy_state {
	bool done, busy;
	struct cel_value value;
};

/* ---- an expression ---- */
enum cel_op {
	CEL_OP_CONST,
	CEL_OP_IDENT,  /* name */
	CEL_OP_LOCAL,  /* slot */
	CEL_OP_SELECT, /* arg[0].name */
	CEL_OP_OPT_SELECT,
	CEL_OP_HAS,
	CEL_OP_INDEX,
	CEL_OP_OPT_INDEX,
	CEL_OP_CALL,
	CEL_OP_AND,
	CEL_OP_OR,
	CEL_OP_COND,
	CEL_OP_NOT,
	CEL_OP_NEG,
	CEL_OP_BINARY, /* name is the operator */
	CEL_OP_LIST,
	CEL_OP_MAP,   /* key, value, key, value */
	CEL_OP_MACRO, /* arg[0] is gone over; slot, slot + 1 */
};

enum cel_macro {
	CEL_M_ALL,
	CEL_M_EXISTS,
	CEL_M_EXISTS_ONE,
	CEL_M_FILTER,
	CEL_M_MAP,
	CEL_M_TRANSFORM_MAP,
	CEL_M_OPT_MAP,
	CEL_M_OPT_FLAT_MAP,
};

enum cel_binary {
	CEL_B_EQ,
	CEL_B_NE,
	CEL_B_LE,
	CEL_B_GE,
	CEL_B_LT,
	CEL_B_GT,
	CEL_B_IN,
	CEL_B_ADD,
	CEL_B_SUB,
	CEL_B_MUL,
	CEL_B_DIV,
	CEL_B_MOD,
};

struct cel_node {
	uint8_t op;    /* enum cel_op */
	uint8_t which; /* enum cel_macro, cel_binary */
	bool two;      /* a macro with two variables */
	uint8_t type;  /* enum cel_type, as far as it is known before evaluating */
	uint16_t slot, depth;
	uint32_t at;
	struct str name;
	struct cel_value value;
	struct cel_node **args;
	bool *optional; /* of a list's or map's entries, or NULL */
	size_t n;
	const struct cel_fn *const *fns; /* that bear the name, NULL-terminated */
	const struct schema *schema;     /* of the value, NULL = unknown */
};

#define CEL_DEPTH_MAX 250
#define CEL_SLOTS_MAX 32

struct cel_program {
	struct cel_node *root;
	struct str text;
	const struct str *names; /* of the variables in use */
	size_t nnames;
};

/* ---- evaluating ---- */
struct cel {
	struct arena *a;
	const struct cel_env *env;
	int64_t budget;
	size_t memory;
	const char *stop; /* ends everything, whatever would absorb it */
	struct cel_value slots[CEL_SLOTS_MAX];
};

struct cel_value cel_run(struct cel *c, const struct cel_node *e);
/* Pays for work; false when there is nothing left, and c->stop is set. */
bool cel_pay(struct cel *c, size_t cost);
bool cel_pay_memory(struct cel *c, size_t bytes);

struct cel_value cel_fail(struct cel *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct cel_value cel_no_overload(struct cel *c);

/* ---- cel_value.c ---- */
static inline struct cel_value cel_of_bool(bool b)
{
	return (struct cel_value){.type = CEL_BOOL, .b = b};
}
static inline struct cel_value cel_of_int(int64_t i)
{
	return (struct cel_value){.type = CEL_INT, .i = i};
}
static inline struct cel_value cel_of_uint(uint64_t u)
{
	return (struct cel_value){.type = CEL_UINT, .u = u};
}
static inline struct cel_value cel_of_double(double d)
{
	return (struct cel_value){.type = CEL_DOUBLE, .d = d};
}
static inline struct cel_value cel_of_str(struct str s)
{
	return (struct cel_value){.type = CEL_STRING, .s = s};
}
static inline struct cel_value cel_of_ns(enum cel_type type, int64_t ns)
{
	return (struct cel_value){.type = (uint8_t)type, .i = ns};
}
struct cel_value cel_of_json(struct cel *c, const struct json *j, const struct schema *s);
/* A copy of the bytes, paid for. */
struct cel_value cel_new_str(struct cel *c, struct str s);
/* Room for n items, NULL when it can't be paid for. */
struct cel_value *cel_new_items(struct cel *c, size_t n);
static inline struct cel_value cel_of_items(struct cel_value *items, size_t n)
{
	return (struct cel_value){.type = CEL_LIST, .items = items, .n = (uint32_t)n};
}
struct cel_value cel_some(struct cel *c, struct cel_value v);
static inline struct cel_value cel_none(void)
{
	return (struct cel_value){.type = CEL_OPTIONAL};
}
struct cel_value cel_item(struct cel *c, const struct cel_value *list, size_t i);
/* The i-th of a map's keys and values. */
void cel_entry(struct cel *c, const struct cel_value *map, size_t i, struct cel_value *key,
	       struct cel_value *value);
/* False when it isn't there. */
bool cel_find(struct cel *c, const struct cel_value *map, const struct cel_value *key,
	      struct cel_value *ret);
bool cel_equal(struct cel *c, const struct cel_value *x, const struct cel_value *y);
/* -1, 0, 1; 2 when there is no order. */
int cel_order(const struct cel_value *x, const struct cel_value *y);
const char *cel_type_name(enum cel_type type);
struct json *cel_to_json(struct cel *c, const struct cel_value *v);
void cel_ip_text(const struct cel_ip *ip, bool cidr, struct buf *out); /* cel_net.c */
struct str cel_any_text(struct cel *c, const struct cel_value *v);     /* cel_std.c: as string() */
/* Field names that CEL could not bear are escaped: __dot__, __if__ … Into the arena. */
struct str cel_unescape(struct arena *a, struct str name);

/* ---- cel_ops.c ---- */
struct cel_value cel_binary(struct cel *c, enum cel_binary which, const struct cel_value *x,
			    const struct cel_value *y);
struct cel_value cel_negate(struct cel *c, const struct cel_value *x);

/* ---- functions ---- */
struct cel_fn {
	const char *name;
	const char *args; /* a letter each; the first is what a method is called on */
	char ret;
	bool method;
	struct cel_value (*call)(struct cel *c, const struct cel_value *v, size_t n);
};
/* Ended by a NULL name. */
extern const struct cel_fn cel_fns_standard[], cel_fns_text[], cel_fns_lists[], cel_fns_time[],
	cel_fns_net[], cel_fns_numbers[], cel_fns_authorizer[];
/* Those of that name, NULL-terminated; NULL when there are none. */
const struct cel_fn *const *cel_functions(struct arena *a, struct str name, bool method);

/* ---- compiling ---- */
enum cel_token {
	CEL_T_END,
	CEL_T_IDENT,
	CEL_T_INT,
	CEL_T_UINT,
	CEL_T_DOUBLE,
	CEL_T_STRING,
	CEL_T_BYTES,
	CEL_T_PUNCT, /* text is the operator */
	CEL_T_BAD,
};

struct cel_lex {
	struct arena *a;
	struct str text;
	size_t at;
	/* the current token */
	enum cel_token token;
	size_t start;
	struct str word;        /* identifier or operator */
	struct cel_value value; /* literal */
	bool quoted;            /* `a-b` */
	const char *why;        /* CEL_T_BAD */
};
void cel_next(struct cel_lex *l);

struct cel_parse {
	struct cel_lex lex;
	struct arena *a;
	const struct cel_env *env;
	struct {
		struct str name;
		uint8_t type;
		const struct schema *schema;
	} locals[CEL_SLOTS_MAX];
	size_t nlocals;
	unsigned depth;
	struct str *names;
	size_t nnames, names_cap;
	bool bad;
	struct err *err;
};
struct cel_node *cel_parse(struct cel_parse *p);

/* ---- cel_names.c ---- */
struct cel_macro_form {
	const char *name;
	enum cel_macro which;
	bool may_two, must_two; /* variables */
};
/* NULL: no macro. */
const struct cel_macro_form *cel_macro_named(struct str name);
/* CEL_ANY: no type. */
enum cel_type cel_type_named(struct str name);
bool cel_is_reserved(struct str name);
const struct cel_var *cel_variable(const struct cel_parse *p, struct str name);
struct cel_node *cel_refuse(struct cel_parse *p, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Types of a new node from those of its parts; refuses what can't be. */
void cel_type_node(struct cel_parse *p, struct cel_node *e);
/* What going over `over` gives to a macro's variables. */
void cel_type_locals(struct cel_parse *p, const struct cel_node *over, bool two, bool optional);
uint8_t cel_type_of_schema(const struct schema *s);

#endif
