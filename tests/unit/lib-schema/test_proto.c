/* The protobuf form: messages as kubectl writes them, and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/schema/proto.h"

/* ---- a writer, for tests only ---- */

static void varint(struct buf *b, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		buf_putc(b, (char)(v | 128));
	buf_putc(b, (char)v);
}

static void number(struct buf *b, unsigned field, uint64_t v)
{
	varint(b, field << 3);
	varint(b, v);
}

static void bytes(struct buf *b, unsigned field, struct str s)
{
	varint(b, field << 3 | 2);
	varint(b, s.n);
	buf_str(b, s);
}

static void text(struct buf *b, unsigned field, const char *s)
{
	bytes(b, field, str_c(s));
}

/* Moves `inner` into `b` as a message. */
static void message(struct buf *b, unsigned field, struct buf *inner)
{
	bytes(b, field, buf_view(inner));
	buf_release(inner);
}

static void envelope(struct buf *out, const char *version, const char *kind, struct buf *raw)
{
	struct buf meta = {0};

	buf_put(out, "k8s", 4);
	text(&meta, 1, version);
	text(&meta, 2, kind);
	message(out, 1, &meta);
	message(out, 2, raw);
	text(out, 3, "");
	text(out, 4, "");
}

static void assert_decodes(struct buf *in, const char *json)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf got = {0};
	struct err err = {0};
	struct json *v = proto_decode(&a, buf_view(in), &err);

	if (!v)
		fail_msg("%s", err.msg);
	json_write_sorted(v, &got);
	assert_string_equal(buf_cstr(&got), json);
	buf_release(in);
}

void test_proto__go_zeros_are_absent(void **state)
{
	struct buf meta = {0}, raw = {0}, in = {0};

	(void)state;
	text(&meta, 1, "x");
	text(&meta, 2, "");
	text(&meta, 3, "");
	number(&meta, 7, 0);
	text(&meta, 8, ""); /* the zero time */
	message(&raw, 1, &meta);
	text(&raw, 2, "");
	text(&raw, 3, "");
	envelope(&in, "v1", "Namespace", &raw);
	assert_decodes(
		&in, "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"x\"},"
		     "\"spec\":{},\"status\":{}}");
}

void test_proto__maps_bytes_and_times(void **state)
{
	struct buf meta = {0}, time = {0}, entry = {0}, raw = {0}, in = {0};

	(void)state;
	number(&time, 1, 1700000000);
	message(&meta, 8, &time);
	text(&entry, 1, "k");
	text(&entry, 2, "v");
	message(&meta, 11, &entry);
	text(&entry, 1, "empty");
	message(&meta, 11, &entry);
	message(&raw, 1, &meta);
	text(&entry, 1, "file");
	bytes(&entry, 2, (struct str){"\0\xff", 2});
	message(&raw, 2, &entry);
	text(&raw, 3, "Opaque");
	envelope(&in, "v1", "Secret", &raw);
	assert_decodes(&in,
		       "{\"apiVersion\":\"v1\",\"data\":{\"file\":\"AP8=\"},\"kind\":\"Secret\","
		       "\"metadata\":{\"creationTimestamp\":\"2023-11-14T22:13:20Z\","
		       "\"labels\":{\"empty\":\"\",\"k\":\"v\"}},\"type\":\"Opaque\"}");
}

/* Nanoseconds since 1970 reach from 1677 to 2262; objects hold instants beyond. */
void test_proto__times_of_all_years(void **state)
{
	struct buf acquire = {0}, renew = {0}, spec = {0}, raw = {0}, in = {0};

	(void)state;
	number(&acquire, 1, (uint64_t)INT64_C(-62135596798));
	number(&acquire, 2, 5000);
	message(&spec, 3, &acquire);
	number(&renew, 1, UINT64_C(253402300799));
	message(&spec, 4, &renew);
	message(&raw, 2, &spec);
	envelope(&in, "coordination.k8s.io/v1", "Lease", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\","
			    "\"spec\":{\"acquireTime\":\"0001-01-01T00:00:02.000005Z\","
			    "\"renewTime\":\"9999-12-31T23:59:59.000000Z\"}}");
}

