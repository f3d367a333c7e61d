/*
 * The protobuf form: the bytes "k8s\0", then an envelope (runtime.Unknown) with apiVersion, kind
 * and the message. Fields are found by the numbers in the schema data.
 *
 * The form doesn't say which zeros were set and which are just Go's way of writing nothing, so
 * zeros are taken as absence, but for the fields that Kubernetes keeps behind pointers (below).
 * Must never read beyond the message or recurse without bound. Pure.
 */
#include "lib/schema/proto.h"

#include <string.h>

#include "lib/schema/proto-internal.h"

#include "lib/base/pure.h"

/* ---- what a zero means ---- */

static bool in_list(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(list[i], name))
			return true;
	}
	return false;
}

/* Fields that Kubernetes keeps behind pointers: there, a zero was set by somebody. */
static const char *const pointers[] = {"activeDeadlineSeconds",
				       "allocateLoadBalancerNodePorts",
				       "allowPrivilegeEscalation",
				       "allowVolumeExpansion",
				       "attachRequired",
				       "automountServiceAccountToken",
				       "averageUtilization",
				       "backoffLimit",
				       "backoffLimitPerIndex",
				       "blockOwnerDeletion",
				       "completions",
				       "controller",
				       "defaultMode",
				       "deletionGracePeriodSeconds",
				       "enableServiceLinks",
				       "expirationSeconds",
				       "failedJobsHistoryLimit",
				       "fsGroup",
				       "gracePeriodSeconds",
				       "hostUsers",
				       "immutable",
				       "maxFailedIndexes",
				       "maxItems",
				       "maxLength",
				       "maxProperties",
				       "maxUnavailable",
				       "minAvailable",
				       "maxSurge",
				       "maximum",
				       "minItems",
				       "minLength",
				       "minProperties",
				       "minReplicas",
				       "minimum",
				       "mode",
				       "optional",
				       "parallelism",
				       "partition",
				       "podInfoOnMount",
				       "priority",
				       "privileged",
				       "progressDeadlineSeconds",
				       "readOnlyRootFilesystem",
				       "ready",
				       "replicas",
				       "requiresRepublish",
				       "revisionHistoryLimit",
				       "runAsGroup",
				       "runAsNonRoot",
				       "runAsUser",
				       "serving",
				       "setHostnameAsFQDN",
				       "shareProcessNamespace",
				       "stabilizationWindowSeconds",
				       "startingDeadlineSeconds",
				       "storageCapacity",
				       "successfulJobsHistoryLimit",
				       "suspend",
				       "terminating",
				       "terminationGracePeriodSeconds",
				       "tolerationSeconds",
				       "ttlSecondsAfterFinished",
				       "orphanDependents",
				       "x-kubernetes-preserve-unknown-fields"};

/* Names that stand for other things elsewhere; types by the end of their name. */
static const struct {
	const char *type, *field;
} typed_pointers[] = {{"discovery.v1.EndpointPort", "name"},
		      {"discovery.v1.EndpointPort", "port"},
		      {"discovery.v1beta1.EndpointPort", "name"},
		      {"discovery.v1beta1.EndpointPort", "port"},
		      {"HostPathVolumeSource", "type"},
		      {"IngressSpec", "ingressClassName"},
		      {"LeaseSpec", "holderIdentity"},
		      {"LeaseSpec", "leaseTransitions"},
		      {"PersistentVolumeClaimSpec", "storageClassName"},
		      {"PodDNSConfigOption", "value"},
		      {"PriorityClass", "value"},
		      {"ContainerStatus", "started"}};

/* "io.k8s.api.core.v1.Pod" ends with "Pod" and with "core.v1.Pod", not with "od". */
static bool ends_with_name(struct str type, struct str name)
{
	return str_ends(type, name) && (type.n == name.n || type.p[type.n - name.n - 1] == '.');
}

