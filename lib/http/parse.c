/*
 * Reading HTTP/1.1 heads and chunked bodies. Strict where two readers of the same bytes could
 * disagree (that is how requests are smuggled): one length, CRLF only, no folded lines, no white
 * space around names, one Host. Must never read beyond its input or allocate by what a peer says.
 * Any thread; memory is the caller's arena.
 */
#include "lib/http/parse.h"

#define CHUNK_LINE_MAX 1024
#define TRAILER_MAX 8192

/* RFC 9110 token characters. */
static bool is_tchar(unsigned char c)
{
	static const char extra[] = "!#$%&'*+-.^_`|~";

	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(extra, c));
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_tchar((unsigned char)s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* Visible characters, blanks, and bytes beyond ASCII. */
static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

ptrdiff_t http_scan_head(struct http_scan *s, struct str in, int *ret_status)
{
	size_t limit = MIN(in.n, (size_t)HTTP_HEAD_MAX);

	while (s->at < limit) {
		const char *nl = memchr(in.p + s->at, '\n', limit - s->at);
		if (!nl) {
			s->at = limit;
			break;
		}
		size_t end = (size_t)(nl - in.p);
		s->at = end + 1;
		if (end == s->line || in.p[end - 1] != '\r') {
			*ret_status = 400;
			return -1;
		}
		if (end - s->line == 1)
			return (ptrdiff_t)s->at;
		s->line = s->at;
	}
	if (in.n < HTTP_HEAD_MAX)
		return 0;
	*ret_status = 431;
	return -1;
}

/* Takes the next line off; CR LF are already known to end it, a CR or NUL inside is refused. */
static int next_line(struct str *in, struct str *ret)
{
	const char *nl = memchr(in->p, '\n', in->n);
	size_t n = nl ? (size_t)(nl - in->p) : 0;

	if (!nl || n == 0 || in->p[n - 1] != '\r')
		return -1;
	*ret = (struct str){in->p, n - 1};
	*in = (struct str){in->p + n + 1, in->n - n - 1};
	return memchr(ret->p, '\r', ret->n) || memchr(ret->p, 0, ret->n) ? -1 : 0;
}

static struct str trim_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = (struct str){s.p + 1, s.n - 1};
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static int parse_fields(struct arena *a, struct str in, struct http_head *h)
{
	struct http_header found[HTTP_HEADERS_MAX];
	struct str line, name, value;
	size_t n = 0;

	for (;;) {
		if (next_line(&in, &line)) {
			h->status = 400;
			return -1;
		}
		if (line.n == 0)
			break;
		/* A folded line begins with a blank, so its "name" is no token. */
		if (!str_cut(line, ':', &name, &value) || !is_token(name) || !is_value(value)) {
			h->status = 400;
			return -1;
		}
		if (n == HTTP_HEADERS_MAX) {
			h->status = 431;
			return -1;
		}
		found[n++] = (struct http_header){name, trim_blanks(value)};
	}
	h->headers.n = n;
	h->headers.v = n ? arena_dup(a, found, n * sizeof(found[0])) : NULL;
	return 0;
}

static int parse_content_length(struct str v, uint64_t *ret)
{
	if (v.n == 0 || v.n > 18)
		return -1;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -1;
	}
	return str_to_u64(v, ret);
}

struct framing {
	int lengths, encodings, hosts;
	bool close, keep;
};

/* One pass over the headers for all that decides how the message is framed. */
static int read_framing(struct http_head *h, struct framing *f)
{
	for (size_t i = 0; i < h->headers.n; i++) {
		const struct http_header *x = &h->headers.v[i];
		struct str rest = x->value, part;

		if (str_ieq(x->name, STR("content-length"))) {
			if (f->lengths++ || parse_content_length(x->value, &h->content_length))
				return -1;
			h->length = HTTP_LENGTH_KNOWN;
		} else if (str_ieq(x->name, STR("transfer-encoding"))) {
			if (f->encodings++ || !str_ieq(x->value, STR("chunked")))
				return -1;
			h->length = HTTP_LENGTH_CHUNKED;
		} else if (str_ieq(x->name, STR("host"))) {
			f->hosts++;
		} else if (str_ieq(x->name, STR("connection"))) {
			while (str_next(&rest, ',', &part)) {
				f->close |= str_ieq(str_trim(part), STR("close"));
				f->keep |= str_ieq(str_trim(part), STR("keep-alive"));
			}
		}
	}
	if (f->lengths && f->encodings)
		return -1;
	h->keep_alive = !f->close && (h->minor > 0 || f->keep);
	return f->encodings && h->minor == 0 ? -1 : 0;
}

