/*
 * A forge for tests: pull requests, comments and commit statuses of one repository, held in memory,
 * in the words of GitHub, GitLab and Gitea at once. `forge REPOSITORY TOKEN OWNER/NAME` prints its
 * port. Strict where real ones are: an unknown path, member or token is refused. What tests do to
 * it goes through /_/…: fail the next requests, close or open a pull request, let App tokens end
 * soon, show all that happened. One thread.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/server.h"
#include "lib/json/json.h"

#define PULLS_MAX 200
#define COMMENTS_MAX 500

enum dialect { GITHUB, GITEA, GITLAB };

struct pull {
	char *head, *base, *title, *body, *sha;
	const char *state; /* open, closed, merged */
};
struct comment {
	int pull;
	char *body;
};
static struct {
	const char *repository, *token, *path;
	struct loop *loop;
	struct pull pulls[PULLS_MAX];
	int npulls;
	struct comment comments[COMMENTS_MAX];
	int ncomments;
	struct buf statuses, log; /* a line each */
	int fail_status, fail_times;
	char *fail_header, *fail_value;
	int64_t life_s; /* of App tokens; 0 = an hour */
} f;

struct asked {
	struct http_req *r;
	struct arena *a;
	enum dialect dialect;
	struct str rest; /* behind the repository, without its leading slash */
	const struct json *body;
};

static char *copy(struct str s)
{
	return xstrndup(s.p ? s.p : "", s.n);
}

/* The commit of a branch, from the bare repository's loose reference. */
static char *branch_sha(struct arena *a, struct str branch)
{
	char text[41] = "";
	AUTO(fd)
	int fd = open(arena_printf(a, "%s/refs/heads/%.*s", f.repository, STR_ARG(branch)),
		      O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, 40) != 40)
		return NULL;
	return xstrdup(text);
}

static void reply(struct http_req *r, int status, const struct json *v)
{
	AUTO(buf) struct buf text = {0};
	struct http_reply h = {.status = status, .content_type = "application/json"};

	if (v)
		json_write(v, &text);
	http_reply_bytes(r, &h, buf_view(&text));
}

static void refuse(struct asked *q, int status, const char *why)
{
	reply(q->r, status, json_build(q->a, "{s:s}", "message", why));
}

/* ---- what a pull request looks like ---- */

static struct json *github_side(struct arena *a, const char *branch, const char *sha)
{
	return json_build(a, "{s:s,s:s,s:s,s:{s:s},s:i}", "ref", branch, "label", branch, "sha",
			  sha, "repo", "full_name", f.path, "repo_id", 1);
}

static struct json *pull_json(struct asked *q, int n)
{
	struct arena *a = q->a;
	const struct pull *p = &f.pulls[n - 1];
	bool merged = !strcmp(p->state, "merged"), open = !strcmp(p->state, "open");
	char *url = arena_printf(a, "https://forge.example/%s/pull/%d", f.path, n);
	struct json *v;

	if (q->dialect == GITLAB)
		return json_build(a, "{s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:i}", "id",
				  1000 + n, "iid", n, "state", open ? "opened" : p->state, "title",
				  p->title, "description", p->body, "source_branch", p->head,
				  "target_branch", p->base, "sha", p->sha, "web_url", url,
				  "source_project_id", 1, "target_project_id", 1);
	v = json_build(a, "{s:i,s:s,s:s,s:s,s:s,s:o,s:o}", "number", n, "state",
		       open ? "open" : "closed", "title", p->title, "body", p->body, "html_url",
		       url, "head", github_side(a, p->head, p->sha), "base",
		       github_side(a, p->base, ""));
	if (q->dialect == GITEA)
		json_set_bool(a, v, "merged", merged);
	else if (merged)
		json_set_str(a, v, "merged_at", STR("2026-01-01T00:00:00Z"));
	else
		json_set(a, v, STR("merged_at"), NULL);
	return v;
}

static struct str member(const struct asked *q, const char *github, const char *gitlab)
{
	return json_str(json_get(q->body, str_c(q->dialect == GITLAB ? gitlab : github)));
}

