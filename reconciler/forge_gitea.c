/*
 * The REST API of Gitea and Forgejo, version 1: close to GitHub's, but lists of pull requests know
 * no head branch and are searched here. Pure: requests are built into the caller's arena.
 */
#include <string.h>

#include "reconciler/forge.h"

#include "lib/base/pure.h"

#define GITEA_PAGE 30 /* within what any server gives */

static struct str change_json(struct arena *a, const struct forge_ask *q)
{
	struct json *v = q->verb == FORGE_CLOSE ? json_build(a, "{s:s}", "state", "closed")
						: json_build(a, "{s:S}", "title", q->title);

	if (q->body.n)
		json_set_str(a, v, "body", q->body);
	return forge_json(a, v);
}

static void pulls_request(struct arena *a, const struct forge_ask *q, struct str repo,
			  struct forge_request *ret)
{
	struct str one = arena_strf(a, "%.*s/pulls/%lld", STR_ARG(repo), (long long)q->number);

	if (q->verb == FORGE_FIND || q->verb == FORGE_LIST) {
		ret->path = arena_strf(a, "%.*s/pulls?state=%s&sort=recentupdate&limit=%d&page=%d",
				       STR_ARG(repo), q->verb == FORGE_FIND ? "all" : "open",
				       GITEA_PAGE, q->page);
		return;
	}
	ret->path = q->verb == FORGE_OPEN ? arena_strf(a, "%.*s/pulls", STR_ARG(repo)) : one;
	if (q->verb == FORGE_GET)
		return;
	ret->method = q->verb == FORGE_OPEN ? "POST" : "PATCH";
	if (q->verb == FORGE_OPEN)
		ret->body =
			forge_json(a, json_build(a, "{s:S,s:S,s:S,s:S}", "head", q->head, "base",
						 q->base, "title", q->title, "body", q->body));
	else
		ret->body = change_json(a, q);
}

static void comments_request(struct arena *a, const struct forge_ask *q, struct str repo,
			     struct forge_request *ret)
{
	struct str all =
		arena_strf(a, "%.*s/issues/%lld/comments", STR_ARG(repo), (long long)q->number);

	/* Older servers know no pages here, and give all of them. */
	if (q->verb == FORGE_COMMENTS) {
		ret->path =
			arena_strf(a, "%.*s?limit=%d&page=%d", STR_ARG(all), GITEA_PAGE, q->page);
		return;
	}
	ret->method = q->verb == FORGE_COMMENT ? "POST" : "PATCH";
	ret->path = q->verb == FORGE_COMMENT ? all
					     : arena_strf(a, "%.*s/issues/comments/%lld",
							  STR_ARG(repo), (long long)q->comment);
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
		ret->path = arena_strf(a, "%.*s/branches/%.*s", STR_ARG(repo),
				       STR_ARG(forge_escape(a, q->head, true)));
	} else if (q->verb == FORGE_COMMENT || q->verb == FORGE_COMMENTS ||
		   q->verb == FORGE_RECOMMENT) {
		comments_request(a, q, repo, ret);
	} else {
		pulls_request(a, q, repo, ret);
	}
}

static bool pull(const struct json *v, struct forge_pull *ret)
{
	const struct json *head = json_get(v, STR("head")), *base = json_get(v, STR("base"));

	*ret = (struct forge_pull){
		.number = json_int(json_get(v, STR("number")), 0),
		.state = json_bool(json_get(v, STR("merged")), false)          ? PULL_MERGED
			 : str_is(json_str(json_get(v, STR("state"))), "open") ? PULL_OPEN
									       : PULL_CLOSED,
		.foreign = json_int(json_get(head, STR("repo_id")), 0) !=
			   json_int(json_get(base, STR("repo_id")), 0),
		/* Once its branch is gone, "ref" becomes refs/pull/N/head. */
		.head = json_str(json_get(head, STR("label"))),
		.base = json_str(json_get(base, STR("ref"))),
		.sha = json_str(json_get(head, STR("sha"))),
		.title = json_str(json_get(v, STR("title"))),
		.body = json_str(json_get(v, STR("body"))),
		.url = json_str(json_get(v, STR("html_url"))),
	};
	if (!ret->head.n)
		ret->head = json_str(json_get(head, STR("ref")));
	return ret->number > 0;
}

const struct forge_ops forge_gitea = {
	.name = "gitea",
	.title = "Gitea",
	.base = "/api/v1",
	.auth_header = "Authorization",
	.auth_prefix = "token ",
	.media = "application/json",
	.page = GITEA_PAGE,
	.request = request,
	.pull = pull,
};
