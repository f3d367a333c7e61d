/*
 * GitHub's REST API, version 2022-11-28, on github.com and on servers of one's own. Pure: requests
 * are built into the caller's arena. GitHub Apps: their token is made here, too.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/http/tls.h"
#include "reconciler/forge.h"

#include "lib/base/pure.h"

static struct str owner_of(const struct forge_repo *r)
{
	struct str owner, name;

	str_cut(r->path, '/', &owner, &name);
	return owner;
}

static void pulls_request(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
			  struct str repo, struct forge_request *ret)
{
	struct str owner = owner_of(r);

	if (q->verb == FORGE_FIND) {
		ret->path = arena_strf(
			a,
			"%.*s/pulls?state=all&sort=created&direction=desc&per_page=%d&page=%d"
			"&head=%.*s",
			STR_ARG(repo), FORGE_PAGE, q->page,
			STR_ARG(forge_escape(
				a, arena_strf(a, "%.*s:%.*s", STR_ARG(owner), STR_ARG(q->head)),
				false)));
	} else if (q->verb == FORGE_LIST) {
		ret->path = arena_strf(a, "%.*s/pulls?state=open&per_page=%d&page=%d&base=%.*s",
				       STR_ARG(repo), FORGE_PAGE, q->page,
				       STR_ARG(forge_escape(a, q->base, false)));
	} else if (q->verb == FORGE_OPEN) {
		ret->method = "POST";
		ret->path = arena_strf(a, "%.*s/pulls", STR_ARG(repo));
		ret->body =
			forge_json(a, json_build(a, "{s:S,s:S,s:S,s:S}", "title", q->title, "head",
						 q->head, "base", q->base, "body", q->body));
	} else {
		ret->path = arena_strf(a, "%.*s/pulls/%lld", STR_ARG(repo), (long long)q->number);
	}
	if (q->verb == FORGE_UPDATE || q->verb == FORGE_CLOSE) {
		struct json *v = q->verb == FORGE_CLOSE ? json_build(a, "{s:s}", "state", "closed")
							: json_build(a, "{s:S}", "title", q->title);

		if (q->body.n)
			json_set_str(a, v, "body", q->body);
		ret->method = "PATCH";
		ret->body = forge_json(a, v);
	}
}

static void comments_request(struct arena *a, const struct forge_ask *q, struct str repo,
			     struct forge_request *ret)
{
	if (q->verb == FORGE_RECOMMENT) {
		ret->method = "PATCH";
		ret->path = arena_strf(a, "%.*s/issues/comments/%lld", STR_ARG(repo),
				       (long long)q->comment);
	} else {
		ret->path = arena_strf(a, "%.*s/issues/%lld/comments", STR_ARG(repo),
				       (long long)q->number);
	}
	if (q->verb == FORGE_COMMENTS) {
		ret->path = arena_strf(a, "%.*s?per_page=%d&page=%d", STR_ARG(ret->path),
				       FORGE_PAGE, q->page);
		return;
	}
	if (q->verb == FORGE_COMMENT)
		ret->method = "POST";
	ret->body = forge_json(a, json_build(a, "{s:S}", "body", q->body));
}

static void request(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
		    struct forge_request *ret)
{
	struct str repo = arena_strf(a, "/repos/%.*s", STR_ARG(forge_escape(a, r->path, true)));

	if (q->verb == FORGE_STATUS) {
		forge_status_request(a, q, repo, ret);
	} else if (q->verb == FORGE_DROP) {
		ret->method = "DELETE";
		ret->path = arena_strf(a, "%.*s/git/refs/heads/%.*s", STR_ARG(repo),
				       STR_ARG(forge_escape(a, q->head, true)));
	} else if (q->verb == FORGE_COMMENT || q->verb == FORGE_COMMENTS ||
		   q->verb == FORGE_RECOMMENT) {
		comments_request(a, q, repo, ret);
	} else {
		pulls_request(a, r, q, repo, ret);
	}
}

static bool pull(const struct json *v, struct forge_pull *ret)
{
	const struct json *head = json_get(v, STR("head")), *base = json_get(v, STR("base"));
	struct str from = json_str(json_at(head, "repo", "full_name")),
		   to = json_str(json_at(base, "repo", "full_name"));

	*ret = (struct forge_pull){
		.number = json_int(json_get(v, STR("number")), 0),
		.state = str_is(json_str(json_get(v, STR("state"))), "open") ? PULL_OPEN
									     : PULL_CLOSED,
		.foreign = !str_ieq(from, to),
		.head = json_str(json_get(head, STR("ref"))),
		.base = json_str(json_get(base, STR("ref"))),
		.sha = json_str(json_get(head, STR("sha"))),
		.title = json_str(json_get(v, STR("title"))),
		.body = json_str(json_get(v, STR("body"))),
		.url = json_str(json_get(v, STR("html_url"))),
	};
	if (json_bool(json_get(v, STR("merged")), false) ||
	    json_str(json_get(v, STR("merged_at"))).n)
		ret->state = PULL_MERGED;
	return ret->number > 0;
}

const struct forge_ops forge_github = {
	.name = "github",
	.title = "GitHub",
	.hosted = "github.com",
	.api_hosted = "https://api.github.com",
	.base = "/api/v3",
	.auth_header = "Authorization",
	.auth_prefix = "Bearer ",
	.media = "application/vnd.github+json",
	.page = FORGE_PAGE,
	.request = request,
	.pull = pull,
};

char *forge_app_token(struct arena *a, struct str app_id, struct str key_pem, int64_t now_s,
		      struct err *err)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf signature = {0};
	/* A minute back, for clocks that differ; ten minutes are the most that is taken. */
	struct str claims = forge_json(a, json_build(a, "{s:I,s:I,s:S}", "iat", now_s - 60, "exp",
						     now_s + 540, "iss", app_id));

	base64url_encode(STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"), &text);
	buf_putc(&text, '.');
	base64url_encode(claims, &text);
	if (sign_rs256(key_pem, buf_view(&text), &signature, err)) {
		err_wrap(err, "githubAppPrivateKey");
		return NULL;
	}
	buf_putc(&text, '.');
	base64url_encode(buf_view(&signature), &text);
	return arena_cstr(a, buf_view(&text));
}