static bool zero_counts(const struct schema *s, const struct schema_field *f)
{
	struct str type = str_c(s->name);

	if (in_list(f->name, pointers, ARRAY_LEN(pointers)))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(typed_pointers); i++)
		if (ends_with_name(type, str_c(typed_pointers[i].type)) &&
		    !strcmp(f->name, typed_pointers[i].field))
			return true;
	return false;
}

static bool is_zero(const struct json *v)
{
	switch ((enum json_type)v->type) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !v->b;
	case JSON_INT:
		return v->i == 0;
	case JSON_STRING:
		return v->n == 0;
	case JSON_NUM:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return false;
	}
	return false;
}

/* ---- types that are more than one ---- */

enum proto_union proto_union_of(const struct schema *s, const struct schema **ret_member)
{
	static const struct {
		const char *end;
		enum proto_union kind;
	} unions[] = {{"PropsOrArray", PROTO_SCHEMA_OR_ARRAY},
		      {"PropsOrBool", PROTO_SCHEMA_OR_BOOL},
		      {"PropsOrStringArray", PROTO_SCHEMA_OR_STRINGS}};
	struct str name = s->name ? str_c(s->name) : STR("");

	*ret_member = NULL;
	if (s->type != SCHEMA_ANY)
		return PROTO_PLAIN;
	for (size_t i = 0; i < ARRAY_LEN(unions); i++) {
		if (!str_ends(name, str_c(unions[i].end)))
			continue;
		/* "…JSONSchemaPropsOrBool" → "…JSONSchemaProps" */
		*ret_member = schema_find(
			str_sub(name, 0, name.n - strlen(unions[i].end) + strlen("Props")));
		return *ret_member ? unions[i].kind : PROTO_PLAIN;
	}
	return PROTO_PLAIN;
}

bool proto_has(const struct schema *s)
{
	for (size_t i = 0; s && i < s->nfields; i++)
		if (s->fields[i].proto)
			return true;
	return false;
}

/* ---- values ---- */

static int decode_object(struct reader *r, const struct schema *s, struct str in, struct json *to,
			 uint32_t prefix);
static struct json *decode_value(struct reader *r, const struct schema *s, const struct raw *f);

static struct json *object(struct reader *r, const struct schema *s, const struct raw *f)
{
	struct json *o = json_new(r->a, JSON_OBJECT);

	if (f->wire != WIRE_BYTES) {
		proto_bad(r, "message expected");
		return NULL;
	}
	if (++r->depth > PROTO_DEPTH_MAX) {
		proto_bad(r, "nested too deeply");
		return NULL;
	}
	int rc = decode_object(r, s, f->bytes, o, 0);
	r->depth--;
	return rc ? NULL : o;
}

/* A schema; else true or false, or a list of schemas or texts. */
static struct json *schema_or(struct reader *r, enum proto_union kind, const struct schema *s,
			      const struct raw *f)
{
	struct json *list = json_new(r->a, JSON_ARRAY), *one = NULL, *v;
	uint32_t number = kind == PROTO_SCHEMA_OR_BOOL ? 2 : 1;
	bool allows = false;
	struct str in = f->bytes;
	struct raw m;
	int rc;

	if (f->wire != WIRE_BYTES) {
		proto_bad(r, "message expected");
		return NULL;
	}
	while ((rc = proto_take_field(r, &in, &m)) > 0) {
		if (m.number == number) {
			one = object(r, s, &m);
			if (!one)
				return NULL;
		} else if (kind == PROTO_SCHEMA_OR_BOOL) {
			allows = m.n != 0;
		} else {
			v = kind == PROTO_SCHEMA_OR_ARRAY ? object(r, s, &m) : proto_text(r, &m);
			if (!v || ++r->nodes > PROTO_NODES_MAX)
				return NULL;
			json_append(r->a, list, v);
		}
	}
	if (rc)
		return NULL;
	if (!one && kind == PROTO_SCHEMA_OR_BOOL)
		one = json_new_bool(r->a, allows);
	return one ? one : list;
}

static struct json *decode_value(struct reader *r, const struct schema *s, const struct raw *f)
{
	const struct schema *member;
	enum proto_union kind;

