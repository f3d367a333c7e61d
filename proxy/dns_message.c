/* Reading questions and writing answers. Pure; memory is the caller's arena and the answer's
 * buffer. */
#include "proxy/dns_message.h"

#include "lib/base/pure.h"

enum {
	HEADER = 12,
	FLAG_ANSWER = 0x8000,
	FLAG_AUTHORITATIVE = 0x0400,
	FLAG_TRUNCATED = 0x0200,
	FLAG_WANTS_RECURSION = 0x0100,
	FLAG_RECURSES = 0x0080,
	OPCODE = 0x7800,
	CLASS_IN = 1,
	LABEL_MAX = 63,
	TTL_MAX = 30,        /* of what is copied from others' answers */
	AT_QUESTION = 0xc00c /* a pointer to the question's name */
};

static unsigned get16(struct str s, size_t at)
{
	return (unsigned)(unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1];
}

/* ---- reading ---- */

/* The name at *at, dotted and in lower case; -1 when it is malformed or points elsewhere. */
static int read_name(struct arena *a, struct str m, size_t *at, struct str *ret)
{
	char *text = arena_alloc(a, DNS_NAME_MAX + 2);
	size_t n = 0;

	for (;;) {
		if (*at >= m.n)
			return -1;
		size_t len = (unsigned char)m.p[(*at)++];
		if (!len)
			break;
		if (len > LABEL_MAX || len > m.n - *at || n + len + 1 > DNS_NAME_MAX + 1)
			return -1;
		if (n)
			text[n++] = '.';
		for (size_t i = 0; i < len; i++) {
			char c = m.p[*at + i];

			/* A dot or NUL inside a label would be another name than it looks. */
			if (c == '.' || !c)
				return -1;
			text[n++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
		}
		*at += len;
	}
	if (n > DNS_NAME_MAX)
		return -1;
	*ret = (struct str){text, n};
	return 0;
}

/* The OPT record among the additional ones says how much the asker takes. */
static void read_edns(struct str m, size_t at, struct dns_question *q)
{
	if (get16(m, 6) || get16(m, 8) || get16(m, 10) != 1 || m.n - at < 11 || m.p[at] ||
	    get16(m, at + 1) != DNS_OPT)
		return;
	q->edns = true;
	q->room = MIN(MAX(get16(m, at + 3), (unsigned)DNS_UDP_MAX), (unsigned)DNS_EDNS_MAX);
}

int dns_parse(struct arena *a, struct str m, struct dns_question *ret)
{
	size_t at = HEADER;

	*ret = (struct dns_question){.room = DNS_UDP_MAX};
	if (m.n < HEADER)
		return -1;
	ret->id = (uint16_t)get16(m, 0);
	ret->flags = (uint16_t)get16(m, 2);
	if (ret->flags & FLAG_ANSWER)
		return -1;
	if (ret->flags & OPCODE)
		return DNS_NOT_DONE;
	if (get16(m, 4) != 1 || read_name(a, m, &at, &ret->name) || m.n - at < 4)
		return DNS_BAD_FORMAT;
	ret->type = (uint16_t)get16(m, at);
	ret->class = (uint16_t)get16(m, at + 2);
	ret->raw = str_sub(m, HEADER, at + 4 - HEADER);
	read_edns(m, at + 4, ret);
	return ret->class == CLASS_IN ? DNS_OK : DNS_REFUSED;
}

bool dns_answers(struct arena *a, struct str m, uint16_t id, struct str raw_question)
{
	struct str theirs, ours;
	size_t at = HEADER, from = 0;

	if (m.n < HEADER || get16(m, 0) != id || !(get16(m, 2) & FLAG_ANSWER) || get16(m, 4) != 1 ||
	    read_name(a, m, &at, &theirs) || m.n - at < 4 ||
	    read_name(a, raw_question, &from, &ours))
		return false;
	return str_eq(theirs, ours) && str_eq(str_sub(m, at, 4), str_sub(raw_question, from, 4));
}

/* Behind the name at `at`, which may end in a pointer; 0 = malformed. */
static size_t skip_name(struct str m, size_t at)
{
	while (at < m.n) {
		size_t len = (unsigned char)m.p[at++];

		if (!len)
			return at;
		if (len >= 0xc0)
			return at < m.n ? at + 1 : 0;
		at += len;
	}
	return 0;
}

/* ---- writing ---- */

static void put16(struct buf *b, unsigned v)
{
	buf_putc(b, (char)(v >> 8 & 0xff));
	buf_putc(b, (char)(v & 0xff));
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffff);
}

static void put_name(struct buf *b, struct str name)
{
	struct str label;

	if (!name.p) {
		put16(b, AT_QUESTION);
		return;
	}
	while (name.n && str_next(&name, '.', &label)) {
		size_t n = MIN(label.n, (size_t)LABEL_MAX);

		if (!n)
			continue;
		buf_putc(b, (char)n);
		buf_put(b, label.p, n);
	}
	buf_putc(b, 0);
}

void dns_begin(struct dns_answer *w, const struct dns_question *q, size_t max)
{
	*w = (struct dns_answer){.max = MAX(max, (size_t)DNS_UDP_MAX)};
	for (int i = 0; i < HEADER; i++)
		buf_putc(&w->out, 0);
	buf_str(&w->out, q->raw);
}

/* Name, type, class and time to live; the length of what follows is filled in by record_end. */
static size_t record_begin(struct dns_answer *w, struct str name, enum dns_type type, uint32_t ttl)
{
	put_name(&w->out, name);
	put16(&w->out, type);
	put16(&w->out, CLASS_IN);
	put32(&w->out, ttl);
	put16(&w->out, 0);
	return w->out.n;
}

