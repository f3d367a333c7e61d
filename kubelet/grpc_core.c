/*
 * The health check of gRPC over the frames of HTTP/2. Must never keep more of a peer's bytes than
 * one frame and one small message: who probes talks to strangers. Pure; owns its two buffers.
 */
#include "kubelet/grpc_core.h"

#include "lib/base/pure.h"

#define FRAME_HEAD 9
#define FRAME_MAX 16384
#define MESSAGE_MAX 1024
#define AUTHORITY_MAX 100

enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7
};
enum frame_flag { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

struct frame {
	uint8_t type, flags;
	uint32_t stream;
	struct str payload;
};

static void put_frame(struct buf *out, enum frame_type type, unsigned flags, uint32_t stream,
		      struct str payload)
{
	char head[FRAME_HEAD] = {(char)(payload.n >> 16),
				 (char)(payload.n >> 8),
				 (char)payload.n,
				 (char)type,
				 (char)flags,
				 0,
				 0,
				 0,
				 (char)stream};

	buf_put(out, head, sizeof(head));
	buf_str(out, payload);
}

/* A header that isn't indexed, its value as it is; all are shorter than 127 bytes. */
static void put_value(struct buf *out, struct str value)
{
	buf_putc(out, (char)value.n);
	buf_str(out, value);
}

void grpc_request(struct str authority, struct str service, struct buf *out)
{
	AUTO(buf) struct buf head = {0}, body = {0};

	authority = str_sub(authority, 0, AUTHORITY_MAX);
	service = str_sub(service, 0, GRPC_SERVICE_MAX);
	buf_puts(&head, "\x83\x86\x04"); /* POST, http, and the path */
	put_value(&head, STR("/grpc.health.v1.Health/Check"));
	buf_puts(&head, "\x01");
	put_value(&head, authority);
	buf_puts(&head, "\x0f\x10"); /* content-type */
	put_value(&head, STR("application/grpc"));
	buf_puts(&head, "\x0f\x2b"); /* user-agent */
	put_value(&head, STR("kube-probe/1.32"));
	buf_putc(&head, 0);
	put_value(&head, STR("te"));
	put_value(&head, STR("trailers"));

	size_t n = service.n ? service.n + 2 + (service.n > 127) : 0;
	buf_put(&body, (const char[]){0, 0, 0, (char)(n >> 8), (char)n}, 5);
	if (service.n) {
		buf_putc(&body, 0x0a);
		if (service.n > 127) {
			buf_putc(&body, (char)(service.n | 0x80));
			buf_putc(&body, (char)(service.n >> 7));
		} else {
			buf_putc(&body, (char)service.n);
		}
		buf_str(&body, service);
	}
	buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(out, FRAME_SETTINGS, 0, 0, STR(""));
	put_frame(out, FRAME_HEADERS, FLAG_END_HEADERS, 1, buf_view(&head));
	put_frame(out, FRAME_DATA, FLAG_END_STREAM, 1, buf_view(&body));
}

/* HealthCheckResponse: field 1 is a number, SERVING = 1. */
static enum grpc_verdict read_message(struct str m)
{
	return m.n >= 2 && m.p[0] == 0x08 && m.p[1] == 1 ? GRPC_SERVING : GRPC_UNHEALTHY;
}

static enum grpc_verdict on_data(struct grpc_call *c, const struct frame *f)
{
	struct str data = f->payload;

	if (f->flags & FLAG_PADDED) {
		size_t pad = data.n ? (unsigned char)data.p[0] : 0;
		if (!data.n || pad + 1 > data.n)
			return GRPC_BROKEN;
		data = str_sub(data, 1, data.n - 1 - pad);
	}
	if (c->message.n + data.n > MESSAGE_MAX)
		return GRPC_BROKEN;
	buf_str(&c->message, data);
	if (c->message.n < 5)
		return f->flags & FLAG_END_STREAM ? GRPC_BROKEN : GRPC_MORE;
	const unsigned char *p = (const unsigned char *)c->message.p;
	uint32_t n = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	if (p[0] || n > MESSAGE_MAX)
		return GRPC_BROKEN; /* compressed, which nobody asked for */
	if (c->message.n - 5 < n)
		return f->flags & FLAG_END_STREAM ? GRPC_BROKEN : GRPC_MORE;
	return read_message(str_sub(buf_view(&c->message), 5, n));
}

static enum grpc_verdict on_frame(struct grpc_call *c, const struct frame *f, struct buf *out)
{
	switch (f->type) {
	case FRAME_SETTINGS:
		if (!(f->flags & FLAG_ACK))
			put_frame(out, FRAME_SETTINGS, FLAG_ACK, 0, STR(""));
		return GRPC_MORE;
	case FRAME_PING:
		if (f->payload.n != 8)
			return GRPC_BROKEN;
		if (!(f->flags & FLAG_ACK))
			put_frame(out, FRAME_PING, FLAG_ACK, 0, f->payload);
		return GRPC_MORE;
	case FRAME_DATA:
		return f->stream == 1 ? on_data(c, f) : GRPC_BROKEN;
	case FRAME_HEADERS: /* the end without a message: the call failed */
		return f->flags & FLAG_END_STREAM ? GRPC_BROKEN : GRPC_MORE;
	case FRAME_RST_STREAM:
	case FRAME_GOAWAY:
		return GRPC_BROKEN;
	default:
		return GRPC_MORE;
	}
}

enum grpc_verdict grpc_feed(struct grpc_call *c, struct str data, struct buf *out)
{
	size_t at = 0;
	enum grpc_verdict v = GRPC_MORE;

	buf_str(&c->in, data);
	while (v == GRPC_MORE && c->in.n - at >= FRAME_HEAD) {
		const unsigned char *p = (const unsigned char *)c->in.p + at;
		size_t n = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
		struct frame f = {.type = p[3], .flags = p[4]};
		if (n > FRAME_MAX)
			return GRPC_BROKEN;
		if (c->in.n - at - FRAME_HEAD < n)
			break;
		f.stream = (uint32_t)(p[5] & 0x7f) << 24 | (uint32_t)p[6] << 16 |
			   (uint32_t)p[7] << 8 | p[8];
		f.payload = (struct str){(const char *)p + FRAME_HEAD, n};
		at += FRAME_HEAD + n;
		v = on_frame(c, &f, out);
	}
	buf_consume(&c->in, at);
	return v;
}

void grpc_release(struct grpc_call *c)
{
	buf_release(&c->in);
	buf_release(&c->message);
}
