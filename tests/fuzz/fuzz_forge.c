/*
 * Webhooks from anybody: type, headers and body, a line each but the last. Whatever comes, nobody
 * is believed who doesn't hold the token. Forges' answers are read here, too.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "reconciler/forge.h"
#include "reconciler/webcall.h"
#include "reconciler/webhook.h"

#define HEADERS_MAX 8

static void webhook(struct str in)
{
	struct http_header v[HEADERS_MAX];
	struct http_headers h = {v, 0};
	struct str type, line, rest = in;
	struct webhook_request q = {.token = STR("5fd924625f6ab16a19cc9807c7c506ae1813490e"),
				    .headers = &h};
	struct err err = {0};

	if (!str_next(&rest, '\n', &type))
		return;
	q.type = type;
	while (h.n < HEADERS_MAX && rest.p && str_next(&rest, '\n', &line) && line.n) {
		struct http_header *at = &v[h.n++];

		str_cut(line, ':', &at->name, &at->value);
		at->value = str_trim(at->value);
	}
	q.body = rest;
	/* The path of a generic one is its token; the rest must know it. */
	if (!webhook_check(&q, &err))
		assert(str_is(type, "generic") || str_find(in, q.token) >= 0);
}

static void answers(struct str in)
{
	static const char *const kinds[] = {"github", "gitlab", "gitea"};
	static const enum forge_verb verbs[] = {FORGE_FIND, FORGE_GET, FORGE_LIST, FORGE_COMMENTS,
						FORGE_COMMENT};
	AUTO(arena) struct arena a = {0};
	struct forge_repo repo;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		for (size_t k = 0; k < ARRAY_LEN(verbs); k++) {
			struct forge_ask q = {.verb = verbs[k], .head = STR("b"), .base = STR("m")};
			struct forge_answer got;

			if (!forge_repo_parse(&a, str_c(kinds[i]), STR_NONE,
					      STR("https://x.example/a/b"), &repo, &err) &&
			    !forge_answer_read(&a, &repo, &q, in, &got, &err)) {
				for (size_t n = 0; n < got.npulls; n++)
					assert(got.pulls[n].number > 0);
			}
		}
		if (!forge_repo_parse(&a, str_c(kinds[i]), STR_NONE, in, &repo, &err)) {
			struct forge_ask q = {.verb = FORGE_FIND, .head = in};
			struct forge_request r;

			forge_request_make(&a, &repo, &q, &r);
			for (size_t n = 0; n < r.path.n; n++)
				assert((unsigned char)r.path.p[n] > ' ');
		}
	}
	if (forge_judge(403, NULL, in, STR("token"), 0, &err))
		assert(err.code);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size};
	struct weburl url;

	webhook(in);
	answers(in);
	if (!weburl_parse(in, &url, NULL))
		assert(url.host.n && url.path.n && url.port > 0);
	return 0;
}
