/*
 * A client's bytes on a SPDY connection whose owner answers, ends and resets streams as they come:
 * whatever arrives, memory stays bounded and what is sent stays well-formed. The first byte says
 * how the rest is cut.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/http/spdy-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool opened(void *arg, uint32_t id, const struct http_headers *h)
{
	struct spdy *s = *(struct spdy **)arg;

	spdy_send(s, id, STR("welcome"));
	for (size_t i = 0; i < h->n; i++) {
		spdy_send(s, id, h->v[i].name);
		spdy_send(s, id, h->v[i].value);
	}
	return id % 5 != 0;
}

static void on_data(void *arg, uint32_t id, struct str text)
{
	struct spdy *s = *(struct spdy **)arg;

	spdy_send(s, id, text);
	if (text.n > 3 && text.p[0] == 'r')
		spdy_reset(s, id, SPDY_CANCEL);
	if (text.n > 3 && text.p[0] == 'e')
		spdy_end(s, id);
}

static void ended(void *arg, uint32_t id)
{
	spdy_end(*(struct spdy **)arg, id);
}

static void was_reset(void *arg, uint32_t id)
{
	spdy_send(*(struct spdy **)arg, id, STR("to nobody"));
}

static void check_sent(struct buf *out)
{
	size_t at = 0;

	while (at < out->n) {
		if (out->n - at < 8)
			abort();
		size_t len = spdy_get32(out->p + at + 4) & 0xffffff;
		if (len > out->n - at - 8)
			abort();
		at += 8 + len;
	}
	buf_reset(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct spdy_ops ops = {opened, on_data, ended, was_reset};
	struct spdy *s = NULL;
	struct err err = {0};
	size_t cut = n ? data[0] + 1U : 1;

	s = spdy_new(&ops, &s);
	for (size_t at = 1; at < n; at += cut) {
		struct str part = {(const char *)data + at, MIN(cut, n - at)};
		if (spdy_feed(s, part, &err))
			break;
		check_sent(spdy_out(s));
	}
	spdy_free(s);
	return 0;
}
