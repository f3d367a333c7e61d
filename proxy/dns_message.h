/*
 * DNS messages: one question in, answers out. What arrives is hostile: every length is checked,
 * compression is refused in questions, nothing is allocated by a number from the wire. Pure.
 * Specification: RFC 1035, RFC 2782 (SRV), RFC 6891 (EDNS), RFC 2308 (negative answers).
 */
#ifndef PLUMB_PROXY_DNS_MESSAGE_H
#define PLUMB_PROXY_DNS_MESSAGE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
	DNS_ANY = 255
};
enum dns_code {
	DNS_OK = 0,
	DNS_BAD_FORMAT = 1,
	DNS_FAILED = 2,
	DNS_NO_NAME = 3,
	DNS_NOT_DONE = 4,
	DNS_REFUSED = 5
};
enum { DNS_MESSAGE_MAX = 65535, DNS_UDP_MAX = 512, DNS_EDNS_MAX = 1232, DNS_NAME_MAX = 253 };

struct dns_question {
	uint16_t id, type, class, flags;
	struct str name; /* lower case, dotted, without the last dot; in the arena */
	struct str raw;  /* the question as it came, in the message */
	bool edns;
	size_t room; /* bytes that the asker takes over UDP */
};

/* DNS_OK, or the code to answer with; ret->id is then set. A message that isn't a query at all (an
 * answer, or too short for a header) must not be answered: -1. */
int dns_parse(struct arena *a, struct str message, struct dns_question *ret);
/* Is `message` an answer to the very question that `q` is? */
bool dns_answers(struct arena *a, struct str message, uint16_t id, struct str raw_question);

/* A query of our own for `name`. */
void dns_ask(struct buf *out, uint16_t id, struct str name, uint16_t type);

struct dns_answer {
	struct buf out; /* the message */
	enum dns_code code;
	unsigned answers, authorities, additionals;
	bool authoritative, truncated;
	size_t max;
};

/* Begins an answer of at most max bytes; dns_end makes it a message. Release `out` afterwards. */
void dns_begin(struct dns_answer *w, const struct dns_question *q, size_t max);
/* Records: name STR_NONE = the question's. One that doesn't fit truncates the answer. Answers come
 * before authorities, those before additionals. */
void dns_put_a(struct dns_answer *w, struct str name, uint32_t ttl, uint32_t ip);
void dns_put_name(struct dns_answer *w, struct str name, enum dns_type type, uint32_t ttl,
		  struct str target);
void dns_put_srv(struct dns_answer *w, uint32_t ttl, uint16_t weight, uint16_t port,
		 struct str target);
/* One string of at most 255 bytes. */
void dns_put_txt(struct dns_answer *w, uint32_t ttl, struct str text);
void dns_put_soa(struct dns_answer *w, struct str zone, uint32_t ttl, bool authority);
/* The addresses (A, AAAA) that `message` answers with, whatever their names, as records of `name`.
 */
void dns_put_addresses_of(struct dns_answer *w, struct str name, struct str message);
/* An A record beside the answer. */
void dns_also_a(struct dns_answer *w, struct str name, uint32_t ttl, uint32_t ip);
struct str dns_end(struct dns_answer *w, const struct dns_question *q);

#endif
