/*
 * kubectl port-forward: pairs of streams (data, errors), each a connection of its own
 * (portforward_pair.c), over one connection of the client's. Must never keep a pair whose second
 * stream doesn't come. On the kubelet's loop; everything here is owned by the client's connection
 * and ends with it.
 */
#include "kubelet/portforward.h"

#include <string.h>

#include "kubelet/portforward-internal.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#define PAIR_NS (30 * NS_PER_S) /* for the second stream of a pair to come */
#define PAIRS_MAX 256
#define PORTS_MAX 16 /* by WebSocket channels */

/* ---- what goes out, and the end ---- */

void forward_flush(struct forward *f)
{
	struct buf *out = spdy_out(f->spdy);

	if (out->n)
		upgrade_write(f->up, buf_view(out));
	buf_reset(out);
}

void forward_send(struct forward *f, uint32_t stream, struct str data)
{
	AUTO(buf) struct buf text = {0};

	if (f->spdy) {
		spdy_send(f->spdy, stream, data);
		forward_flush(f);
	} else if (f->base64) {
		base64_encode(data, &text);
		upgrade_message(f->up, WS_TEXT, '0' + (int)stream - 1, buf_view(&text));
	} else {
		upgrade_message(f->up, WS_BINARY, (int)stream - 1, data);
	}
}

void forward_free(struct forward *f)
{
	LIST_FOREACH (it, &f->pairs) {
		f->paused = false; /* there is nobody left to wake */
		pair_free(CONTAINER_OF(it, struct pair, node));
	}
	loop_timer_cancel(f->k->loop, &f->start);
	spdy_free(f->spdy);
	free(f->pod);
	free(f->uid);
	free(f->netns);
	free(f);
}

/* ---- the client's side ---- */

static void on_late(struct loop *l, struct loop_timer *t)
{
	struct pair *p = CONTAINER_OF(t, struct pair, late);

	(void)l;
	if (p->error)
		pair_fail(p, "timed out waiting for streams");
	else
		pair_finish(p);
}

static struct pair *pair_find(struct forward *f, uint32_t stream)
{
	LIST_FOREACH (it, &f->pairs) {
		struct pair *p = CONTAINER_OF(it, struct pair, node);
		if (stream && (p->data == stream || p->error == stream))
			return p;
	}
	return NULL;
}

/* ---- SPDY ---- */

static int read_port(struct str s, uint16_t *ret)
{
	uint64_t n;

	if (str_to_u64(s, &n) || n < 1 || n > UINT16_MAX)
		return -1;
	*ret = (uint16_t)n;
	return 0;
}

/* Old clients give no number to their requests: the pair's streams follow each other then. */
static void request_of(const struct http_headers *h, uint32_t id, bool data, char out[REQUEST_MAX])
{
	struct str request = http_header(h, "requestid");

	if (request.n)
		snprintf(out, REQUEST_MAX, "%.*s", (int)MIN(request.n, REQUEST_MAX - 1U),
			 request.p);
	else
		snprintf(out, REQUEST_MAX, "stream %u", data ? id - 2 : id);
}

static void on_connect(struct loop *l, struct loop_timer *t)
{
	(void)l;
	pair_connect(CONTAINER_OF(t, struct pair, late), 0);
}

static bool on_opened(void *arg, uint32_t id, const struct http_headers *h)
{
	struct forward *f = arg;
	struct str type = http_header(h, "streamtype");
	bool data = str_is(type, "data");
	char request[REQUEST_MAX];
	struct pair *p = NULL;
	uint16_t port;

	if (read_port(http_header(h, "port"), &port) || (!data && !str_is(type, "error")))
		return false;
	request_of(h, id, data, request);
	LIST_FOREACH (it, &f->pairs) {
		struct pair *one = CONTAINER_OF(it, struct pair, node);
		if (!strcmp(one->request, request) && !(data ? one->data : one->error))
			p = one;
	}
	if (!p && f->npairs >= PAIRS_MAX)
		return false;
	if (!p) {
		p = pair_new(f, port);
		memcpy(p->request, request, sizeof(request));
		loop_timer_set(f->k->loop, &p->late, PAIR_NS, on_late);
	}
	*(data ? &p->data : &p->error) = id;
	if (data)
		p->port = port;
	/* In a turn of its own: the streams' replies go out first. */
	if (p->data && p->error)
		loop_timer_set(f->k->loop, &p->late, 0, on_connect);
	return true;
}

static void on_stream_data(void *arg, uint32_t id, struct str data)
{
	struct pair *p = pair_find(arg, id);

	if (p && p->data == id)
		pair_input(p, data);
}

static void on_stream_end(void *arg, uint32_t id)
{
	struct pair *p = pair_find(arg, id);

	if (!p || p->data != id)
		return;
	p->in_ends = true;
	if (!p->connecting)
		pair_watch(p);
}

static void on_stream_reset(void *arg, uint32_t id)
{
	struct forward *f = arg;
	struct pair *p = pair_find(f, id);

	if (!p)
		return;
	/* The client has done with this connection; it still reads the errors to their end. */
	spdy_end(f->spdy, p->error);
	spdy_end(f->spdy, p->data);
	pair_free(p);
}

static const struct spdy_ops spdy_ops = {on_opened, on_stream_data, on_stream_end, on_stream_reset};