static void record_end(struct dns_answer *w, size_t before, size_t data, unsigned *count)
{
	size_t n = w->out.n - data;

	/* An OPT record of eleven bytes is still to come. */
	if (w->truncated || w->out.n + 11 > w->max) {
		w->out.n = before;
		w->truncated = true;
		return;
	}
	w->out.p[data - 2] = (char)(n >> 8);
	w->out.p[data - 1] = (char)(n & 0xff);
	(*count)++;
}

void dns_ask(struct buf *out, uint16_t id, struct str name, uint16_t type)
{
	const unsigned head[] = {id, FLAG_WANTS_RECURSION, 1, 0, 0, 0};

	for (size_t i = 0; i < ARRAY_LEN(head); i++)
		put16(out, head[i]);
	put_name(out, name);
	put16(out, type);
	put16(out, CLASS_IN);
}

static void put_address(struct dns_answer *w, struct str name, unsigned type, uint32_t ttl,
			struct str address)
{
	size_t before = w->out.n, data = record_begin(w, name, (enum dns_type)type, ttl);

	buf_str(&w->out, address);
	record_end(w, before, data, &w->answers);
}

void dns_put_addresses_of(struct dns_answer *w, struct str name, struct str m)
{
	size_t at = HEADER;

	if (m.n < HEADER || get16(m, 4) != 1 || !(at = skip_name(m, at)))
		return;
	at += 4;
	for (size_t n = get16(m, 6); n && (at = skip_name(m, at)) && m.n - at >= 10; n--) {
		unsigned type = get16(m, at), size = get16(m, at + 8);
		uint32_t ttl = (uint32_t)get16(m, at + 4) << 16 | get16(m, at + 6);

		at += 10;
		if (size > m.n - at)
			return;
		if ((type == DNS_A && size == 4) || (type == DNS_AAAA && size == 16))
			put_address(w, name, type, MIN(ttl, (uint32_t)TTL_MAX),
				    str_sub(m, at, size));
		at += size;
	}
}

static void put_a(struct dns_answer *w, struct str name, uint32_t ttl, uint32_t ip, unsigned *count)
{
	size_t before = w->out.n, data = record_begin(w, name, DNS_A, ttl);

	put32(&w->out, ip);
	record_end(w, before, data, count);
}

void dns_put_a(struct dns_answer *w, struct str name, uint32_t ttl, uint32_t ip)
{
	put_a(w, name, ttl, ip, &w->answers);
}

/* What is only beside the answer may be missing without the answer being incomplete. */
void dns_also_a(struct dns_answer *w, struct str name, uint32_t ttl, uint32_t ip)
{
	bool was = w->truncated;

	put_a(w, name, ttl, ip, &w->additionals);
	w->truncated = was;
}

void dns_put_name(struct dns_answer *w, struct str name, enum dns_type type, uint32_t ttl,
		  struct str target)
{
	size_t before = w->out.n, data = record_begin(w, name, type, ttl);

	put_name(&w->out, target);
	record_end(w, before, data, &w->answers);
}

void dns_put_srv(struct dns_answer *w, uint32_t ttl, uint16_t weight, uint16_t port,
		 struct str target)
{
	size_t before = w->out.n, data = record_begin(w, STR_NONE, DNS_SRV, ttl);

	put16(&w->out, 0);
	put16(&w->out, weight);
	put16(&w->out, port);
	put_name(&w->out, target);
	record_end(w, before, data, &w->answers);
}

void dns_put_txt(struct dns_answer *w, uint32_t ttl, struct str text)
{
	size_t before = w->out.n, data = record_begin(w, STR_NONE, DNS_TXT, ttl);
	size_t n = MIN(text.n, (size_t)255);

	buf_putc(&w->out, (char)n);
	buf_put(&w->out, text.p, n);
	record_end(w, before, data, &w->answers);
}

void dns_put_soa(struct dns_answer *w, struct str zone, uint32_t ttl, bool authority)
{
	size_t before = w->out.n, data = record_begin(w, zone, DNS_SOA, ttl);
	AUTO(arena) struct arena a = {0};

	put_name(&w->out, arena_strf(&a, "ns.dns.%.*s", STR_ARG(zone)));
	put_name(&w->out, arena_strf(&a, "hostmaster.%.*s", STR_ARG(zone)));
	put32(&w->out, 1);    /* serial */
	put32(&w->out, 7200); /* refresh, retry, expire: nobody transfers this zone */
	put32(&w->out, 1800);
	put32(&w->out, 86400);
	put32(&w->out, ttl); /* how long "there is none" may be remembered */
	record_end(w, before, data, authority ? &w->authorities : &w->answers);
}

static void put_opt(struct dns_answer *w)
{
	buf_putc(&w->out, 0);
	put16(&w->out, DNS_OPT);
	put16(&w->out, DNS_EDNS_MAX);
	put32(&w->out, 0);
	put16(&w->out, 0);
	w->additionals++;
}

struct str dns_end(struct dns_answer *w, const struct dns_question *q)
{
	unsigned flags = FLAG_ANSWER | FLAG_RECURSES | (q->flags & FLAG_WANTS_RECURSION) |
			 (w->authoritative ? FLAG_AUTHORITATIVE : 0) |
			 (w->truncated ? FLAG_TRUNCATED : 0) | w->code;
	struct buf head = {0};

	if (q->edns)
		put_opt(w);
	put16(&head, q->id);
	put16(&head, flags);
	put16(&head, q->raw.n ? 1 : 0);
	put16(&head, w->answers);
	put16(&head, w->authorities);
	put16(&head, w->additionals);
	for (size_t i = 0; i < HEADER; i++)
		w->out.p[i] = head.p[i];
	buf_release(&head);
	return buf_view(&w->out);
}
