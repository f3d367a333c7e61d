/*
 * Kubernetes objects: immutable once made, shared by reference count. An object is its canonical
 * JSON bytes, exactly as stored and sent, beside a small parsed header. The tree is parsed on
 * demand into the caller's arena. Thread-safe (atomic counts).
 */
#ifndef PLUMB_OBJ_H
#define PLUMB_OBJ_H

#include "lib/http/http.h"
#include "lib/json/json.h"

struct obj {
	_Atomic uint32_t refs;
	uint32_t nlabels;
	struct str api_version, kind;
	struct str namespace, name, uid;
	uint64_t revision; /* metadata.resourceVersion */
	int64_t generation;
	int64_t deleted_ns;             /* metadata.deletionTimestamp, 0 = not being deleted */
	const struct obj_label *labels; /* sorted by key */
	struct str bytes;               /* canonical JSON */
	struct block *block;            /* what bytes point into; obj owns one reference */
};

struct obj_label {
	struct str key, value;
};

/* From bytes (a block whose reference is taken over, also on error). ERR_PARSE when it isn't an
 * object with kind and metadata. */
struct obj *obj_from_block(struct block *b, struct err *err);
struct obj *obj_from_bytes(struct str bytes, struct err *err); /* copies */
/* The same for bytes that json_write once made, as from the store: reads no more than the header,
 * so what is below metadata, labels apart, is taken on trust. */
struct obj *obj_from_written(struct block *b, struct err *err);
/* From a tree, written compactly. */
struct obj *obj_from_json(const struct json *v, struct err *err);
struct obj *obj_ref(const struct obj *o);
void obj_unref(const struct obj *o); /* NULL is fine */
void obj_cleanup(struct obj **o);

/* The tree, parsed into `a`; strings point into o->bytes, so o must outlive it. Never NULL for an
 * obj made by us. */
const struct json *obj_tree(const struct obj *o, struct arena *a);
struct str obj_label(const struct obj *o, struct str key); /* STR_NONE when absent */

/* Whether a member of that name may be anywhere in it: a look at the bytes that spares most events
 * the parsing. Never false when there is one, written as API servers write it. */
bool obj_mentions(const struct obj *o, const char *member);

/* meta_controller() of an object without parsing the rest of it: what every event is asked, by
 * many. The reference is parsed into `a`; NULL when nobody controls it. */
const struct json *obj_controller(const struct obj *o, struct arena *a);

/* "namespace/name", or "name" without a namespace: the key of caches and queues. In `a`. */
struct str obj_key(struct arena *a, struct str namespace, struct str name);
void obj_key_split(struct str key, struct str *ret_namespace, struct str *ret_name);

/* ---- reading common parts of a tree ---- */
struct str meta_name(const struct json *o);
struct str meta_namespace(const struct json *o);
struct str meta_uid(const struct json *o);
struct str meta_annotation(const struct json *o, const char *key);
struct str meta_label(const struct json *o, const char *key);
/* The ownerReference with controller: true, NULL when none. */
const struct json *meta_controller(const struct json *o);
/* An ownerReference value {apiVersion, kind, name, uid, controller, blockOwnerDeletion}. */
struct json *meta_owner_ref(struct arena *a, const struct json *owner, bool controller);
/* status.conditions[type]; NULL when absent. */
struct json *condition_find(const struct json *o, const char *type);
/* Sets a condition in place; lastTransitionTime moves only when status changes. True when anything
 * but times changed. */
bool condition_set(struct arena *a, struct json *o, const char *type, const char *status,
		   const char *reason, struct str message, int64_t now_ns);

/* "apps/v1" → group "apps", version "v1"; "v1" → "", "v1". */
void api_version_split(struct str api_version, struct str *ret_group, struct str *ret_version);

/* A name as Kubernetes checks them; the message goes behind "must …". NULL when fine. */
const char *name_check_dns1123_subdomain(struct str s);
const char *name_check_dns1123_label(struct str s);
const char *name_check_dns1035_label(struct str s);
const char *name_check_qualified(struct str s); /* label and annotation keys */
const char *name_check_label_value(struct str s);
const char *name_check_path_segment(struct str s); /* RBAC names */

#endif