	if (++r->nodes > PROTO_NODES_MAX) {
		proto_bad(r, "too many values");
		return NULL;
	}
	switch (s->type) {
	case SCHEMA_STRING:
		return proto_text(r, f);
	case SCHEMA_INT:
		return proto_whole(r, f, false);
	case SCHEMA_BOOL:
		return proto_whole(r, f, true);
	case SCHEMA_NUMBER:
		return proto_double(r, f);
	case SCHEMA_OBJECT:
		return object(r, s, f);
	case SCHEMA_INT_OR_STRING:
		return proto_int_or_string(r, f);
	case SCHEMA_QUANTITY:
		return proto_quantity(r, f);
	case SCHEMA_TIME:
		return proto_time(r, f, false);
	case SCHEMA_MICRO_TIME:
		return proto_time(r, f, true);
	case SCHEMA_DURATION:
		return proto_duration(r, f);
	case SCHEMA_BYTES:
		return proto_bytes(r, f);
	case SCHEMA_ANY:
		kind = proto_union_of(s, &member);
		return kind == PROTO_PLAIN ? proto_anything(r, f) : schema_or(r, kind, member, f);
	case SCHEMA_MAP:
	case SCHEMA_ARRAY:
		break;
	}
	proto_bad(r, "list in a list");
	return NULL;
}

/* ---- lists and maps: their entries stand one by one in the message around them ---- */

static struct json *slot(struct reader *r, struct json *o, const char *name, enum json_type type)
{
	struct json *v = json_get(o, str_c(name));

	return v ? v : json_set(r->a, o, str_c(name), json_new(r->a, type));
}

static int add_item(struct reader *r, const struct schema *item, const struct raw *f,
		    struct json *list)
{
	struct str rest = f->bytes;
	uint64_t n;

	/* Numbers may come packed. */
	if (item->type == SCHEMA_INT && f->wire == WIRE_BYTES) {
		while (rest.n) {
			if (!proto_take_varint(&rest, &n) || ++r->nodes > PROTO_NODES_MAX)
				return proto_bad(r, "broken list of numbers");
			json_append(r->a, list, json_new_int(r->a, (int64_t)n));
		}
		return 0;
	}
	struct json *v = decode_value(r, item, f);
	if (!v)
		return -1;
	json_append(r->a, list, v);
	return 0;
}

/* A map's values that are lists are messages around the items. */
static struct json *wrapped_list(struct reader *r, const struct schema *s, struct str in)
{
	struct json *list = json_new(r->a, JSON_ARRAY);
	struct raw f;
	int rc;

	while ((rc = proto_take_field(r, &in, &f)) > 0) {
		if (f.number == 1 && add_item(r, s->item, &f, list))
			return NULL;
	}
	return rc ? NULL : list;
}

/* A map's value that was left out. */
static struct json *empty_of(struct reader *r, const struct schema *s)
{
	if (s->type == SCHEMA_OBJECT || s->type == SCHEMA_MAP)
		return json_new(r->a, JSON_OBJECT);
	if (s->type == SCHEMA_ARRAY)
		return json_new(r->a, JSON_ARRAY);
	if (s->type == SCHEMA_INT)
		return json_new_int(r->a, 0);
	if (s->type == SCHEMA_BOOL)
		return json_new_bool(r->a, false);
	return json_new_str(r->a, s->type == SCHEMA_QUANTITY ? STR("0") : STR(""));
}

static int add_entry(struct reader *r, const struct schema *item, const struct raw *f,
		     struct json *map)
{
	struct raw key, value;
	struct json *v;

	if (f->wire != WIRE_BYTES || proto_pick(r, f->bytes, 1, &key) ||
	    proto_pick(r, f->bytes, 2, &value))
		return proto_bad(r, "map entry expected");
	struct str k = key.wire == WIRE_BYTES ? key.bytes : STR("");
	if (!str_is_utf8(k))
		return proto_bad(r, "map key is not text");
	if (!value.number)
		v = empty_of(r, item);
	else if (item->type == SCHEMA_ARRAY && value.wire == WIRE_BYTES)
		v = wrapped_list(r, item, value.bytes);
	else
		v = decode_value(r, item, &value);
	if (!v)
		return -1;
	json_set(r->a, map, k, v);
	return 0;
}

