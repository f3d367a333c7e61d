/* Questions and answers of anybody: read, answered, and searched for addresses. */
#include <stddef.h>
#include <stdint.h>

#include "proxy/dns_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json *no_service(void *ctx, struct arena *a, struct str ns, struct str name)
{
	(void)ctx;
	(void)a;
	(void)ns;
	(void)name;
	return NULL;
}

static struct dns_list no_slices(void *ctx, struct arena *a, struct str ns, struct str name)
{
	(void)ctx;
	(void)a;
	(void)ns;
	(void)name;
	return (struct dns_list){0};
}

static bool any(void *ctx, struct str ns)
{
	(void)ctx;
	return ns.n > 1;
}

static const struct json *nobody(void *ctx, struct arena *a, uint32_t ip)
{
	(void)ctx;
	(void)a;
	(void)ip;
	return NULL;
}

static struct dns_list none(void *ctx, struct arena *a, uint32_t ip)
{
	(void)ctx;
	(void)a;
	(void)ip;
	return (struct dns_list){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct dns_facts facts = {
		no_service, no_slices, any, nobody, none, NULL, {"cluster.local", 13}};
	AUTO(arena) struct arena a = {0};
	struct str m = arena_str(&a, (struct str){(const char *)data, n}), target = STR_NONE;
	struct dns_question q;
	struct dns_answer w;

	if (!n || dns_parse(&a, m, &q) != DNS_OK)
		return 0;
	dns_begin(&w, &q, q.room);
	dns_put_addresses_of(&w, STR("x.y"), m);
	(void)dns_answers(&a, m, q.id, q.raw);
	if (dns_resolve(&facts, &a, &q, &w, &target) == DNS_ANSWERED &&
	    dns_end(&w, &q).n > MAX(q.room, (size_t)DNS_UDP_MAX))
		__builtin_trap();
	buf_release(&w.out);
	return 0;
}
