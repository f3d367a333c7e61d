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

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define DEPTH_MAX 64
#define NODES_MAX 1000000
#define GO_ZERO_TIME INT64_C(-62135596800)

enum wire { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct reader {
	struct arena *a;
	struct err *err;
	size_t nodes;
	int depth;
};

/* One field as it stands on the wire. */
struct raw {
	uint32_t number;
	enum wire wire;
	uint64_t n;
	struct str bytes;
};

static int bad(struct reader *r, const char *what)
{
	return err_set(r->err, ERR_BAD_REQUEST, "protobuf body: %s", what);
}

static bool take_varint(struct str *in, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && in->n; shift += 7) {
		uint8_t b = (uint8_t)*in->p;
		in->p++;
		in->n--;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* 1 = a field, 0 = the end, -1 = malformed. */
static int take_field(struct reader *r, struct str *in, struct raw *ret)
{
	uint64_t key, n;

	if (!in->n)
		return 0;
	if (!take_varint(in, &key) || key >> 3 == 0 || key >> 3 > 536870911)
		return bad(r, "broken field key");
	*ret = (struct raw){.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
	switch (key & 7) {
	case WIRE_VARINT:
		return take_varint(in, &ret->n) ? 1 : bad(r, "broken number");
	case WIRE_FIXED64:
	case WIRE_FIXED32:
		n = (key & 7) == WIRE_FIXED64 ? 8 : 4;
		break;
	case WIRE_BYTES:
		if (!take_varint(in, &n))
			return bad(r, "broken length");
		break;
	default:
		return bad(r, "unknown wire type");
	}
	if (n > in->n)
		return bad(r, "field is longer than its message");
	ret->bytes = str_sub(*in, 0, (size_t)n);
	in->p += n;
	in->n -= (size_t)n;
	return 1;
}

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
				       "maxUnavailable",
				       "minAvailable",
				       "maxSurge",
				       "minReplicas",
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
				       "value"};

static bool zero_counts(const struct schema_field *f)
{
	return in_list(f->name, pointers, ARRAY_LEN(pointers));
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

/* ---- values ---- */

static int decode_object(struct reader *r, const struct schema *s, struct str in, struct json *to,
			 uint32_t prefix);
static struct json *decode_value(struct reader *r, const struct schema *s, const struct raw *f);

static struct json *text(struct reader *r, const struct raw *f)
{
	if (f->wire != WIRE_BYTES || !str_is_utf8(f->bytes)) {
		bad(r, "text expected");
		return NULL;
	}
	return json_new_str(r->a, f->bytes);
}

/* The field of that number in a small message, as well-known types are; the last one counts. */
static int pick(struct reader *r, struct str in, uint32_t number, struct raw *ret)
{
	struct raw f;
	int rc;

	*ret = (struct raw){0};
	while ((rc = take_field(r, &in, &f)) > 0) {
		if (f.number == number)
			*ret = f;
	}
	return rc;
}

static struct json *timestamp(struct reader *r, const struct raw *f, bool micro)
{
	char out[TIME_TEXT_MAX];
	struct raw s, n;

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &s) || pick(r, f->bytes, 2, &n)) {
		bad(r, "time expected");
		return NULL;
	}
	int64_t sec = (int64_t)s.n, ns = (int64_t)n.n;
	if ((sec == 0 && ns == 0) || sec == GO_ZERO_TIME)
		return json_new(r->a, JSON_NULL);
	if (sec < -INT64_C(9000000000) || sec > INT64_C(9000000000) || ns < 0 || ns >= NS_PER_S) {
		bad(r, "time is out of range");
		return NULL;
	}
	int64_t at = sec * NS_PER_S + ns;
	return json_new_str(r->a, micro ? time_format_micro(at, out) : time_format(at, out));
}

static struct json *int_or_string(struct reader *r, const struct raw *f)
{
	struct raw type, i, s;

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &type) || pick(r, f->bytes, 2, &i) ||
	    pick(r, f->bytes, 3, &s)) {
		bad(r, "number or text expected");
		return NULL;
	}
	if (type.n == 1)
		return s.wire == WIRE_BYTES ? text(r, &s) : json_new_str(r->a, STR(""));
	return json_new_int(r->a, (int32_t)(uint32_t)i.n);
}

static struct json *quantity(struct reader *r, const struct raw *f)
{
	struct raw s;

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &s)) {
		bad(r, "quantity expected");
		return NULL;
	}
	return s.wire == WIRE_BYTES ? text(r, &s) : json_new_str(r->a, STR("0"));
}

static struct json *duration(struct reader *r, const struct raw *f)
{
	AUTO(buf) struct buf out = {0};
	struct raw n;

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &n)) {
		bad(r, "duration expected");
		return NULL;
	}
	duration_format((int64_t)n.n, &out);
	return json_new_str(r->a, buf_view(&out));
}

/* RawExtension, FieldsV1, JSON: a message whose first field holds JSON. */
static struct json *anything(struct reader *r, const struct raw *f)
{
	struct raw s;
	struct json_limits limits = {.depth = DEPTH_MAX, .nodes = NODES_MAX};

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &s)) {
		bad(r, "message expected");
		return NULL;
	}
	if (s.wire != WIRE_BYTES || !s.bytes.n)
		return json_new(r->a, JSON_NULL);
	return json_parse(r->a, s.bytes, &limits, r->err);
}