/* ---- messages ---- */

static int add_field(struct reader *r, const struct schema *in, const struct schema_field *def,
		     const struct raw *f, struct json *to)
{
	const struct schema *s = def->type;

	if (s->type == SCHEMA_ARRAY)
		return add_item(r, s->item, f, slot(r, to, def->name, JSON_ARRAY));
	if (s->type == SCHEMA_MAP)
		return add_entry(r, s->item, f, slot(r, to, def->name, JSON_OBJECT));
	struct json *v = decode_value(r, s, f);
	if (!v)
		return -1;
	if (json_is(v, JSON_NULL) || (is_zero(v) && !zero_counts(in, def) &&
				      s->type != SCHEMA_BYTES && s->type != SCHEMA_ANY))
		return 0;
	json_set(r->a, to, str_c(def->name), v);
	return 0;
}

/* The number, seen from outside, of an embedded message that leads to the field; 0 = none. */
static uint32_t embedded_in(uint16_t proto, uint32_t prefix)
{
	uint32_t inner = (proto >> 8) & 15, outer = proto >> 12;

	if (!prefix)
		return outer ? outer : inner;
	return !(prefix >> 8) && outer == prefix ? inner : 0;
}

static uint32_t number_of(uint16_t proto, uint32_t prefix)
{
	uint32_t inner = (proto >> 8) & 15, outer = proto >> 12;
	uint32_t own = outer ? outer << 8 | inner : inner;

	return own == prefix ? proto & 255 : 0;
}

/* prefix: numbers of the embedded messages that we are in, the innermost in the low byte. */
static int decode_object(struct reader *r, const struct schema *s, struct str in, struct json *to,
			 uint32_t prefix)
{
	struct raw f;
	int rc;

	while ((rc = proto_take_field(r, &in, &f)) > 0) {
		const struct schema_field *found = NULL;
		bool embedded = false;
		for (size_t i = 0; i < s->nfields && !found; i++) {
			if (number_of(s->fields[i].proto, prefix) == f.number)
				found = &s->fields[i];
			embedded |= embedded_in(s->fields[i].proto, prefix) == f.number;
		}
		if (found) {
			if (add_field(r, s, found, &f, to))
				return -1;
		} else if (embedded && f.wire == WIRE_BYTES) {
			if (decode_object(r, s, f.bytes, to, prefix << 8 | f.number))
				return -1;
		}
	}
	return rc;
}

bool proto_is(struct str in)
{
	return in.n >= 4 && !memcmp(in.p, "k8s", 4);
}

struct json *proto_decode(struct arena *a, struct str in, struct err *err)
{
	struct reader r = {.a = a, .err = err};
	struct raw meta, raw, version, kind;

	if (!proto_is(in)) {
		proto_bad(&r, "does not begin with \"k8s\"");
		return NULL;
	}
	in = str_sub(in, 4, in.n);
	if (proto_pick(&r, in, 1, &meta) || proto_pick(&r, in, 2, &raw) ||
	    proto_pick(&r, meta.bytes, 1, &version) || proto_pick(&r, meta.bytes, 2, &kind))
		return NULL;
	const struct schema *s = schema_find_kind(version.bytes, kind.bytes);
	if (!s && str_is(kind.bytes, "DeleteOptions"))
		s = schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
	if (!s && str_is(kind.bytes, "Status") && str_is(version.bytes, "v1"))
		s = schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.Status"));
	if (!s || s->type != SCHEMA_OBJECT || !str_is_utf8(kind.bytes)) {
		proto_bad(&r, "unknown apiVersion or kind");
		return NULL;
	}
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "kind", kind.bytes);
	json_set_str(a, o, "apiVersion", version.bytes);
	return decode_object(&r, s, raw.bytes, o, 0) ? NULL : o;
}
