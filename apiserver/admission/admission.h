/*
 * An admission step: looks at a write after decoding and defaulting, and changes or refuses it.
 * One file in this folder declares `const struct admission admission_x`. Steps run in `order`.
 * They see other objects through the reader only, so they run the same in the simulation.
 */
#ifndef PLUMB_APISERVER_ADMISSION_H
#define PLUMB_APISERVER_ADMISSION_H

#include "apiserver/kinds/kind.h"

struct admission_req;

enum admission_op { ADMIT_CREATE, ADMIT_UPDATE, ADMIT_DELETE, ADMIT_CONNECT };

/* Which objects to look through. */
struct admission_scan {
	const char *group, *plural;
	struct str namespace; /* STR_NONE = all */
	struct str holds; /* text of theirs as it is stored: others aren't parsed; STR_NONE = all */
};

struct admission_reader {
	/* The object as JSON, valid for the turn; NULL when absent. */
	const struct json *(*get)(void *ctx, const char *group, const char *plural,
				  struct str namespace, struct str name, struct arena *a);
	/* Calls fn for every object that the scan takes in, parsed into `a`. */
	void (*each)(void *ctx, const struct admission_scan *scan, struct arena *a,
		     void (*fn)(void *arg, const struct json *o), void *arg);
	/* Whether the namespace's quotas have room for the object: 0, or -1 with err. May be NULL.
	 */
	int (*quota)(void *ctx, struct admission_req *r, struct err *err);
	void *ctx;
};

/* One value of what else is known of a user (apiserver/extra.h). */
struct user_extra {
	struct str key, value;
};

struct admission_user {
	struct str name, uid;
	const struct str *groups;
	size_t ngroups;
	const struct user_extra *extra; /* by key; those of one key stand together, as they came */
	size_t nextra;
};

struct admission_req {
	struct arena *a;
	enum admission_op op;
	const struct kind *kind;
	struct str namespace, name;
	const char *subresource; /* or NULL */
	struct json *object;     /* may be changed; NULL on delete and connect */
	const struct json *old;  /* NULL on create */
	struct admission_user user;
	const struct admission_reader *reader;
	bool dry_run;
	int64_t now_ns;
	struct buf *warnings;
	struct json *notes; /* annotations for the audit log, by name; NULL = nobody listens */
	int retry_after_s;  /* set with ERR_TOO_MANY */
	bool comes;         /* of a refusal: what is missing is made in a moment, by a controller */
	struct schema_problems *problems; /* causes of an ERR_INVALID */
	struct str message; /* of a refusal that may be longer than struct err holds, in `a` */
	const struct json
		*status; /* of a refusal: what the client gets, instead of that; or NULL */
	int status_code;
};

/* Refuses: `pods "x" is forbidden: WHY`. Returns -1. */
int admission_forbid(struct admission_req *r, struct err *err, struct str why);
/* Whether the request is about that resource, or a subresource of it. */
bool admission_is(const struct admission_req *r, const char *group, const char *plural);
/* A `Warning:` header. */
void admission_warn(struct admission_req *r, struct str text);
/* An annotation of the audit log's event; the first of a name stays. Texts live as long as r. */
void admission_note(struct admission_req *r, struct str key, struct str value);

/* Steps from here on change nothing and come after the kind's own rules; one below may run a second
 * time, over what webhooks changed. */
#define ADMISSION_JUDGES 600
/* Validating webhooks are asked before the steps from here on: quotas. */
#define ADMISSION_LAST 1000

struct admission {
	const char *name; /* "NamespaceLifecycle" */
	int order;
	/* 0, or -1 with the error that the client gets. */
	int (*admit)(struct admission_req *r, struct err *err);
};

extern const struct admission *const admission_registry[]; /* generated, ended by NULL */

#endif
