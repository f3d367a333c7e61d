/*
 * SPDY/3.1: frames in and out, and which streams there are. Must never keep more of a peer's bytes
 * than one control frame: data goes on to the owner as it comes. Must never let one stream's
 * mistake end another: what concerns a stream resets it, only what breaks the framing ends the
 * connection. Pure; owned by whoever called spdy_new.
 *
 * A stream's life: opened (SYN_STREAM, our SYN_REPLY) ─ each side ends once ─ gone when both have,
 * or at the first RST_STREAM.
 */
#include "lib/base/map.h"
#include "lib/http/spdy-internal.h"

#include "lib/base/pure.h"

#define HEAD 8
#define CONTROL_MAX 32768 /* packed header blocks are the longest control frames */
#define CONTROL_BIT 0x80000000u
#define ID_MASK 0x7fffffffu
#define LENGTH_MASK 0xffffffu
#define DATA_MAX 0x8000u /* in one frame of ours, so that streams take turns */
#define FLAG_FIN 1
#define FLAG_ONE_WAY 2
#define VERSION 3

enum frame_type {
	SYN_STREAM = 1,
	SYN_REPLY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PING = 6,
	GOAWAY = 7,
	HEADERS = 8,
	WINDOW_UPDATE = 9,
};

struct stream {
	uint32_t id;
	bool ended, theirs_ended;
};

struct spdy {
	const struct spdy_ops *ops;
	void *arg;
	struct map streams; /* by the four bytes of their number */
	uint32_t last;      /* the highest number seen */
	bool going;         /* one of us said GOAWAY: no more streams */
	bool broken;
	/* the data frame that is being passed on */
	uint32_t data_id;
	size_t data_left;
	bool data_fin;
	struct buf in, out;
	struct spdy_block block;
};

static struct str key_of(const uint32_t *id)
{
	return (struct str){(const char *)id, sizeof(*id)};
}

static struct stream *find(const struct spdy *s, uint32_t id)
{
	return map_get(&s->streams, key_of(&id));
}

static void forget(struct spdy *s, uint32_t id)
{
	free(map_del(&s->streams, key_of(&id)));
}

struct spdy *spdy_new(const struct spdy_ops *ops, void *arg)
{
	struct spdy *s = xalloc(sizeof(*s));

	s->ops = ops;
	s->arg = arg;
	return s;
}

void spdy_free(struct spdy *s)
{
	struct map_iter it = {0};

	if (!s)
		return;
	while (map_next(&s->streams, &it))
		free(it.value);
	map_release(&s->streams);
	spdy_block_release(&s->block);
	buf_wipe(&s->in);
	buf_wipe(&s->out);
	free(s);
}

struct buf *spdy_out(struct spdy *s)
{
	return &s->out;
}

/* ---- what goes out ---- */

static void put_control(struct buf *out, enum frame_type type, unsigned flags, size_t n)
{
	spdy_put32(out, CONTROL_BIT | VERSION << 16 | (uint32_t)type);
	spdy_put32(out, flags << 24 | (uint32_t)n);
}

static void put_pair(struct spdy *s, enum frame_type type, uint32_t a, uint32_t b)
{
	put_control(&s->out, type, 0, 8);
	spdy_put32(&s->out, a);
	spdy_put32(&s->out, b);
}

static void put_reply(struct spdy *s, uint32_t id)
{
	AUTO(buf) struct buf block = {0};

	spdy_block_write(&s->block, &(struct http_headers){0}, &block);
	put_control(&s->out, SYN_REPLY, 0, 4 + block.n);
	spdy_put32(&s->out, id);
	buf_str(&s->out, buf_view(&block));
}

void spdy_send(struct spdy *s, uint32_t id, struct str data)
{
	const struct stream *t = find(s, id);

	while (t && !t->ended && data.n) {
		size_t n = MIN(data.n, DATA_MAX);
		spdy_put32(&s->out, id);
		spdy_put32(&s->out, (uint32_t)n);
		buf_put(&s->out, data.p, n);
		data = str_sub(data, n, data.n);
	}
}

void spdy_end(struct spdy *s, uint32_t id)
{
	struct stream *t = find(s, id);

	if (!t || t->ended)
		return;
	t->ended = true;
	spdy_put32(&s->out, id);
	spdy_put32(&s->out, (uint32_t)FLAG_FIN << 24);
	if (t->theirs_ended)
		forget(s, id);
}

void spdy_reset(struct spdy *s, uint32_t id, enum spdy_status status)
{
	if (!find(s, id))
		return;
	forget(s, id);
	put_pair(s, RST_STREAM, id, status);
}

struct str spdy_nothing(void)
{
	return (struct str){"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x00", 12};
}

static int broken(struct spdy *s, struct err *err, const char *why)
{
	s->broken = true;
	s->going = true;
	put_pair(s, GOAWAY, s->last, 1);
	return err_set(err, ERR_PARSE, "SPDY: %s", why);
}

/* ---- what comes in ---- */

static void their_end(struct spdy *s, uint32_t id)
{
	struct stream *t = find(s, id);

	if (!t || t->theirs_ended)
		return;
	t->theirs_ended = true;
	if (t->ended)
		forget(s, id);
	s->ops->ended(s->arg, id);
}

