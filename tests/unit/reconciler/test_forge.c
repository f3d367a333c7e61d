/* Forges: which repository a URL means, what requests say, what answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "reconciler/forge.h"
#include "reconciler/webcall.h"

static struct arena arena;

static struct forge_repo repo(const char *kind, const char *url)
{
	struct forge_repo r;
	struct err err = {0};

	assert_int_equal(forge_repo_parse(&arena, str_c(kind), STR_NONE, str_c(url), &r, &err), 0);
	return r;
}

static void check_repo(const char *kind, const char *url, const char *want)
{
	struct forge_repo r = repo(kind, url);
	char *got = arena_printf(&arena, "%.*s%.*s %.*s", STR_ARG(r.origin), STR_ARG(r.base),
				 STR_ARG(r.path));

	assert_string_equal(got, want);
}

void test_forge__repositories(void **state)
{
	(void)state;
	check_repo("github", "https://github.com/acme/shop.git",
		   "https://api.github.com acme/shop");
	check_repo("github", "git@github.com:acme/shop.git", "https://api.github.com acme/shop");
	check_repo("github", "ssh://git@github.com:22/acme/shop",
		   "https://api.github.com acme/shop");
	check_repo("github", "https://user@git.acme.com/acme/shop/",
		   "https://git.acme.com/api/v3 acme/shop");
	check_repo("gitlab", "https://gitlab.com/acme/web/shop.git",
		   "https://gitlab.com/api/v4 acme/web/shop");
	check_repo("gitlab=https://acme.com/gitlab", "https://acme.com/gitlab/a/b.git",
		   "https://acme.com/gitlab/api/v4 a/b");
	check_repo("gitea", "ssh://git@code.acme.com:2222/acme/shop.git",
		   "https://code.acme.com/api/v1 acme/shop");
	check_repo("forgejo", "http://10.0.0.1:3000/acme/shop.git",
		   "http://10.0.0.1:3000/api/v1 acme/shop");
	check_repo("gitea=http://127.0.0.1:3000", "file:///srv/git/acme/shop.git",
		   "http://127.0.0.1:3000/api/v1 acme/shop");
	arena_release(&arena);
}

void test_forge__repositories_refused(void **state)
{
	static const char *const bad[][2] = {
		{"cvs", "https://github.com/a/b"},
		{"github", "https://github.com/a"},
		{"github", "https://github.com/a/.."},
		{"github", "https://github.com/a/b%2fc"},
		{"github", "https://exa mple.com/a/b"},
		{"github", "file:///a/b"},
		{"github=ftp://x", "https://github.com/a/b"},
		{"gitlab", "https://gitlab.com/a//b"},
		{"gitlab", ""},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct forge_repo r;
		struct err err = {0};

		assert_int_equal(forge_repo_parse(&arena, str_c(bad[i][0]), STR_NONE,
						  str_c(bad[i][1]), &r, &err),
				 -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
	arena_release(&arena);
}

static void check(const struct forge_repo *r, const struct forge_ask *q, const char *want)
{
	struct forge_request got;

	forge_request_make(&arena, r, q, &got);
	assert_string_equal(arena_printf(&arena, "%s %.*s%s%.*s", got.method, STR_ARG(got.path),
					 got.body.n ? " " : "", STR_ARG(got.body)),
			    want);
}

static const struct forge_ask find = {.verb = FORGE_FIND, .head = {"plumb/drift/c/x", 15}};
static const struct forge_ask get = {.verb = FORGE_GET, .number = 7};
static const struct forge_ask list = {.verb = FORGE_LIST, .base = {"main", 4}, .page = 2};
static const struct forge_ask open_ = {.verb = FORGE_OPEN,
				       .head = {"plumb/x", 7},
				       .base = {"main", 4},
				       .title = {"a \"t\"", 5},
				       .body = {"b\n", 2}};
static const struct forge_ask update = {
	.verb = FORGE_UPDATE, .number = 7, .title = {"t", 1}, .body = {"b", 1}};
static const struct forge_ask close_ = {.verb = FORGE_CLOSE, .number = 7};
static const struct forge_ask comment = {.verb = FORGE_COMMENT, .number = 7, .body = {"b", 1}};
static const struct forge_ask comments = {.verb = FORGE_COMMENTS, .number = 7};
static const struct forge_ask again = {
	.verb = FORGE_RECOMMENT, .number = 7, .comment = 9, .body = {"b", 1}};
static const struct forge_ask status = {.verb = FORGE_STATUS,
					.sha = {"abc", 3},
					.state = FORGE_ERROR,
					.context = {"plumb/c", 7},
					.body = {"no", 2},
					.link = {"http://l", 8}};
static const struct forge_ask drop = {.verb = FORGE_DROP, .head = {"plumb/x", 7}};

void test_forge__github_requests(void **state)
{
	struct forge_repo r = repo("github", "https://github.com/acme/shop");

	(void)state;
	check(&r, &find,
	      "GET /repos/acme/shop/pulls?state=all&sort=created&direction=desc&per_page=30&page=1"
	      "&head=acme%3Aplumb%2Fdrift%2Fc%2Fx");
	check(&r, &get, "GET /repos/acme/shop/pulls/7");
	check(&r, &list, "GET /repos/acme/shop/pulls?state=open&per_page=30&page=2&base=main");
	check(&r, &open_,
	      "POST /repos/acme/shop/pulls "
	      "{\"title\":\"a "
	      "\\\"t\\\"\",\"head\":\"plumb/x\",\"base\":\"main\",\"body\":\"b\\n\"}");
	check(&r, &update, "PATCH /repos/acme/shop/pulls/7 {\"title\":\"t\",\"body\":\"b\"}");
	check(&r, &close_, "PATCH /repos/acme/shop/pulls/7 {\"state\":\"closed\"}");
	check(&r, &comment, "POST /repos/acme/shop/issues/7/comments {\"body\":\"b\"}");
	check(&r, &comments, "GET /repos/acme/shop/issues/7/comments?per_page=30&page=1");
	check(&r, &again, "PATCH /repos/acme/shop/issues/comments/9 {\"body\":\"b\"}");
	check(&r, &status,
	      "POST /repos/acme/shop/statuses/abc {\"state\":\"error\",\"description\":\"no\","
	      "\"context\":\"plumb/c\",\"target_url\":\"http://l\"}");
	check(&r, &drop, "DELETE /repos/acme/shop/git/refs/heads/plumb/x");
	arena_release(&arena);
}

void test_forge__gitlab_requests(void **state)
{
	struct forge_repo r = repo("gitlab", "https://gitlab.com/acme/web/shop");

	(void)state;
#define P "/api/v4/projects/acme%2Fweb%2Fshop/"
	check(&r, &find,
	      "GET " P "merge_requests?state=all&order_by=created_at&sort=desc&per_page=30&page=1"
	      "&source_branch=plumb%2Fdrift%2Fc%2Fx");
	check(&r, &get, "GET " P "merge_requests/7");
	check(&r, &list,
	      "GET " P "merge_requests?state=opened&per_page=30&page=2&target_branch=main");
	check(&r, &open_,
	      "POST " P "merge_requests {\"title\":\"a \\\"t\\\"\",\"description\":\"b\\n\","
	      "\"source_branch\":\"plumb/x\",\"target_branch\":\"main\","
	      "\"remove_source_branch\":true}");
	check(&r, &update, "PUT " P "merge_requests/7 {\"title\":\"t\",\"description\":\"b\"}");
	check(&r, &close_, "PUT " P "merge_requests/7 {\"state_event\":\"close\"}");
	check(&r, &comment, "POST " P "merge_requests/7/notes {\"body\":\"b\"}");
	check(&r, &comments,
	      "GET " P "merge_requests/7/notes?sort=asc&order_by=created_at&per_page=30&page=1");
	check(&r, &again, "PUT " P "merge_requests/7/notes/9 {\"body\":\"b\"}");
	check(&r, &status,
	      "POST " P "statuses/abc {\"state\":\"failed\",\"name\":\"plumb/c\","
	      "\"description\":\"no\",\"target_url\":\"http://l\"}");
	check(&r, &drop, "DELETE " P "repository/branches/plumb%2Fx");
	arena_release(&arena);
}

void test_forge__gitea_requests(void **state)
{
	struct forge_repo r = repo("gitea", "https://code.acme.com/acme/shop");

	(void)state;
#undef P
#define P "/api/v1/repos/acme/shop/"
	check(&r, &find, "GET " P "pulls?state=all&sort=recentupdate&limit=30&page=1");
	check(&r, &get, "GET " P "pulls/7");
	check(&r, &list, "GET " P "pulls?state=open&sort=recentupdate&limit=30&page=2");
	check(&r, &open_,
	      "POST " P "pulls {\"head\":\"plumb/x\",\"base\":\"main\",\"title\":\"a \\\"t\\\"\","
	      "\"body\":\"b\\n\"}");
	check(&r, &close_, "PATCH " P "pulls/7 {\"state\":\"closed\"}");
	check(&r, &comments, "GET " P "issues/7/comments?limit=30&page=1");
	check(&r, &again, "PATCH " P "issues/comments/9 {\"body\":\"b\"}");
	check(&r, &drop, "DELETE " P "branches/plumb/x");
	arena_release(&arena);
}

/* Whatever a name holds stays within its part of the request. */
void test_forge__names_are_escaped(void **state)
{
	struct forge_repo r = repo("github", "https://github.com/acme/shop");
	struct forge_ask q = {.verb = FORGE_FIND, .head = STR("a&state=open#\r\nX: y")};

	(void)state;
	check(&r, &q,
	      "GET /repos/acme/shop/pulls?state=all&sort=created&direction=desc&per_page=30&page=1"
	      "&head=acme%3Aa%26state%3Dopen%23%0D%0AX%3A%20y");
	arena_release(&arena);
}