/* ---- channels ---- */

static int on_message(struct forward *f, struct str m)
{
	AUTO(buf) struct buf text = {0};
	struct str data = str_sub(m, 1, m.n);

	if (!m.n)
		return 0;
	unsigned channel = (unsigned char)m.p[0];
	if (f->base64) {
		if (base64_decode(data, &text))
			return -1;
		data = buf_view(&text);
		channel -= '0';
	}
	struct pair *p = pair_find(f, channel + 1);
	if (p && p->data == channel + 1)
		pair_input(p, data);
	return 0;
}

static void on_channels(struct loop *l, struct loop_timer *t)
{
	struct forward *f = CONTAINER_OF(t, struct forward, start);

	(void)l;
	/* Each channel begins with its port, little endian. */
	LIST_FOREACH (it, &f->pairs) {
		struct pair *p = CONTAINER_OF(it, struct pair, node);
		const char port[2] = {(char)(p->port & 0xff), (char)(p->port >> 8)};
		forward_send(f, p->data, (struct str){port, 2});
		forward_send(f, p->error, (struct str){port, 2});
		loop_timer_set(f->k->loop, &p->late, 0, on_connect);
	}
}

/* ---- the connection ---- */

static int on_data(void *arg, struct str data)
{
	struct forward *f = arg;
	int rc;

	if (!f->spdy)
		return on_message(f, data);
	rc = spdy_feed(f->spdy, data, &(struct err){0});
	forward_flush(f);
	return rc;
}

static void on_drained(void *arg)
{
	struct forward *f = arg;

	f->full = false;
	LIST_FOREACH (it, &f->pairs)
		pair_watch(CONTAINER_OF(it, struct pair, node));
}

static void on_gone(void *arg)
{
	forward_free(arg);
}

static const struct upgrade_ops upgrade_ops = {on_data, on_drained, on_gone};

static void reply(struct http_req *r, int status, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 text);
}

/* The ports that channels are for: ?ports=80&ports=81, or ?port=80,81. */
static int read_ports(struct forward *f, struct http_req *r)
{
	static const char *const names[] = {"ports", "port"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str value, one;
		size_t pos = 0;
		while ((value = http_query_next(&r->arena, r->query, names[i], &pos)).p) {
			while (str_next(&value, ',', &one)) {
				uint16_t port;
				if (f->npairs >= PORTS_MAX || read_port(one, &port))
					return -1;
				struct pair *p = pair_new(f, port);
				p->data = (uint32_t)(2 * f->npairs - 1);
				p->error = p->data + 1;
			}
		}
	}
	return f->npairs ? 0 : -1;
}

static struct pod *find_running(struct kubelet *k, struct str rest)
{
	struct str ns = STR_NONE, name = STR_NONE;
	struct pod *p;

	(void)(str_next(&rest, '/', &ns) && str_next(&rest, '/', &name));
	p = pod_named(k, ns, name);
	return p && p->obs.sandbox.state == PART_READY && !p->obs.torn_down ? p : NULL;
}

/* By name: the first is SPDY's own, the second the same in WebSocket messages. */
static const char *const ws_names[] = {"SPDY/3.1+portforward.k8s.io", "v4.channel.k8s.io",
				       "v4.base64.channel.k8s.io", NULL};
static const char *const spdy_names[] = {"portforward.k8s.io", NULL};

static void start(struct forward *f, struct http_req *r, enum upgrade_kind kind, int which)
{
	const char *const *names = kind == UPGRADE_WEBSOCKET ? ws_names : spdy_names;
	bool channels = kind == UPGRADE_WEBSOCKET && which != 0;

	f->base64 = channels && which == 2;
	if (channels && read_ports(f, r)) {
		reply(r, 400, STR("query parameter \"ports\" must name up to 16 ports"));
		forward_free(f);
		return;
	}
	f->up = upgrade_accept(f->k->loop, r,
			       &(struct upgrade_opts){.kind = kind,
						      .protocol = which < 0 ? NULL : names[which],
						      .ops = &upgrade_ops,
						      .arg = f});
	if (channels)
		loop_timer_set(f->k->loop, &f->start, 0, on_channels);
	else
		f->spdy = spdy_new(&spdy_ops, f);
}

void portforward_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	enum upgrade_kind kind = upgrade_asked(r);
	int which = upgrade_choose(r, kind, kind == UPGRADE_WEBSOCKET ? ws_names : spdy_names);
	const struct pod *pod = find_running(k, rest);
	struct forward *f;

	if (kind == UPGRADE_KIND_MAX || which == -2) {
		reply(r, which == -2 ? 403 : 400,
		      which == -2 ? STR("unable to upgrade: unable to negotiate protocol")
				  : STR("Upgrade request required"));
		return;
	}
	if (!pod) {
		reply(r, 404, STR("pod not found or not running"));
		return;
	}
	f = xalloc(sizeof(*f));
	*f = (struct forward){.k = k, .pod = xstrndup(pod->spec.name.p, pod->spec.name.n)};
	f->uid = xstrdup(pod->uid);
	if (!pod->spec.host_network)
		f->netns = xasprintf("%s/netns", pod->dir);
	list_init(&f->pairs);
	start(f, r, kind, which);
}