static int on_syn_stream(struct spdy *s, struct str body, unsigned flags, struct err *err)
{
	struct http_headers h;
	struct stream *t;

	if (body.n < 10)
		return broken(s, err, "SYN_STREAM is too short");
	uint32_t id = spdy_get32(body.p) & ID_MASK;
	if (spdy_block_read(&s->block, str_sub(body, 10, body.n), &h, err)) {
		(void)broken(s, NULL, "");
		return err_wrap(err, "SPDY");
	}
	if (s->going)
		return 0;
	if (!(id & 1) || id <= s->last)
		return broken(s, err, "a stream's number is not the client's to give");
	s->last = id;
	if (s->streams.n >= SPDY_STREAMS_MAX) {
		put_pair(s, RST_STREAM, id, SPDY_REFUSED_STREAM);
		return 0;
	}
	t = xalloc(sizeof(*t));
	*t = (struct stream){.id = id, .ended = (flags & FLAG_ONE_WAY) != 0};
	(void)map_set(&s->streams, key_of(&id), t);
	/* First of all: peers drop what comes before the reply. */
	if (!t->ended)
		put_reply(s, id);
	if (!s->ops->opened(s->arg, id, &h)) {
		spdy_reset(s, id, SPDY_REFUSED_STREAM);
		return 0;
	}
	if (flags & FLAG_FIN)
		their_end(s, id);
	return 0;
}

/* Frames of the peer's that only matter for the state of the packed headers, and their end. */
static int on_headers(struct spdy *s, struct str body, unsigned flags, struct err *err)
{
	struct http_headers h;

	if (body.n < 4)
		return broken(s, err, "a frame with headers is too short");
	if (spdy_block_read(&s->block, str_sub(body, 4, body.n), &h, err)) {
		(void)broken(s, NULL, "");
		return err_wrap(err, "SPDY");
	}
	if (flags & FLAG_FIN)
		their_end(s, spdy_get32(body.p) & ID_MASK);
	return 0;
}

static int on_rst(struct spdy *s, struct str body, struct err *err)
{
	if (body.n != 8)
		return broken(s, err, "RST_STREAM has a wrong length");
	uint32_t id = spdy_get32(body.p) & ID_MASK;
	if (!find(s, id))
		return 0;
	forget(s, id);
	s->ops->reset(s->arg, id);
	return 0;
}

static int on_ping(struct spdy *s, struct str body, struct err *err)
{
	if (body.n != 4)
		return broken(s, err, "PING has a wrong length");
	/* Odd ones are the client's own and want to be seen again; others would answer ours. */
	if (spdy_get32(body.p) & 1) {
		put_control(&s->out, PING, 0, 4);
		buf_str(&s->out, body);
	}
	return 0;
}

static int on_control(struct spdy *s, struct str head, struct str body, struct err *err)
{
	uint32_t first = spdy_get32(head.p);
	unsigned flags = spdy_get32(head.p + 4) >> 24;

	if ((first >> 16 & 0x7fff) != VERSION)
		return broken(s, err, "not version 3");
	switch (first & 0xffff) {
	case SYN_STREAM:
		return on_syn_stream(s, body, flags, err);
	case SYN_REPLY:
	case HEADERS:
		return on_headers(s, body, flags, err);
	case RST_STREAM:
		return on_rst(s, body, err);
	case PING:
		return on_ping(s, body, err);
	case GOAWAY:
		s->going = true;
		return 0;
	case SETTINGS:
	case WINDOW_UPDATE:
	default:
		return 0;
	}
}

/* Passes on what there is of a data frame's bytes, and its end. */
static size_t pass_data(struct spdy *s, struct str data)
{
	size_t n = MIN(data.n, s->data_left);
	const struct stream *t = find(s, s->data_id);

	s->data_left -= n;
	if (n && t && !t->theirs_ended)
		s->ops->data(s->arg, s->data_id, str_sub(data, 0, n));
	if (!s->data_left && s->data_fin) {
		s->data_fin = false;
		their_end(s, s->data_id);
	}
	return n;
}

static int start_data(struct spdy *s, const char *head, struct err *err)
{
	uint32_t second = spdy_get32(head + 4);

	s->data_id = spdy_get32(head) & ID_MASK;
	s->data_left = second & LENGTH_MASK;
	s->data_fin = (second >> 24 & FLAG_FIN) != 0;
	if (!s->data_id)
		return broken(s, err, "data without a stream");
	if (!s->data_left)
		(void)pass_data(s, STR(""));
	return 0;
}

/* One frame off `rest`, or what there is of it. Returns the bytes it used, 0 = more is needed. */
static ptrdiff_t step(struct spdy *s, struct str rest, struct err *err)
{
	if (s->data_left)
		return (ptrdiff_t)pass_data(s, rest);
	if (rest.n < HEAD)
		return 0;
	if (!(spdy_get32(rest.p) & CONTROL_BIT))
		return start_data(s, rest.p, err) ? -1 : HEAD;
	size_t n = spdy_get32(rest.p + 4) & LENGTH_MASK;
	if (n > CONTROL_MAX)
		return broken(s, err, "a control frame is too long");
	if (rest.n < HEAD + n)
		return 0;
	return on_control(s, str_sub(rest, 0, HEAD), str_sub(rest, HEAD, n), err)
		       ? -1
		       : (ptrdiff_t)(HEAD + n);
}

int spdy_feed(struct spdy *s, struct str data, struct err *err)
{
	ptrdiff_t used;
	size_t at = 0;
	struct str all = data;

	if (s->broken)
		return err_set(err, ERR_PARSE, "SPDY: the connection is over");
	/* Only the rest of a control frame is ever kept, so most data is passed without a copy. */
	if (s->in.n) {
		buf_str(&s->in, data);
		all = buf_view(&s->in);
	}
	while (at < all.n && (used = step(s, str_sub(all, at, all.n), err)) != 0) {
		if (used < 0)
			return -1;
		at += (size_t)used;
	}
	if (s->in.n)
		buf_consume(&s->in, at);
	else
		buf_str(&s->in, str_sub(all, at, all.n));
	return 0;
}