void test_forge__long_texts_are_cut(void **state)
{
	struct forge_repo r = repo("github", "https://github.com/acme/shop");
	struct forge_ask q = {.verb = FORGE_COMMENT, .number = 1};
	struct forge_request got;
	AUTO(buf) struct buf text = {0};

	(void)state;
	while (text.n < 200000)
		buf_puts(&text, "ü");
	q.body = buf_view(&text);
	forge_request_make(&arena, &r, &q, &got);
	assert_true(got.body.n <= FORGE_BODY_MAX + 20);
	assert_true(str_is_utf8(got.body));
	assert_true(str_is_utf8(forge_cut(&arena, STR("ab\xe2\x86\x92 c"), 5)));
	arena_release(&arena);
}

static struct forge_answer answer(const struct forge_repo *r, const struct forge_ask *q,
				  const char *body)
{
	struct forge_answer v;
	struct err err = {0};

	assert_int_equal(forge_answer_read(&arena, r, q, str_c(body), &v, &err), 0);
	return v;
}

void test_forge__github_answers(void **state)
{
	struct forge_repo r = repo("github", "https://github.com/acme/shop");
	struct forge_answer v = answer(
		&r, &find,
		"[{\"number\":9,\"state\":\"open\",\"html_url\":\"u\",\"title\":\"t\","
		"\"head\":{\"ref\":\"plumb/drift/c/x\",\"sha\":\"s\",\"repo\":{\"full_name\":\"eve/"
		"shop\"}},"
		"\"base\":{\"ref\":\"main\",\"repo\":{\"full_name\":\"acme/shop\"}}},"
		"{\"number\":8,\"state\":\"closed\",\"merged_at\":\"2026-01-01T00:00:00Z\","
		"\"head\":{\"ref\":\"plumb/drift/c/x\",\"repo\":{\"full_name\":\"acme/shop\"}},"
		"\"base\":{\"ref\":\"main\",\"repo\":{\"full_name\":\"acme/shop\"}}},"
		"{\"number\":7,\"state\":\"closed\",\"merged_at\":null,"
		"\"head\":{\"ref\":\"plumb/drift/c/x\",\"repo\":{\"full_name\":\"acme/shop\"}},"
		"\"base\":{\"ref\":\"main\",\"repo\":{\"full_name\":\"acme/shop\"}}},7]");

	(void)state;
	/* A fork's branch of that name is somebody else's. */
	assert_int_equal(v.npulls, 2);
	assert_int_equal(v.pulls[0].number, 8);
	assert_int_equal(v.pulls[0].state, PULL_MERGED);
	assert_int_equal(v.pulls[1].state, PULL_CLOSED);
	assert_false(v.more);
	v = answer(&r, &comments, "[{\"id\":3,\"body\":\"x\"},{\"body\":\"y\"}]");
	assert_int_equal(v.ncomments, 1);
	assert_int_equal(v.comments[0].id, 3);
	arena_release(&arena);
}

