/*
 * GitLab's REST API, version 4: merge requests, notes, commit statuses. Pure: requests are built
 * into the caller's arena.
 */
#include <string.h>

#include "reconciler/forge.h"

#include "lib/base/pure.h"

static void merges_request(struct arena *a, const struct forge_ask *q, struct str all,
			   struct forge_request *ret)
{
	struct str one = arena_strf(a, "%.*s/%lld", STR_ARG(all), (long long)q->number);
	struct json *v = NULL;

	if (q->verb == FORGE_FIND) {
		ret->path = arena_strf(a,
				       "%.*s?state=all&order_by=created_at&sort=desc&per_page=%d"
				       "&page=%d&source_branch=%.*s",
				       STR_ARG(all), FORGE_PAGE, q->page,
				       STR_ARG(forge_escape(a, q->head, false)));
		return;
	}
	if (q->verb == FORGE_LIST) {
		ret->path = arena_strf(
			a, "%.*s?state=opened&per_page=%d&page=%d&target_branch=%.*s", STR_ARG(all),
			FORGE_PAGE, q->page, STR_ARG(forge_escape(a, q->base, false)));
		return;
	}
	ret->path = q->verb == FORGE_OPEN ? all : one;
	if (q->verb == FORGE_GET)
		return;
	ret->method = q->verb == FORGE_OPEN ? "POST" : "PUT";
	if (q->verb == FORGE_CLOSE)
		v = json_build(a, "{s:s}", "state_event", "close");
	else
		v = json_build(a, "{s:S}", "title", q->title);
	if (q->body.n)
		json_set_str(a, v, "description", q->body);
	if (q->verb == FORGE_OPEN) {
		json_set_str(a, v, "source_branch", q->head);
		json_set_str(a, v, "target_branch", q->base);
		json_set_bool(a, v, "remove_source_branch", true);
	}
	ret->body = forge_json(a, v);
}

static void notes_request(struct arena *a, const struct forge_ask *q, struct str merges,
			  struct forge_request *ret)
{
	struct str notes = arena_strf(a, "%.*s/%lld/notes", STR_ARG(merges), (long long)q->number);

	if (q->verb == FORGE_COMMENTS) {
		ret->path = arena_strf(a, "%.*s?sort=asc&order_by=created_at&per_page=%d&page=%d",
				       STR_ARG(notes), FORGE_PAGE, q->page);
		return;
	}
	ret->method = q->verb == FORGE_COMMENT ? "POST" : "PUT";
	ret->path = q->verb == FORGE_COMMENT
			    ? notes
			    : arena_strf(a, "%.*s/%lld", STR_ARG(notes), (long long)q->comment);
	ret->body = forge_json(a, json_build(a, "{s:S}", "body", q->body));
}

static void status_request(struct arena *a, const struct forge_ask *q, struct str project,
			   struct forge_request *ret)
{
	static const char *const states[] = {[FORGE_PENDING] = "running",
					     [FORGE_SUCCESS] = "success",
					     [FORGE_FAILURE] = "failed",
					     [FORGE_ERROR] = "failed"};
	struct json *v = json_build(a, "{s:s,s:S,s:S}", "state", states[q->state], "name",
				    q->context, "description", q->body);

	if (q->link.n)
		json_set_str(a, v, "target_url", q->link);
	ret->method = "POST";
	ret->path = arena_strf(a, "%.*s/statuses/%.*s", STR_ARG(project),
			       STR_ARG(forge_escape(a, q->sha, false)));
	ret->body = forge_json(a, v);
}

static void request(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
		    struct forge_request *ret)
{
	struct str project =
		arena_strf(a, "/projects/%.*s", STR_ARG(forge_escape(a, r->path, false)));
	struct str merges = arena_strf(a, "%.*s/merge_requests", STR_ARG(project));

	if (q->verb == FORGE_STATUS) {
		status_request(a, q, project, ret);
	} else if (q->verb == FORGE_DROP) {
		ret->method = "DELETE";
		ret->path = arena_strf(a, "%.*s/repository/branches/%.*s", STR_ARG(project),
				       STR_ARG(forge_escape(a, q->head, false)));
	} else if (q->verb == FORGE_COMMENT || q->verb == FORGE_COMMENTS ||
		   q->verb == FORGE_RECOMMENT) {
		notes_request(a, q, merges, ret);
	} else {
		merges_request(a, q, merges, ret);
	}
}

static bool pull(const struct json *v, struct forge_pull *ret)
{
	struct str state = json_str(json_get(v, STR("state")));
	int64_t from = json_int(json_get(v, STR("source_project_id")), 0),
		to = json_int(json_get(v, STR("target_project_id")), 0);

	*ret = (struct forge_pull){
		.number = json_int(json_get(v, STR("iid")), 0),
		.state = str_is(state, "merged")                              ? PULL_MERGED
			 : str_is(state, "opened") || str_is(state, "locked") ? PULL_OPEN
									      : PULL_CLOSED,
		.foreign = from != to,
		.head = json_str(json_get(v, STR("source_branch"))),
		.base = json_str(json_get(v, STR("target_branch"))),
		.sha = json_str(json_get(v, STR("sha"))),
		.title = json_str(json_get(v, STR("title"))),
		.body = json_str(json_get(v, STR("description"))),
		.url = json_str(json_get(v, STR("web_url"))),
	};
	return ret->number > 0;
}

const struct forge_ops forge_gitlab = {
	.name = "gitlab",
	.title = "GitLab",
	.base = "/api/v4",
	.auth_header = "PRIVATE-TOKEN",
	.auth_prefix = "",
	.media = "application/json",
	.page = FORGE_PAGE,
	.request = request,
	.pull = pull,
};