static struct json *number(struct reader *r, const struct raw *f)
{
	double d;
	char out[40];
	AUTO(buf) struct buf b = {0};

	if (f->wire != WIRE_FIXED64) {
		bad(r, "number expected");
		return NULL;
	}
	memcpy(&d, f->bytes.p, sizeof(d));
	buf_printf(&b, "%.17g", d);
	if (b.n >= sizeof(out) || d != d || d > 1e300 || d < -1e300) {
		bad(r, "number is out of range");
		return NULL;
	}
	return json_parse(r->a, arena_str(r->a, buf_view(&b)), NULL, r->err);
}

static struct json *bytes(struct reader *r, const struct raw *f)
{
	AUTO(buf) struct buf b = {0};

	if (f->wire != WIRE_BYTES) {
		bad(r, "bytes expected");
		return NULL;
	}
	base64_encode(f->bytes, &b);
	return json_new_str(r->a, buf_view(&b));
}

static struct json *object(struct reader *r, const struct schema *s, const struct raw *f)
{
	struct json *o = json_new(r->a, JSON_OBJECT);

	if (f->wire != WIRE_BYTES) {
		bad(r, "message expected");
		return NULL;
	}
	if (++r->depth > DEPTH_MAX) {
		bad(r, "nested too deeply");
		return NULL;
	}
	int rc = decode_object(r, s, f->bytes, o, 0);
	r->depth--;
	return rc ? NULL : o;
}

static struct json *whole(struct reader *r, const struct raw *f, bool boolean)
{
	if (f->wire != WIRE_VARINT) {
		bad(r, "number expected");
		return NULL;
	}
	return boolean ? json_new_bool(r->a, f->n != 0) : json_new_int(r->a, (int64_t)f->n);
}

static struct json *decode_value(struct reader *r, const struct schema *s, const struct raw *f)
{
	if (++r->nodes > NODES_MAX) {
		bad(r, "too many values");
		return NULL;
	}
	switch (s->type) {
	case SCHEMA_STRING:
		return text(r, f);
	case SCHEMA_INT:
		return whole(r, f, false);
	case SCHEMA_BOOL:
		return whole(r, f, true);
	case SCHEMA_NUMBER:
		return number(r, f);
	case SCHEMA_OBJECT:
		return object(r, s, f);
	case SCHEMA_INT_OR_STRING:
		return int_or_string(r, f);
	case SCHEMA_QUANTITY:
		return quantity(r, f);
	case SCHEMA_TIME:
		return timestamp(r, f, false);
	case SCHEMA_MICRO_TIME:
		return timestamp(r, f, true);
	case SCHEMA_DURATION:
		return duration(r, f);
	case SCHEMA_BYTES:
		return bytes(r, f);
	case SCHEMA_ANY:
		return anything(r, f);
	case SCHEMA_MAP:
	case SCHEMA_ARRAY:
		break;
	}
	bad(r, "list in a list");
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
			if (!take_varint(&rest, &n) || ++r->nodes > NODES_MAX)
				return bad(r, "broken list of numbers");
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

	while ((rc = take_field(r, &in, &f)) > 0) {
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

	if (f->wire != WIRE_BYTES || pick(r, f->bytes, 1, &key) || pick(r, f->bytes, 2, &value))
		return bad(r, "map entry expected");
	struct str k = key.wire == WIRE_BYTES ? key.bytes : STR("");
	if (!str_is_utf8(k))
		return bad(r, "map key is not text");
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

static int add_field(struct reader *r, const struct schema_field *def, const struct raw *f,
		     struct json *to)
{
	const struct schema *s = def->type;

	if (s->type == SCHEMA_ARRAY)
		return add_item(r, s->item, f, slot(r, to, def->name, JSON_ARRAY));
	if (s->type == SCHEMA_MAP)
		return add_entry(r, s->item, f, slot(r, to, def->name, JSON_OBJECT));
	struct json *v = decode_value(r, s, f);
	if (!v)
		return -1;
	if (is_zero(v) && !zero_counts(def) && s->type != SCHEMA_BYTES)
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

	while ((rc = take_field(r, &in, &f)) > 0) {
		const struct schema_field *found = NULL;
		bool embedded = false;
		for (size_t i = 0; i < s->nfields && !found; i++) {
			if (number_of(s->fields[i].proto, prefix) == f.number)
				found = &s->fields[i];
			embedded |= embedded_in(s->fields[i].proto, prefix) == f.number;
		}
		if (found) {
			if (add_field(r, found, &f, to))
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
		bad(&r, "does not begin with \"k8s\"");
		return NULL;
	}
	in = str_sub(in, 4, in.n);
	if (pick(&r, in, 1, &meta) || pick(&r, in, 2, &raw) || pick(&r, meta.bytes, 1, &version) ||
	    pick(&r, meta.bytes, 2, &kind))
		return NULL;
	const struct schema *s = schema_find_kind(version.bytes, kind.bytes);
	if (!s && str_is(kind.bytes, "DeleteOptions"))
		s = schema_find(STR("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"));
	if (!s || s->type != SCHEMA_OBJECT || !str_is_utf8(kind.bytes)) {
		bad(&r, "unknown apiVersion or kind");
		return NULL;
	}
	struct json *o = json_new(a, JSON_OBJECT);
	json_set_str(a, o, "kind", kind.bytes);
	json_set_str(a, o, "apiVersion", version.bytes);
	return decode_object(&r, s, raw.bytes, o, 0) ? NULL : o;
}