void test_forge__gitlab_and_gitea_answers(void **state)
{
	struct forge_repo r = repo("gitlab", "https://gitlab.com/acme/shop");
	struct forge_answer v = answer(
		&r, &get,
		"{\"id\":1000,\"iid\":7,\"state\":\"merged\",\"source_branch\":\"b\",\"sha\":\"s\","
		"\"target_branch\":\"main\",\"web_url\":\"u\",\"source_project_id\":1,"
		"\"target_project_id\":1}");

	(void)state;
	assert_int_equal(v.pulls[0].number, 7);
	assert_int_equal(v.pulls[0].state, PULL_MERGED);
	assert_false(v.pulls[0].foreign);
	r = repo("gitea", "https://code.acme.com/acme/shop");
	v = answer(&r, &find,
		   "[{\"number\":5,\"state\":\"closed\",\"merged\":false,\"head\":{\"label\":"
		   "\"plumb/drift/c/x\",\"ref\":\"refs/pull/5/head\",\"repo_id\":4},"
		   "\"base\":{\"ref\":\"main\",\"repo_id\":4}},"
		   "{\"number\":4,\"state\":\"open\",\"head\":{\"label\":\"other\",\"repo_id\":4},"
		   "\"base\":{\"ref\":\"main\",\"repo_id\":4}}]");
	assert_int_equal(v.npulls, 1);
	assert_int_equal(v.pulls[0].number, 5);
	assert_int_equal(v.pulls[0].state, PULL_CLOSED);
	arena_release(&arena);
}

