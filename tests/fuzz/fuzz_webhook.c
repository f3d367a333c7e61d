/*
 * What webhooks answer and pages that come through the proxy: all of it others' words. The first
 * byte says which reader gets the rest.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/conversion.h"
#include "apiserver/proxy_rewrite.h"
#include "apiserver/webhook.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void review(struct arena *a, struct str body, bool mutating)
{
	struct webhook w = {.name = STR("w.x.io"), .mutating = mutating};
	struct webhook_verdict v;
	struct err err = {0};

	if (webhook_verdict(a, &w, body, "u", &v, &err)) {
		if (err.code == ERR_NONE || !err.msg[0])
			abort();
		return;
	}
	/* A denial always has an answer for the client, a patch only who may patch. */
	if (!v.allowed && (!v.status || v.code < 400 || v.code > 599))
		abort();
	if (v.patch && (!mutating || !v.allowed))
		abort();
}

static void page(struct str html)
{
	AUTO(buf) struct buf out = {0};

	proxy_html(html, STR("/proxy"), STR("h:1"), &out);
	if (out.n < html.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct str rest = {(const char *)data + 1, n ? n - 1 : 0};

	if (!n)
		return 0;
	switch (data[0] % 4) {
	case 0:
		review(&a, rest, true);
		break;
	case 1:
		review(&a, rest, false);
		break;
	case 2:
		if (!conversion_answer(&a, rest, "u", 1, &err) && err.code == ERR_NONE)
			abort();
		break;
	default:
		page(rest);
		break;
	}
	return 0;
}
