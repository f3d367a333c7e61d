/*
 * What several controllers ask of pods and metadata, and the indexes they share. Pure: trees in,
 * answers out.
 */
#ifndef PLUMB_CONTROLLERS_COMMON_H
#define PLUMB_CONTROLLERS_COMMON_H

#include "controllers/controller.h"

/* Objects without a controlling owner, by namespace: candidates for adoption. */
#define INDEX_ORPHAN "orphans"
/* "namespace/key=value" for each label: who a selector may mean, without walking a namespace. */
#define INDEX_LABEL "labels"
index_fn index_orphans, index_by_label;

bool meta_deleting(const struct json *o);
int64_t meta_created_ns(const struct json *o); /* 0 = unknown */
int64_t meta_time_ns(const struct json *text); /* a metav1.Time value; 0 = absent or malformed */
struct json *meta_set_object(struct arena *a, struct json *o,
			     const char *field); /* metadata.FIELD */
/* An API object's skeleton: apiVersion, kind, metadata{name, namespace}. */
struct json *object_new(struct arena *a, const struct resource *r, struct str namespace,
			struct str name);

bool pod_active(const struct json *pod); /* neither finished nor being deleted */
bool pod_finished(const struct json *pod);
bool pod_ready(const struct json *pod);
/* Ready for min_ready_s. When it will be so only later, *ret_wait_ns (may be NULL) says in how
 * long. */
bool pod_available(const struct json *pod, int64_t min_ready_s, int64_t now_ns,
		   int64_t *ret_wait_ns);

/* The object with that finalizer or without it; plans nothing when it is so already. */
void finalizer_set(const struct view *v, const struct resource *r, const struct json *o,
		   const char *finalizer, bool there, struct plan *p);

/* The objects in `namespace` that a plain-map or label selector picks; found by label where
 * possible. */
struct json_set_view select_objects(const struct view *v, const struct resource *r,
				    struct str namespace, const struct selector *s);

/* A growing list of trees in an arena. */
struct trees {
	const struct json **v;
	size_t n, cap;
};
void trees_add(struct arena *a, struct trees *t, const struct json *v);

/*
 * Sorts out what belongs to `owner`: what it controls and its selector (still) picks goes to
 * *ret; matching orphans are adopted, what it controls but no longer picks is let go (both as
 * plan operations, taking effect in the returned list at once). An owner that is being deleted
 * adopts nothing.
 */
void claim_objects(const struct view *v, const struct json *owner, const struct selector *s,
		   const struct resource *r, struct plan *p, struct trees *ret);

/* spec.selector of an object of r, as its kind means it. */
MUST_USE int owner_selector(const struct view *v, const struct resource *r, const struct json *o,
			    struct selector *ret, struct err *err);
/* The keys of those of r's objects that `o` concerns: its controlling owner, or for an orphan
 * everything that would adopt it. */
void map_to_owner_or_selectors(const struct view *v, const struct resource *r, const struct obj *o,
			       void (*put)(void *ctx, struct str key), void *ctx);

/* A number as the API knows them: between 0 and INT32_MAX, whatever stands there. */
int64_t count_of(const struct json *v, int64_t otherwise);
/* "25%" of `total` rounded up or down, or a plain number; `otherwise` when v is neither. */
int64_t int_or_percent(const struct json *v, int64_t total, bool round_up, int64_t otherwise);

/* Kubernetes' alphabet for generated names. */
extern const char name_alphabet[28];

#endif