/* Gitea's comments came all at once for years: who gets more than a page has them all. */
void test_forge__pages_end(void **state)
{
	struct forge_repo r = repo("gitea", "https://code.acme.com/acme/shop");
	struct json *all = json_new(&arena, JSON_ARRAY);

	(void)state;
	for (int i = 1; i <= 31; i++) {
		struct forge_answer v;

		json_append(&arena, all, json_build(&arena, "{s:i,s:s}", "id", i, "body", "x"));
		v = answer(&r, &comments, arena_cstr(&arena, forge_json(&arena, all)));
		assert_int_equal(v.ncomments, i);
		assert_int_equal(v.more, i == 30);
	}
	arena_release(&arena);
}

void test_forge__odd_answers_are_errors(void **state)
{
	struct forge_repo r = repo("github", "https://github.com/acme/shop");
	static const char *const odd[] = {"", "<html>", "{}", "7"};
	struct forge_answer v;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		assert_int_equal(forge_answer_read(&arena, &r, &find, str_c(odd[i]), &v, &err), -1);
		assert_int_equal(forge_answer_read(&arena, &r, &get, str_c(odd[i]), &v, &err), -1);
	}
	arena_release(&arena);
}

static struct err judge(int code, const char *headers, const char *body)
{
	struct err err = {0};
	int rc = forge_judge(code, json_parse(&arena, str_c(headers), NULL, NULL), str_c(body),
			     STR("t0ps3cret"), 1000, &err);