static int parse_version(struct str v, int *ret_minor)
{
	if (v.n != 8 || !str_starts(v, STR("HTTP/")) || v.p[6] != '.')
		return 400;
	if (v.p[5] != '1' || (v.p[7] != '0' && v.p[7] != '1'))
		return 505;
	*ret_minor = v.p[7] - '0';
	return 0;
}

static bool is_target(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= 0x20 || c >= 0x7f)
			return false;
	}
	return s.n > 0;
}

static int parse_request_line(struct str line, struct http_head *h)
{
	struct str rest, version;

	if (!str_cut(line, ' ', &h->method, &rest) || !str_cut(rest, ' ', &h->target, &version))
		return 400;
	if (!is_token(h->method) || h->method.n > 32 || !is_target(h->target))
		return 400;
	/* "PRI * HTTP/2.0": the preface of a client that took us for an HTTP/2 server. */
	return parse_version(version, &h->minor);
}

int http_parse_request(struct arena *a, struct str head, struct http_head *ret)
{
	struct framing f = {0};
	struct str line;

	*ret = (struct http_head){.length = HTTP_LENGTH_NONE, .status = 400};
	if (next_line(&head, &line))
		return -1;
	int status = parse_request_line(line, ret);
	if (status) {
		ret->status = status;
		return -1;
	}
	if (parse_fields(a, head, ret))
		return -1;
	ret->status = 400;
	if (read_framing(ret, &f))
		return -1;
	if (f.hosts > 1 || (ret->minor == 1 && f.hosts == 0))
		return -1;
	struct str expect = http_header(&ret->headers, "Expect");
	if (expect.p && !str_ieq(expect, STR("100-continue"))) {
		ret->status = 417;
		return -1;
	}
	ret->expect_continue = expect.p && ret->minor > 0;
	ret->status = 0;
	return 0;
}

static int parse_status_line(struct str line, struct http_head *h)
{
	if (line.n < 12 || parse_version(str_sub(line, 0, 8), &h->minor) || line.p[8] != ' ')
		return -1;
	for (int i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return -1;
		h->status = h->status * 10 + (line.p[i] - '0');
	}
	if (h->status < 100 || (line.n > 12 && line.p[12] != ' '))
		return -1;
	return 0;
}

int http_parse_answer(struct arena *a, struct str head, struct str method, struct http_head *ret)
{
	struct framing f = {0};
	struct str line;

	*ret = (struct http_head){.length = HTTP_LENGTH_EOF};
	if (next_line(&head, &line) || parse_status_line(line, ret))
		return -1;
	int status = ret->status;
	if (parse_fields(a, head, ret) || read_framing(ret, &f))
		return -1;
	ret->status = status;
	if (status < 200 || status == 204 || status == 304 || str_is(method, "HEAD"))
		ret->length = HTTP_LENGTH_NONE;
	if (ret->length == HTTP_LENGTH_EOF)
		ret->keep_alive = false;
	return 0;
}

int http_split_target(struct str target, struct str *ret_path, struct str *ret_query)
{
	if (str_is(target, "*")) {
		*ret_path = target;
		*ret_query = (struct str){"", 0};
		return 0;
	}
	ptrdiff_t scheme = str_find(target, STR("://"));
	if (target.p[0] != '/' && scheme > 0) {
		struct str rest = str_sub(target, (size_t)scheme + 3, target.n);
		const char *slash = memchr(rest.p, '/', rest.n);
		if (!slash)
			return -1;
		target = str_sub(rest, (size_t)(slash - rest.p), rest.n);
	}
	if (target.n == 0 || target.p[0] != '/')
		return -1;
	if (memchr(target.p, '#', target.n))
		return -1;
	if (!str_cut(target, '?', ret_path, ret_query)) {
		*ret_path = target;
		*ret_query = (struct str){"", 0};
	}
	return 0;
}