static void pull_open(struct asked *q)
{
	struct str head = member(q, "head", "source_branch"),
		   base = member(q, "base", "target_branch"), title = member(q, "title", "title");
	char *sha = branch_sha(q->a, head);
	struct pull *p;

	if (!head.n || !base.n || !title.n || !sha) {
		free(sha);
		refuse(q, 422, "Validation Failed");
		return;
	}
	for (int i = 0; i < f.npulls; i++) {
		if (str_is(head, f.pulls[i].head) && !strcmp(f.pulls[i].state, "open")) {
			free(sha);
			refuse(q, q->dialect == GITHUB ? 422 : 409, "it exists already");
			return;
		}
	}
	p = &f.pulls[f.npulls++];
	*p = (struct pull){.head = copy(head),
			   .base = copy(base),
			   .title = copy(title),
			   .body = copy(member(q, "body", "description")),
			   .sha = sha,
			   .state = "open"};
	reply(q->r, 201, pull_json(q, f.npulls));
}

static void pull_list(struct asked *q)
{
	struct json *list = json_new(q->a, JSON_ARRAY);
	struct str state = http_query(q->a, q->r->query, "state"), head = STR_NONE, base = STR_NONE,
		   owner, rest;
	bool open_only = str_is(state, "open") || str_is(state, "opened");

	if (q->dialect == GITLAB) {
		head = http_query(q->a, q->r->query, "source_branch");
		base = http_query(q->a, q->r->query, "target_branch");
	} else if (q->dialect == GITHUB) {
		base = http_query(q->a, q->r->query, "base");
		if (str_cut(http_query(q->a, q->r->query, "head"), ':', &owner, &rest))
			head = rest;
	}
	for (int n = f.npulls; n > 0; n--) {
		const struct pull *p = &f.pulls[n - 1];

		if ((open_only && strcmp(p->state, "open") != 0) ||
		    (head.n && !str_is(head, p->head)) || (base.n && !str_is(base, p->base)))
			continue;
		json_append(q->a, list, pull_json(q, n));
	}
	reply(q->r, 200, list);
}

static void replace(char **slot, struct str s)
{
	if (!s.p)
		return;
	free(*slot);
	*slot = copy(s);
}

static void pull_change(struct asked *q, int n)
{
	struct pull *p = &f.pulls[n - 1];

	replace(&p->title, member(q, "title", "title"));
	replace(&p->body, member(q, "body", "description"));
	if (str_is(member(q, "state", "state_event"), q->dialect == GITLAB ? "close" : "closed") &&
	    !strcmp(p->state, "open"))
		p->state = "closed";
	reply(q->r, q->dialect == GITEA ? 201 : 200, pull_json(q, n));
}

/* ---- comments and statuses ---- */

static struct json *comment_json(struct asked *q, int id)
{
	return json_build(q->a, "{s:i,s:s}", "id", id, "body", f.comments[id - 1].body);
}

static void comment_list(struct asked *q, int n)
{
	struct json *list = json_new(q->a, JSON_ARRAY);

	for (int i = 1; i <= f.ncomments; i++) {
		if (f.comments[i - 1].pull == n)
			json_append(q->a, list, comment_json(q, i));
	}
	reply(q->r, 200, list);
}

static void comment_add(struct asked *q, int n)
{
	f.comments[f.ncomments++] =
		(struct comment){.pull = n, .body = copy(json_str(json_get(q->body, STR("body"))))};
	reply(q->r, 201, comment_json(q, f.ncomments));
}

static void comment_change(struct asked *q, int64_t id)
{
	if (id < 1 || id > f.ncomments) {
		refuse(q, 404, "Not Found");
		return;
	}
	replace(&f.comments[id - 1].body, json_str(json_get(q->body, STR("body"))));
	reply(q->r, 200, comment_json(q, (int)id));
}

static void status_add(struct asked *q, struct str sha)
{
	static const char *const known[2][5] = {{"pending", "success", "failure", "error"},
						{"pending", "running", "success", "failed"}};
	struct str state = json_str(json_get(q->body, STR("state"))),
		   context = member(q, "context", "name");

	for (size_t i = 0; i < 4; i++) {
		if (!str_is(state, known[q->dialect == GITLAB][i]))
			continue;
		buf_printf(&f.statuses, "%.*s %.*s %.*s %.*s\n", STR_ARG(sha), STR_ARG(state),
			   STR_ARG(context), STR_ARG(member(q, "description", "description")));
		reply(q->r, 201, json_build(q->a, "{s:i}", "id", 1));
		return;
	}
	refuse(q, 422, "no such state");
}

/* ---- paths ---- */

/* "7/notes" → 7, "notes". */
static bool number(struct str *rest, int64_t *ret)
{
	struct str head, tail;

	str_cut(*rest, '/', &head, &tail);
	*rest = tail;
	return !str_to_i64(head, ret);
}

