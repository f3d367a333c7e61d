/*
 * What server and client share: header and query look-ups, status texts, and the reference
 * counted blocks that answers are made of. Must never keep state of its own. Any thread; blocks
 * are freed by whoever drops the last reference.
 */
#include "lib/http/http.h"

#include <stdatomic.h>

#include "lib/base/codec.h"

struct str http_header(const struct http_headers *h, const char *name)
{
	struct str want = str_c(name);

	for (size_t i = 0; i < h->n; i++) {
		if (str_ieq(h->v[i].name, want))
			return h->v[i].value;
	}
	return STR_NONE;
}

bool http_header_has(const struct http_headers *h, const char *name, const char *token)
{
	struct str want_name = str_c(name), want = str_c(token), part;

	for (size_t i = 0; i < h->n; i++) {
		if (!str_ieq(h->v[i].name, want_name))
			continue;
		struct str rest = h->v[i].value;
		while (str_next(&rest, ',', &part)) {
			if (str_ieq(str_trim(part), want))
				return true;
		}
	}
	return false;
}

/* Takes the next `name=value` off the query; false at its end. */
static bool next_pair(struct str query, size_t *pos, struct str *ret_name, struct str *ret_value)
{
	if (*pos >= query.n)
		return false;
	struct str rest = str_sub(query, *pos, query.n - *pos), pair, tail;
	bool more = str_cut(rest, '&', &pair, &tail);

	*pos += pair.n + (more ? 1 : 0);
	if (!str_cut(pair, '=', ret_name, ret_value)) {
		*ret_name = pair;
		*ret_value = (struct str){"", 0};
	}
	return true;
}

static bool needs_unescape(struct str s)
{
	return memchr(s.p, '%', s.n) || memchr(s.p, '+', s.n);
}

/* Unescaped copy in `a`; what is not valid percent coding stands for nothing at all. */
static struct str unescape(struct arena *a, struct str s)
{
	AUTO(buf) struct buf b = {0};

	if (!s.n)
		return (struct str){"", 0};
	if (!needs_unescape(s))
		return s;
	if (url_unescape(s, true, &b))
		return STR_NONE;
	return b.n ? arena_str(a, buf_view(&b)) : (struct str){"", 0};
}

struct str http_query_next(struct arena *a, struct str query, const char *name, size_t *pos)
{
	struct str key, value;

	while (next_pair(query, pos, &key, &value)) {
		if (str_is(unescape(a, key), name))
			return unescape(a, value);
	}
	return STR_NONE;
}

struct str http_query(struct arena *a, struct str query, const char *name)
{
	size_t pos = 0;

	return http_query_next(a, query, name, &pos);
}

bool http_flag(struct str value)
{
	static const char no[] = "false";

	if (!value.p || str_is(value, "0"))
		return false;
	if (value.n != sizeof(no) - 1)
		return true;
	for (size_t i = 0; i < value.n; i++)
		if ((value.p[i] | 0x20) != no[i])
			return true;
	return false;
}

bool http_query_flag(struct arena *a, struct str query, const char *name)
{
	return http_flag(http_query(a, query, name));
}

static const struct {
	int status;
	const char *text;
} status_texts[] = {
	{100, "Continue"},
	{101, "Switching Protocols"},
	{200, "OK"},
	{201, "Created"},
	{202, "Accepted"},
	{204, "No Content"},
	{206, "Partial Content"},
	{301, "Moved Permanently"},
	{302, "Found"},
	{303, "See Other"},
	{304, "Not Modified"},
	{307, "Temporary Redirect"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{410, "Gone"},
	{411, "Length Required"},
	{412, "Precondition Failed"},
	{413, "Request Entity Too Large"},
	{414, "Request URI Too Long"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{421, "Misdirected Request"},
	{422, "Unprocessable Entity"},
	{426, "Upgrade Required"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(status_texts); i++) {
		if (status_texts[i].status == status)
			return status_texts[i].text;
	}
	return "Unknown";
}

/* ---- blocks ---- */

struct block *block_new(struct str data)
{
	struct block *b = xalloc(sizeof(*b) + data.n);

	if (data.n)
		memcpy(b + 1, data.p, data.n);
	b->data = (struct str){(char *)(b + 1), data.n};
	atomic_init(&b->refs, 1);
	return b;
}

static void free_taken(struct block *b)
{
	free(b->owner);
	free(b);
}

struct block *block_take(struct buf *from)
{
	struct block *b = xalloc(sizeof(*b));

	b->data = buf_view(from);
	b->owner = from->p;
	b->free_fn = free_taken;
	atomic_init(&b->refs, 1);
	*from = (struct buf){0};
	return b;
}

struct block *block_ref(struct block *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

void block_unref(struct block *b)
{
	if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (b->free_fn)
		b->free_fn(b);
	else
		free(b);
}