/* Volume sources stand in an embedded message; targetPort is a number or text. */
void test_proto__embedded_messages(void **state)
{
	struct buf raw = {0}, spec = {0}, volume = {0}, source = {0}, secret = {0}, in = {0};

	(void)state;
	text(&volume, 1, "data");
	text(&secret, 1, "creds");
	message(&source, 6, &secret);
	message(&volume, 2, &source);
	message(&spec, 1, &volume);
	number(&spec, 11, 0); /* hostNetwork */
	number(&spec, 4, 0);  /* terminationGracePeriodSeconds: a pointer */
	message(&raw, 2, &spec);
	envelope(&in, "v1", "Pod", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{"
			    "\"terminationGracePeriodSeconds\":0,\"volumes\":[{\"name\":\"data\","
			    "\"secret\":{\"secretName\":\"creds\"}}]}}");
}

void test_proto__service_ports(void **state)
{
	struct buf raw = {0}, spec = {0}, port = {0}, target = {0}, in = {0};

	(void)state;
	text(&port, 1, "http");
	text(&port, 2, "TCP");
	number(&port, 3, 80);
	number(&target, 1, 1);
	number(&target, 2, 0);
	text(&target, 3, "web");
	message(&port, 4, &target);
	number(&port, 5, 0);
	message(&spec, 1, &port);
	message(&raw, 2, &spec);
	envelope(&in, "v1", "Service", &raw);
	assert_decodes(
		&in,
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"spec\":{\"ports\":[{"
		"\"name\":\"http\",\"port\":80,\"protocol\":\"TCP\",\"targetPort\":\"web\"}]}}");
}

void test_proto__broken_messages_are_refused(void **state)
{
	static const struct str bad[] = {
		{"", 0},
		{"k8s", 3},
		{"k8s\0\x0a\x05", 6},
		{"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 15},
		{"k8s\0\x0a\x02\x0a\x00", 8},
		{"{\"kind\":\"Pod\"}", 14},
	};
	AUTO(arena) struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};
		assert_null(proto_decode(&a, bad[i], &err));
		assert_int_equal(err.code, ERR_BAD_REQUEST);
	}
}

/* Every prefix and every flipped byte of a message is answered, not read beyond. */
void test_proto__torn_messages(void **state)
{
	struct buf raw = {0}, spec = {0}, volume = {0}, in = {0};

	(void)state;
	text(&volume, 1, "data");
	message(&spec, 1, &volume);
	number(&spec, 4, 30);
	message(&raw, 2, &spec);
	envelope(&in, "v1", "Pod", &raw);
	for (size_t n = 0; n < in.n; n++) {
		AUTO(arena) struct arena a = {0};
		char *copy = malloc(n ? n : 1);
		memcpy(copy, in.p, n);
		proto_decode(&a, (struct str){copy, n}, NULL);
		free(copy);
		for (int bit = 0; bit < 8; bit++) {
			in.p[n] ^= (char)(1 << bit);
			proto_decode(&a, buf_view(&in), NULL);
			in.p[n] ^= (char)(1 << bit);
		}
	}
	buf_release(&in);
}

/* The same name may be a pointer in one type and not in another. */
void test_proto__zeros_that_were_set(void **state)
{
	struct buf raw = {0}, spec = {0}, in = {0}, container = {0}, env = {0};

	(void)state;
	text(&spec, 5, "");
	message(&raw, 2, &spec);
	envelope(&in, "v1", "PersistentVolumeClaim", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"spec\":{"
			    "\"storageClassName\":\"\"}}");
	text(&spec, 6, "");
	message(&raw, 2, &spec);
	envelope(&in, "v1", "PersistentVolume", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolume\",\"spec\":{}}");
	text(&env, 1, "A");
	text(&env, 2, "");
	message(&container, 7, &env);
	message(&spec, 2, &container);
	message(&raw, 2, &spec);
	envelope(&in, "v1", "Pod", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"spec\":{\"containers\":[{"
			    "\"env\":[{\"name\":\"A\"}]}]}}");
	text(&spec, 1, "");
	number(&spec, 5, 0);
	message(&raw, 2, &spec);
	envelope(&in, "coordination.k8s.io/v1", "Lease", &raw);
	assert_decodes(&in,
		       "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"spec\":{"
		       "\"holderIdentity\":\"\",\"leaseTransitions\":0}}");
	text(&env, 1, "");
	number(&env, 2, 80);
	message(&spec, 3, &env);
	message(&raw, 2, &spec);
	envelope(&in, "v1", "Endpoints", &raw);
	assert_decodes(&in,
		       "{\"apiVersion\":\"v1\",\"kind\":\"Endpoints\",\"subsets\":[{\"ports\":[{"
		       "\"port\":80}]}]}");
	text(&env, 1, "");
	number(&env, 3, 80);
	message(&raw, 3, &env);
	envelope(&in, "discovery.k8s.io/v1", "EndpointSlice", &raw);
	assert_decodes(&in, "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\","
			    "\"ports\":[{\"name\":\"\",\"port\":80}]}");
}