static bool after(struct str *s, const char *prefix)
{
	if (!str_starts(*s, str_c(prefix)))
		return false;
	*s = str_sub(*s, strlen(prefix), s->n);
	return true;
}

static void on_pull(struct asked *q, struct str rest)
{
	bool get = str_is(q->r->method, "GET"), post = str_is(q->r->method, "POST");
	const char *change = q->dialect == GITLAB ? "PUT" : "PATCH";
	int64_t n, id;

	if (!rest.n && get)
		pull_list(q);
	else if (!rest.n && post)
		pull_open(q);
	else if (!number(&rest, &n) || n < 1 || n > f.npulls)
		refuse(q, 404, "Not Found");
	else if (!rest.n && get)
		reply(q->r, 200, pull_json(q, (int)n));
	else if (!rest.n && str_is(q->r->method, change))
		pull_change(q, (int)n);
	else if (str_is(rest, q->dialect == GITLAB ? "notes" : "comments") && get)
		comment_list(q, (int)n);
	else if (str_is(rest, q->dialect == GITLAB ? "notes" : "comments") && post)
		comment_add(q, (int)n);
	else if (q->dialect == GITLAB && after(&rest, "notes/") && number(&rest, &id))
		comment_change(q, id);
	else
		refuse(q, 404, "Not Found");
}

static void api(struct asked *q)
{
	struct str rest = q->rest;
	int64_t id;

	if (after(&rest, q->dialect == GITLAB ? "merge_requests" : "pulls") ||
	    (q->dialect != GITLAB && !str_starts(rest, STR("issues/comments")) &&
	     after(&rest, "issues"))) {
		on_pull(q, after(&rest, "/") ? rest : STR(""));
	} else if (q->dialect != GITLAB && after(&rest, "issues/comments/") && number(&rest, &id)) {
		comment_change(q, id);
	} else if (after(&rest, "statuses/") && str_is(q->r->method, "POST")) {
		status_add(q, rest);
	} else {
		refuse(q, 404, "Not Found");
	}
}

static bool authorized(const struct asked *q)
{
	struct str token = http_header(&q->r->headers,
				       q->dialect == GITLAB ? "PRIVATE-TOKEN" : "Authorization");

	if (q->dialect == GITHUB && !after(&token, "Bearer "))
		return false;
	if (q->dialect == GITEA && !after(&token, "token "))
		return false;
	return str_is(token, f.token);
}

/* Of App 12345: whose signature it is is tried elsewhere. */
static void app_token(struct asked *q)
{
	struct str token = http_header(&q->r->headers, "Authorization"), head, claims, signature;
	AUTO(buf) struct buf text = {0};
	char when[TIME_TEXT_MAX];
	const struct json *v;

	if (!after(&token, "Bearer ") || !str_cut(token, '.', &head, &token) ||
	    !str_cut(token, '.', &claims, &signature) || !signature.n ||
	    base64url_decode(claims, &text)) {
		refuse(q, 401, "A JSON web token could not be decoded");
		return;
	}
	v = json_parse(q->a, buf_view(&text), NULL, NULL);
	if (!str_is(json_str(json_get(v, STR("iss"))), "12345")) {
		refuse(q, 401, "Integration not found");
		return;
	}
	reply(q->r, 201,
	      json_build(q->a, "{s:s,s:S}", "token", f.token, "expires_at",
			 time_format(loop_wall(f.loop) + (f.life_s ?: 3600) * NS_PER_S, when)));
}

/* ---- what tests do ---- */

static void show(struct asked *q)
{
	AUTO(buf) struct buf out = {0};
	struct http_reply h = {.status = 200, .content_type = "text/plain"};

	for (int i = 0; i < f.npulls; i++)
		buf_printf(&out, "pull %d %s %s %s\n%s\n", i + 1, f.pulls[i].state, f.pulls[i].head,
			   f.pulls[i].title, f.pulls[i].body);
	for (int i = 0; i < f.ncomments; i++)
		buf_printf(&out, "comment %d on %d: %s\n", i + 1, f.comments[i].pull,
			   f.comments[i].body);
	buf_printf(&out, "statuses:\n%.*slog:\n%.*s", STR_ARG(buf_view(&f.statuses)),
		   STR_ARG(buf_view(&f.log)));
	http_reply_bytes(q->r, &h, buf_view(&out));
}