	assert_int_equal(rc, err.code ? -1 : 0);
	return err;
}

void test_forge__judgements(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(judge(204, "{}", "").code, ERR_NONE);
	assert_int_equal(judge(401, "{}", "").code, ERR_UNAUTHORIZED);
	assert_int_equal(judge(404, "{}", "").code, ERR_NOT_FOUND);
	assert_int_equal(judge(409, "{}", "").code, ERR_CONFLICT);
	e = judge(422, "{}",
		  "{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"it exists\"}]}");
	assert_int_equal(e.code, ERR_INVALID);
	assert_non_null(strstr(e.msg, "Validation Failed; it exists"));
	e = judge(403, "{}", "{\"message\":\"Resource not accessible\"}");
	assert_int_equal(e.code, ERR_FORBIDDEN);
	assert_int_equal(e.retry_after_s, 0);
	e = judge(500, "{}", "oops");
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	/* GitLab's word for a commit status that is the same already. */
	assert_int_equal(judge(400, "{}",
			       "{\"message\":\"Cannot transition status via :run from :running "
			       "(Reason(s): Status cannot transition via \\\"run\\\")\"}")
				 .code,
			 ERR_NONE);
	assert_int_equal(judge(400, "{}", "{\"message\":\"no\"}").code, ERR_INVALID);
	arena_release(&arena);
}

void test_forge__limits_are_honoured(void **state)
{
	struct err e;

	(void)state;
	e = judge(429, "{\"retry-after\":\"7\"}", "");
	assert_int_equal(e.code, ERR_TOO_MANY);
	assert_int_equal(e.retry_after_s, 7);
	assert_int_equal(judge(429, "{}", "").retry_after_s, 60);
	e = judge(403, "{\"x-ratelimit-remaining\":\"0\",\"x-ratelimit-reset\":\"1090\"}", "");
	assert_int_equal(e.code, ERR_TOO_MANY);
	assert_int_equal(e.retry_after_s, 90);
	e = judge(429, "{\"ratelimit-remaining\":\"0\",\"ratelimit-reset\":\"1005\"}", "");
	assert_int_equal(e.retry_after_s, 5);
	e = judge(403, "{}", "{\"message\":\"You have exceeded a secondary rate limit\"}");
	assert_int_equal(e.code, ERR_TOO_MANY);
	e = judge(503, "{\"retry-after\":\"99999999\"}", "");
	assert_int_equal(e.retry_after_s, 3600);
	assert_int_equal(judge(503, "{\"retry-after\":\"-5\"}", "").retry_after_s, 0);
	arena_release(&arena);
}

void test_forge__a_token_is_never_repeated(void **state)
{
	struct err e = judge(400, "{}", "{\"message\":\"bad token t0ps3cret\\nfor you\"}");

	(void)state;
	assert_null(strstr(e.msg, "t0ps3cret"));
	assert_null(strchr(e.msg, '\n'));
	arena_release(&arena);
}

void test_forge__addresses(void **state)
{
	static const char *const bad[] = {"ftp://x/",          "http://",      "http://a b/",
					  "https://u@h/",      "https://h:0/", "https://h?x",
					  "https://h/\r\nX: y"};
	struct weburl u;
	struct err err = {0};

	(void)state;
	assert_int_equal(weburl_parse(STR("https://h.example/a?b"), &u, &err), 0);
	assert_true(u.tls && u.port == 443 && str_is(u.path, "/a?b") &&
		    str_is(u.host, "h.example"));
	assert_int_equal(weburl_parse(STR("http://[::1]:81"), &u, &err), 0);
	assert_true(!u.tls && u.port == 81 && str_is(u.path, "/") && str_is(u.host, "::1"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(weburl_parse(str_c(bad[i]), &u, &err), -1);
}

void test_forge__app_tokens_need_an_rsa_key(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(forge_app_token(&arena, STR("12"), STR("no key"), 1000, &err));
	assert_non_null(strstr(err.msg, "githubAppPrivateKey"));
	arena_release(&arena);
}
