/*
 * CEL, the Common Expression Language, as Kubernetes speaks it: what CustomResourceDefinitions'
 * validation rules, admission policies, matchConditions and Flux' health expressions are written
 * in. A text is compiled once and evaluated often.
 *
 * The whole grammar but message construction; the standard functions and macros; optional values;
 * Kubernetes' libraries: strings, lists, sets, regex, url, quantity, ip, cidr, semver. Types are
 * checked while compiling as far as schemas say them, and all of them again while evaluating.
 *
 * A program lives in the arena it was compiled in, is not changed by evaluating and may be shared
 * between threads. Texts are hostile: length, depth, steps and memory are bounded. Pure.
 * Specification: github.com/google/cel-spec (langdef.md), k8s.io/apiserver/pkg/cel/library.
 */
#ifndef PLUMB_CEL_H
#define PLUMB_CEL_H

#include "lib/schema/schema.h"

#define CEL_TEXT_MAX 16384
/* What one evaluation, and what all that belong to one request, may spend. */
#define CEL_COST_CALL 1000000
#define CEL_COST_REQUEST 10000000

struct cel_program;

/* A name that expressions may use. */
struct cel_var {
	const char *name;
	const struct json *value;  /* NULL: using it is an error (or none, when optional) */
	const struct schema *type; /* NULL = dynamic */
	bool optional;             /* an optional value */
};

/* Expressions with names that are evaluated when first asked for: `variables.NAME`. */
struct cel_lazy {
	struct str name;
	const struct cel_program *program; /* NULL: only its name is known yet */
	struct cel_lazy_state *state;      /* the evaluation's: cel_lazy_new() */
};
struct cel_lazy_state *cel_lazy_new(struct arena *a);

/* Values by name: what a text is compiled for, and what it is evaluated with. */
struct cel_env {
	const struct cel_var *vars; /* NULL: any name goes, and stands for a member of `root` */
	size_t nvars;
	const struct json *root;
	struct cel_lazy *lazy; /* of the variable `variables` */
	size_t nlazy;
	int64_t *budget; /* shared by evaluations that belong together; NULL = CEL_COST_CALL */
	int64_t now_ns;  /* spare for functions of time; not a variable */
	/* authorizer: 1 allowed, 0 not, -1 can't say; NULL = the variable doesn't exist */
	int (*may)(void *arg, const struct json *attributes, struct str *ret_reason);
	void *may_arg;
};

enum cel_want { CEL_WANT_ANY, CEL_WANT_BOOL, CEL_WANT_STRING, CEL_WANT_STRING_OR_NULL };

/*
 * NULL with ERR_INVALID, worded as cel-go words it ("ERROR: <input>:1:6: undefined field 'x'" and
 * the place), when the text is no expression of these names that gives what is wanted.
 */
struct cel_program *cel_compile(struct arena *a, struct str text, const struct cel_env *env,
				enum cel_want want, struct err *err);

/* -1 with ERR_INVALID when the evaluation ends in an error, or in something else than is asked. */
MUST_USE int cel_eval_bool(const struct cel_program *p, struct arena *a, const struct cel_env *env,
			   bool *ret, struct err *err);
/* STR_NONE for null. */
MUST_USE int cel_eval_string(const struct cel_program *p, struct arena *a,
			     const struct cel_env *env, struct str *ret, struct err *err);
/* Any result as JSON; times and the like as text. */
struct json *cel_eval_json(const struct cel_program *p, struct arena *a, const struct cel_env *env,
			   struct err *err);

/* What evaluating it may cost at most, by the limits of its variables' types (cel_cost.c). */
uint64_t cel_cost(const struct cel_program *p);
/* The most items, entries or characters that a value of the type may have, and the fewest bytes
 * that one takes in JSON. */
uint64_t cel_size_most(const struct schema *s);
uint64_t cel_size_least(const struct schema *s);

/* Whether the program uses that variable. */
bool cel_uses(const struct cel_program *p, const char *name);

/* ---- texts that are judged once in a while ---- */
/* ERR_INVALID with the place, when the text is none; any names go. */
MUST_USE int cel_check(struct str text, struct err *err);
/* The members of `vars` are the names that the expression may use. ERR_INVALID when a field is
 * missing or the result is no boolean. */
MUST_USE int cel_test(struct arena *a, struct str text, const struct json *vars, bool *ret,
		      struct err *err);

#endif
