/*
 * Every request that we make of a forge, one JSON object a line: what tests/forge/published sends
 * to a forge's published description. `requests KIND [ORIGIN]` prints them; `requests KIND VERB`
 * with an answer on standard input says whether it can be read. One thread.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "reconciler/forge.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

static const struct {
	const char *name;
	struct forge_ask ask;
} all[] = {
	{"find", {.verb = FORGE_FIND, .head = {"drift", 5}, .page = 1}},
	{"get", {.verb = FORGE_GET, .number = 7}},
	{"list", {.verb = FORGE_LIST, .base = {"main", 4}, .page = 2}},
	{"open",
	 {.verb = FORGE_OPEN,
	  .head = {"drift", 5},
	  .base = {"main", 4},
	  .title = {"a \"title\"", 9},
	  .body = {"a\nbody", 6}}},
	{"update", {.verb = FORGE_UPDATE, .number = 7, .title = {"t", 1}, .body = {"b", 1}}},
	{"close", {.verb = FORGE_CLOSE, .number = 7, .body = {"b", 1}}},
	{"comment", {.verb = FORGE_COMMENT, .number = 7, .body = {"b", 1}}},
	{"comments", {.verb = FORGE_COMMENTS, .number = 7, .page = 1}},
	{"recomment", {.verb = FORGE_RECOMMENT, .number = 7, .comment = 9, .body = {"b", 1}}},
	{"pending",
	 {.verb = FORGE_STATUS,
	  .sha = {SHA, 40},
	  .state = FORGE_PENDING,
	  .context = {"plumb/c/x", 9},
	  .body = {"waits", 5}}},
	{"failure",
	 {.verb = FORGE_STATUS,
	  .sha = {SHA, 40},
	  .state = FORGE_FAILURE,
	  .context = {"plumb/c/x", 9},
	  .body = {"broken", 6},
	  .link = {"https://git.example/a/b", 23}}},
	{"success",
	 {.verb = FORGE_STATUS,
	  .sha = {SHA, 40},
	  .state = FORGE_SUCCESS,
	  .context = {"plumb/c/x", 9},
	  .body = {"fine", 4}}},
	{"error",
	 {.verb = FORGE_STATUS,
	  .sha = {SHA, 40},
	  .state = FORGE_ERROR,
	  .context = {"plumb/c/x", 9},
	  .body = {"odd", 3}}},
	{"drop", {.verb = FORGE_DROP, .head = {"drift", 5}}},
};

static void print(struct arena *a, const struct forge_repo *r, size_t i)
{
	AUTO(buf) struct buf line = {0};
	struct forge_request q;
	struct json *v;

	forge_request_make(a, r, &all[i].ask, &q);
	v = json_build(a, "{s:s,s:s,s:S,s:s,s:s}", "verb", all[i].name, "method", q.method, "path",
		       q.path, "accept", r->ops->media, "auth", r->ops->auth_header);
	if (q.body.n)
		json_set_str(a, v, "body", q.body);
	json_write(v, &line);
	puts(buf_cstr(&line));
}

static int read_answer(struct arena *a, const struct forge_repo *r, const char *verb)
{
	static char text[FORGE_ANSWER_MAX];
	size_t n = fread(text, 1, sizeof(text), stdin);

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct forge_answer answer;
		struct err err = {0};

		if (strcmp(all[i].name, verb) != 0)
			continue;
		if (!forge_answer_read(a, r, &all[i].ask, (struct str){text, n}, &answer, &err))
			return 0;
		fprintf(stderr, "%s\n", err.msg);
		return 1;
	}
	fprintf(stderr, "no verb %s\n", verb);
	return 2;
}

int main(int argc, char **argv)
{
	AUTO(arena) struct arena a = {0};
	struct forge_repo r;
	struct err err = {0};

	if (argc < 2 || argc > 3 ||
	    forge_repo_parse(&a, str_c(argv[1]), STR("acme/shop"),
			     STR("https://github.com/acme/shop"), &r, &err)) {
		fprintf(stderr, "requests KIND [VERB] %s\n", err.msg);
		return 2;
	}
	if (argc == 3)
		return read_answer(&a, &r, argv[2]);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		print(&a, &r, i);
	return 0;
}
