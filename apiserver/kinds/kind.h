/*
 * A kind of object that the API server serves. A built-in kind is one file in this folder that
 * declares `const struct kind kind_x`; a CustomResourceDefinition makes the same structure at run
 * time. What can be data is data (lib/schema); functions are for rules that cannot.
 *
 * Functions are pure: they see the object, the old object and a context, and change only the
 * object they are given or the context's problems.
 */
#ifndef PLUMB_APISERVER_KIND_H
#define PLUMB_APISERVER_KIND_H

#include "lib/schema/schema.h"

enum {
	KIND_NAMESPACED = 1 << 0,
	KIND_STATUS = 1 << 1, /* status subresource: status is reset on create, kept on update;
				 /status writes nothing else */
	KIND_SCALE = 1 << 2,  /* scale subresource over spec.replicas, status.replicas, selector */
	KIND_GENERATION =
		1
		<< 3, /* metadata.generation counts changes of everything but metadata and status */
	KIND_NO_STORE = 1 << 4, /* create answers, nothing is stored (reviews, Binding, Eviction):
				   `answer` does the work */
	KIND_SECRET = 1 << 5,   /* encrypted at rest, never in logs, audit or errors */
	KIND_EXPIRES = 1 << 6,  /* Events: removed an hour after the last write */
	KIND_GRACEFUL = 1 << 7, /* deletion sets deletionTimestamp and grace period first (Pods) */
	KIND_UNCONDITIONAL_UPDATE = 1 << 8, /* PUT without resourceVersion is allowed */
	KIND_NO_SCHEMA_PRUNE = 1 << 9,
	KIND_READ_ONLY = 1 << 10,    /* get and list; the core makes the objects */
	KIND_ONE_BY_ONE = 1 << 11,   /* no deletion of whole collections */
	KIND_STATUS_META = 1 << 12,  /* with KIND_STATUS: who writes /status may change labels,
					annotations and the like, too */
	KIND_ORPHANS = 1 << 15,      /* deletion leaves dependents alone unless it says otherwise */
	KIND_STATUS_GIVEN = 1 << 16, /* with KIND_STATUS: who creates it may say its status */
	KIND_PUT_MAKES = 1 << 14,    /* a PUT of what isn't there creates it */
	KIND_SHOWS_GONE = 1 << 13,   /* DELETE answers with the object that is gone, no Status */
};

struct kind;
struct json;

/* What a rule may know beyond the object. */
struct kind_ctx {
	struct arena *a;
	int64_t now_ns;
	const char *subresource;             /* NULL for the object itself */
	const struct kind *asked;            /* the version that the request is in, or NULL */
	struct schema_problems problems;     /* validate: what is wrong */
	bool (*zone_known)(struct str name); /* of the system's time zones; NULL: don't ask */
	struct buf *warnings;                /* one `Warning:` text a line, or NULL */
	/* What is served under that name, definitions' kinds too; NULL = nobody can say. */
	const struct kind *(*served)(void *arg, struct str group, struct str version,
				     struct str plural);
	void *served_arg;
};

struct kind_column {
	const char *name, *type, *format, *description;
	int priority;     /* 0 always, 1 with -o wide */
	const char *path; /* simple JSONPath (".spec.replicas") when there is no row function */
};

struct kind {
	const char *group, *version, *kind, *plural;
	const char *list_kind;          /* NULL = kind + "List" */
	const char *singular;           /* NULL = kind in lower case */
	const char *const *short_names; /* NULL-terminated, or NULL */
	const char *const *categories;
	uint32_t flags;
	const char *schema_name;         /* key of schema_find */
	const struct schema *schema;     /* filled at registration for built-in kinds */
	const char *const *subresources; /* beyond status and scale: "log", "exec", "binding" …;
					    NULL-terminated */

	const struct kind_column *columns; /* ended by a NULL name; NULL = name and age */
	void (*row)(struct kind_ctx *c, const struct json *o,
		    struct json *cells); /* appends one cell a column */

	/* Field selectors beyond metadata.name and metadata.namespace. */
	const char *const *selectable;
	struct str (*field)(const struct json *o, struct str name, struct arena *a);

	/* Beyond the schema's defaults (clusterIP families, selectors from templates, …). */
	void (*set_defaults)(struct kind_ctx *c, struct json *o);
	/* What a writer may not say or change is put back silently, as Kubernetes' strategies do.
	 * live NULL on create. */
	void (*prepare)(struct kind_ctx *c, struct json *next, const struct json *live);
	/* Beyond the schema's rules: cross-field rules and immutability. live NULL on create. */
	void (*validate)(struct kind_ctx *c, const struct json *next, const struct json *live);
	/* Name rule: NULL = DNS-1123 subdomain. Answers a message or NULL. */
	const char *(*name_check)(struct str name);

	/*
	 * Which other version is the stored one (old betas served by conversion); NULL = this. Such
	 * a version says its names, schema and functions below, and set_defaults and selectable
	 * fields where they differ; all else is the stored one's. Without functions the versions
	 * differ by name alone.
	 */
	const struct kind *stored;
	void (*from_stored)(struct arena *a, struct json *o);
	void (*to_stored)(struct arena *a, struct json *o);

	void *crd; /* run-time kinds: owner's data */
};

extern const struct kind *const kind_registry[]; /* generated, ended by NULL */

#endif