/* Is there, among eight bytes, a control character or DEL? Bytes beyond ASCII may seem so, too. */
static bool eight_suspect(const char *p)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t v, del;

	memcpy(&v, p, 8);
	del = v ^ (ones * 0x7f);
	return ((v - ones * 0x20) | (del - ones)) & (ones * 0x80);
}

static void put_text(struct buf *b, struct str v)
{
	char *p = buf_reserve(b, v.n);
	size_t i = 0;

	for (; i + 8 <= v.n && !eight_suspect(v.p + i); i += 8)
		memcpy(p + i, v.p + i, 8);
	for (; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		p[i] = (char)((c < 0x20 && c != '\t') || c == 0x7f ? ' ' : c);
	}
	b->n += v.n;
}

/* A value with a line break would be a header of the attacker's own. */
void http_put_header(struct buf *b, struct str name, struct str value)
{
	put_text(b, name);
	buf_put(b, ": ", 2);
	put_text(b, value);
	buf_put(b, "\r\n", 2);
}

/* ---- chunked bodies ---- */

enum {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_LINE,
	TRAILER_LF,
	LAST_LF,
	DONE
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_step(struct http_chunks *c, char ch)
{
	int d = hex_digit(ch);

	if (d >= 0) {
		c->left = c->left << 4 | (uint64_t)d;
		return ++c->digits > 15 ? -1 : 0;
	}
	if (c->digits == 0)
		return -1;
	c->line = 0;
	if (ch == '\r')
		c->state = SIZE_LF;
	else if (ch == ';' || ch == ' ' || ch == '\t')
		c->state = EXTENSION;
	else
		return -1;
	return 0;
}

/* Inside a line whose text doesn't matter: bounded, CRLF only. */
static int skip_step(struct http_chunks *c, char ch, int then, size_t max)
{
	if (ch == '\r')
		c->state = then;
	else if (ch == '\n' || ch == 0 || ++c->line > max)
		return -1;
	return 0;
}

static int lf_step(struct http_chunks *c, char ch, int then)
{
	c->state = then;
	return ch == '\n' ? 0 : -1;
}

static int chunk_step(struct http_chunks *c, char ch)
{
	switch (c->state) {
	case SIZE:
		return size_step(c, ch);
	case EXTENSION:
		return skip_step(c, ch, SIZE_LF, CHUNK_LINE_MAX);
	case SIZE_LF:
		return lf_step(c, ch, c->left ? DATA : TRAILER);
	case DATA_CR:
		c->state = DATA_LF;
		return ch == '\r' ? 0 : -1;
	case DATA_LF:
		c->digits = 0;
		return lf_step(c, ch, SIZE);
	case TRAILER:
		c->state = ch == '\r' ? LAST_LF : TRAILER_LINE;
		return ch == '\n' || ch == 0 || ++c->line > TRAILER_MAX ? -1 : 0;
	case TRAILER_LINE:
		return skip_step(c, ch, TRAILER_LF, TRAILER_MAX);
	case TRAILER_LF:
		return lf_step(c, ch, TRAILER);
	case LAST_LF:
		return lf_step(c, ch, DONE);
	default:
		return -1;
	}
}

enum http_chunk http_chunks_next(struct http_chunks *c, struct str *in, struct str *ret_data)
{
	while (in->n && c->state != DONE) {
		if (c->state == DATA) {
			size_t n = (size_t)MIN((uint64_t)in->n, c->left);
			*ret_data = (struct str){in->p, n};
			*in = (struct str){in->p + n, in->n - n};
			c->left -= n;
			if (c->left == 0)
				c->state = DATA_CR;
			return HTTP_CHUNK_DATA;
		}
		if (chunk_step(c, in->p[0]))
			return HTTP_CHUNK_BAD;
		*in = (struct str){in->p + 1, in->n - 1};
	}
	return c->state == DONE ? HTTP_CHUNK_END : HTTP_CHUNK_MORE;
}