static void control(struct asked *q)
{
	struct str rest = q->rest;
	int64_t n, code;

	if (str_is(rest, "state")) {
		show(q);
		return;
	}
	if (after(&rest, "fail/") && number(&rest, &code) && number(&rest, &n)) {
		struct str name, value;

		str_cut(rest, '=', &name, &value);
		f.fail_status = (int)code;
		f.fail_times = (int)n;
		replace(&f.fail_header, name.p ? name : STR(""));
		replace(&f.fail_value, value.p ? value : STR(""));
	} else if (after(&rest, "close/") && number(&rest, &n) && n >= 1 && n <= f.npulls) {
		f.pulls[n - 1].state = "closed";
	} else if (after(&rest, "merge/") && number(&rest, &n) && n >= 1 && n <= f.npulls) {
		f.pulls[n - 1].state = "merged";
	} else if (after(&rest, "life/") && number(&rest, &n)) {
		f.life_s = n;
	} else if (str_is(rest, "open")) {
		pull_open(q);
		return;
	} else if (after(&rest, "moved/") && number(&rest, &n) && n >= 1 && n <= f.npulls) {
		char *sha = branch_sha(q->a, str_c(f.pulls[n - 1].head));

		replace(&f.pulls[n - 1].sha, str_c(sha));
		free(sha);
	} else {
		refuse(q, 404, "Not Found");
		return;
	}
	reply(q->r, 200, json_new(q->a, JSON_OBJECT));
}

/* What faults are for: reading, which goes on all the time, would use them up. */
static bool is_telling(const struct asked *q)
{
	return !str_is(q->r->method, "GET") && (str_find(q->rest, STR("/pulls")) >= 0 ||
						str_find(q->rest, STR("/merge_requests")) >= 0);
}

static void handle(void *arg, struct http_req *r)
{
	struct asked q = {.r = r, .a = &r->arena, .rest = r->raw_path};
	struct http_header extra;
	AUTO(buf) struct buf escaped = {0};

	(void)arg;
	if (r->body.n)
		q.body = json_parse(q.a, r->body, NULL, NULL);
	if (after(&q.rest, "/_/")) {
		control(&q);
		return;
	}
	buf_printf(&f.log, "%.*s %.*s\n", STR_ARG(r->method), STR_ARG(r->raw_path));
	if (after(&q.rest, "/sink/")) {
		buf_printf(&f.log, "sink %.*s: %.*s\n", STR_ARG(q.rest), STR_ARG(r->body));
		reply(r, 200, NULL);
		return;
	}
	if (f.fail_times > 0 && is_telling(&q)) {
		struct http_reply h = {.status = f.fail_status,
				       .content_type = "application/json",
				       .headers = &extra,
				       .nheaders = f.fail_header[0] != 0};

		f.fail_times--;
		extra = (struct http_header){str_c(f.fail_header), str_c(f.fail_value)};
		http_reply_bytes(r, &h, STR("{\"message\":\"told to fail\"}"));
		return;
	}
	if (str_is(q.rest, "/api/v3/app/installations/77/access_tokens")) {
		app_token(&q);
		return;
	}
	url_escape(str_c(f.path), &escaped);
	if (after(&q.rest, "/api/v3/repos/"))
		q.dialect = GITHUB;
	else if (after(&q.rest, "/api/v1/repos/"))
		q.dialect = GITEA;
	else if (after(&q.rest, "/api/v4/projects/"))
		q.dialect = GITLAB;
	else
		q.rest = STR("");
	if (!after(&q.rest, q.dialect == GITLAB ? buf_cstr(&escaped) : f.path) ||
	    !after(&q.rest, "/"))
		refuse(&q, 404, "Not Found");
	else if (!authorized(&q))
		refuse(&q, 401, "Bad credentials");
	else
		api(&q);
}

int main(int argc, char **argv)
{
	struct http_server_opts o = {.handle = handle};
	struct err err = {0};
	struct http_server *s;
	int port;

	if (argc != 4) {
		fprintf(stderr, "forge REPOSITORY TOKEN OWNER/NAME\n");
		return 2;
	}
	f.repository = argv[1];
	f.token = argv[2];
	f.path = argv[3];
	f.fail_header = xstrdup("");
	f.fail_value = xstrdup("");
	f.loop = loop_new();
	s = http_server_new(f.loop, &o, &err);
	port = s ? http_server_listen(s, "127.0.0.1:0", &err) : -1;
	if (port < 0) {
		fprintf(stderr, "forge: %s\n", err.msg);
		return 1;
	}
	printf("%d\n", port);
	fflush(stdout);
	loop_run(f.loop);
	return 0;
}
