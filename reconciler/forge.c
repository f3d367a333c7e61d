/*
 * What forges have in common: which repository a URL means there, texts within bounds, and what an
 * answer's status says about asking again. Pure; everything is in the caller's arena. Tokens come
 * here only to be kept out of messages.
 */
#include "reconciler/forge.h"

#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define RETRY_UNSAID_S 60
#define RETRY_MAX_S 3600
#define MESSAGE_MAX 200

static const struct forge_ops *const kinds[] = {&forge_github, &forge_gitlab, &forge_gitea};

struct str forge_cut(struct arena *a, struct str s, size_t n)
{
	if (s.n <= n)
		return s;
	n -= MIN(n, (size_t)3);
	while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return arena_strf(a, "%.*s…", (int)n, s.p);
}

struct str forge_json(struct arena *a, const struct json *v)
{
	AUTO(buf) struct buf text = {0};

	json_write(v, &text);
	return arena_str(a, buf_view(&text));
}

struct str forge_escape(struct arena *a, struct str s, bool keep_slashes)
{
	AUTO(buf) struct buf out = {0};
	struct str rest = s, part;
	bool first = true;

	if (!keep_slashes) {
		url_escape(s, &out);
		return arena_str(a, buf_view(&out));
	}
	while (str_next(&rest, '/', &part)) {
		if (!first)
			buf_putc(&out, '/');
		url_escape(part, &out);
		first = false;
	}
	return arena_str(a, buf_view(&out));
}

void forge_status_request(struct arena *a, const struct forge_ask *q, struct str repo,
			  struct forge_request *ret)
{
	static const char *const states[] = {[FORGE_PENDING] = "pending",
					     [FORGE_SUCCESS] = "success",
					     [FORGE_FAILURE] = "failure",
					     [FORGE_ERROR] = "error"};
	struct json *v = json_build(a, "{s:s,s:S,s:S}", "state", states[q->state], "description",
				    q->body, "context", q->context);

	if (q->link.n)
		json_set_str(a, v, "target_url", q->link);
	ret->method = "POST";
	ret->path = arena_strf(a, "%.*s/statuses/%.*s", STR_ARG(repo),
			       STR_ARG(forge_escape(a, q->sha, false)));
	ret->body = forge_json(a, v);
}

/* ---- which repository ---- */

static const struct forge_ops *kind_find(struct str name)
{
	if (str_is(name, "forgejo"))
		return &forge_gitea;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (str_is(name, kinds[i]->name))
			return kinds[i];
	}
	return NULL;
}

/* scheme://[user@]host[:port]/path, and git@host:path. */
struct address {
	struct str scheme, host, path; /* host with its port */
};

static bool address_split(struct str url, struct address *ret)
{
	ptrdiff_t at = str_find(url, STR("://"));
	struct str user, rest;

	*ret = (struct address){0};
	if (at < 0) {
		ret->scheme = STR("ssh");
		if (!str_cut(url, ':', &ret->host, &ret->path))
			return false;
	} else {
		ret->scheme = str_sub(url, 0, (size_t)at);
		str_cut(str_sub(url, (size_t)at + 3, url.n), '/', &ret->host, &ret->path);
	}
	if (str_rcut(ret->host, '@', &user, &rest))
		ret->host = rest;
	return true;
}

static bool host_valid(struct str host)
{
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == ':' || c == '[' || c == ']'))
			return false;
	}
	return host.n > 0 && host.n < 256;
}

static bool path_valid(struct str path)
{
	struct str rest = path, part;
	size_t n = 0;

	while (str_next(&rest, '/', &part)) {
		if (!part.n || str_is(part, ".") || str_is(part, ".."))
			return false;
		n++;
	}
	for (size_t i = 0; i < path.n; i++) {
		unsigned char c = (unsigned char)path.p[i];

		if (c <= ' ' || c == 0x7f || c == '?' || c == '#' || c == '%' || c == '\\')
			return false;
	}
	return n >= 2 && n <= 20 && path.n <= 400;
}

static struct str last_two(struct str path)
{
	struct str head, name, more, owner;

	if (!str_rcut(path, '/', &head, &name))
		return path;
	if (!str_rcut(head, '/', &more, &owner))
		return path;
	return str_sub(path, more.n + 1, path.n);
}

static struct str bare(struct str path)
{
	while (path.n && path.p[0] == '/')
		path = str_sub(path, 1, path.n);
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	if (str_ends(path, STR(".git")))
		path.n -= 4;
	return path;
}

static void api_of(struct arena *a, const struct address *at, struct forge_repo *ret)
{
	const struct forge_ops *ops = ret->ops;
	struct str host = at->host, port;
	bool plain = str_is(at->scheme, "http");

	/* The API answers neither on ssh's nor on git's port. */
	if (!plain && !str_is(at->scheme, "https") && host.n && host.p[0] != '[')
		str_cut(at->host, ':', &host, &port);
	if (ops->hosted && str_ieq(host, str_c(ops->hosted))) {
		ret->origin = str_c(ops->api_hosted);
		ret->base = STR("");
		return;
	}
	ret->origin = arena_strf(a, "%s://%.*s", plain ? "http" : "https", STR_ARG(host));
	ret->base = str_c(ops->base);
}

int forge_repo_parse(struct arena *a, struct str kind, struct str repository, struct str url,
		     struct forge_repo *ret, struct err *err)
{
	struct str name, where, path = bare(repository), prefix;
	struct address git = {0}, at;
	bool said = str_cut(kind, '=', &name, &where);

	*ret = (struct forge_repo){.ops = kind_find(str_trim(name))};
	if (!ret->ops)
		return err_set(err, ERR_INVALID,
			       "no forge is called '%.*s': github, gitlab, gitea, forgejo",
			       (int)MIN(name.n, (size_t)40), name.p);
	if (!address_split(url, &git))
		return err_set(err, ERR_INVALID, "not an address of a repository");
	at = git;
	if (said && (!address_split(str_trim(where), &at) ||
		     (!str_is(at.scheme, "http") && !str_is(at.scheme, "https"))))
		return err_set(err, ERR_INVALID, "the forge's address must be http or https");
	if (!host_valid(at.host))
		return err_set(err, ERR_INVALID,
			       "the repository's address names no host: say "
			       "KIND=URL of the forge");
	api_of(a, &at, ret);
	/* A forge may live below a path of its host; so then does the repository. */
	prefix = said ? bare(at.path) : STR_NONE;
	if (prefix.n)
		ret->base = arena_strf(a, "/%.*s%.*s", STR_ARG(prefix), STR_ARG(ret->base));
	if (!path.n)
		path = bare(git.path);
	if (!repository.n && prefix.n && str_starts(path, prefix) && path.n > prefix.n &&
	    path.p[prefix.n] == '/')
		path = str_sub(path, prefix.n + 1, path.n);
	if (str_is(git.scheme, "file") || ret->ops != &forge_gitlab)
		path = last_two(path);
	if (!path_valid(path))
		return err_set(err, ERR_INVALID, "the repository on the forge must be OWNER/NAME");
	ret->path = arena_str(a, path);
	return 0;
}

struct str forge_repo_text(struct arena *a, const struct forge_repo *r)
{
	return arena_strf(a, "%s:%.*s", r->ops->name, STR_ARG(r->path));
}

/* ---- requests and answers ---- */

void forge_request_make(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
			struct forge_request *ret)
{
	struct forge_ask copy = *q;

	copy.page = MAX(q->page, 1);
	copy.title = forge_cut(a, q->title, FORGE_TITLE_MAX);
	/* What a status says is a line; GitHub takes 140 characters. */
	copy.body = forge_cut(a, q->body, q->verb == FORGE_STATUS ? 140 : FORGE_BODY_MAX);
	*ret = (struct forge_request){.method = "GET"};
	r->ops->request(a, r, &copy, ret);
	ret->path = arena_strf(a, "%.*s%.*s", STR_ARG(r->base), STR_ARG(ret->path));
}

static void read_pulls(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
		       const struct json *list, struct forge_answer *ret)
{
	size_t n = json_len(list);

	ret->pulls = arena_array(a, n + 1, sizeof(*ret->pulls));
	for (size_t i = 0; i < n; i++) {
		struct forge_pull p = {0};

		if (!r->ops->pull(json_item(list, i), &p))
			continue;
		/* Somebody else's branch may bear the same name. */
		if (q->verb == FORGE_FIND && (p.foreign || !str_eq(p.head, q->head)))
			continue;
		if (q->verb == FORGE_LIST && !str_eq(p.base, q->base))
			continue;
		ret->pulls[ret->npulls++] = p;
	}
}

static void read_comments(struct arena *a, const struct json *list, struct forge_answer *ret)
{
	size_t n = json_len(list);

	ret->comments = arena_array(a, n + 1, sizeof(*ret->comments));
	for (size_t i = 0; i < n; i++) {
		const struct json *v = json_item(list, i);
		struct forge_comment c = {.id = json_int(json_get(v, STR("id")), 0),
					  .body = json_str(json_get(v, STR("body")))};

		if (c.id > 0)
			ret->comments[ret->ncomments++] = c;
	}
}

int forge_answer_read(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
		      struct str body, struct forge_answer *ret, struct err *err)
{
	const struct json_limits *limits = NULL;
	const struct json *v;

	*ret = (struct forge_answer){0};
	if (q->verb == FORGE_STATUS || q->verb == FORGE_DROP || q->verb == FORGE_CLOSE)
		return 0;
	v = json_parse(a, body, limits, err);
	if (!v)
		return err_wrap(err, "the forge's answer");
	switch (q->verb) {
	case FORGE_FIND:
	case FORGE_LIST:
	case FORGE_COMMENTS:
		if (!json_is(v, JSON_ARRAY))
			return err_set(err, ERR_PARSE, "the forge's answer is not a list");
		/* More than was asked for is all that there is: that server knows no pages. */
		ret->more = json_len(v) == r->ops->page;
		if (q->verb == FORGE_COMMENTS)
			read_comments(a, v, ret);
		else
			read_pulls(a, r, q, v, ret);
		return 0;
	case FORGE_GET:
	case FORGE_OPEN:
	case FORGE_UPDATE:
		ret->pulls = arena_array(a, 1, sizeof(*ret->pulls));
		if (!r->ops->pull(v, ret->pulls))
			return err_set(err, ERR_PARSE, "the forge's answer is no pull request");
		ret->npulls = 1;
		return 0;
	case FORGE_COMMENT:
	case FORGE_RECOMMENT:
		ret->comments = arena_array(a, 1, sizeof(*ret->comments));
		ret->comments[0].id = json_int(json_get(v, STR("id")), 0);
		ret->ncomments = 1;
		return 0;
	case FORGE_CLOSE:
	case FORGE_STATUS:
	case FORGE_DROP:
	case FORGE_TOKEN:
	case FORGE_VERBS:
		break;
	}
	return 0;
}

/* ---- judging ---- */

static struct str header(const struct json *headers, const char *name)
{
	return json_str(json_get(headers, str_c(name)));
}

/* Seconds until a moment that is told in seconds since the epoch. */
static int64_t until(struct str epoch, int64_t now_s)
{
	int64_t at;

	return !epoch.n || str_to_i64(str_trim(epoch), &at) ? 0 : MAX(at - now_s, (int64_t)1);
}

static int64_t retry_after(const struct json *headers, int64_t now_s)
{
	struct str after = str_trim(header(headers, "retry-after")), left;
	int64_t n = 0;

	if (after.n && !str_to_i64(after, &n) && n >= 0)
		return MIN(MAX(n, (int64_t)1), (int64_t)RETRY_MAX_S);
	left = str_trim(header(headers, "x-ratelimit-remaining"));
	if (!left.p)
		left = str_trim(header(headers, "ratelimit-remaining"));
	if (!str_is(left, "0"))
		return 0;
	n = until(header(headers, "x-ratelimit-reset"), now_s);
	if (!n)
		n = until(header(headers, "ratelimit-reset"), now_s);
	return MIN(n ? n : RETRY_UNSAID_S, (int64_t)RETRY_MAX_S);
}

/* GitHub and Gitea say message, and errors[].message; GitLab message (text, list or object) and
 * error. */
static struct str said(struct arena *a, const struct json *v)
{
	const struct json *m = json_get(v, STR("message")), *errors = json_get(v, STR("errors"));
	AUTO(buf) struct buf text = {0};

	if (!m)
		m = json_get(v, STR("error"));
	if (json_is(m, JSON_STRING))
		buf_str(&text, json_str(m));
	else if (m)
		json_write(m, &text);
	for (size_t i = 0; i < json_len(errors) && i < 3 && json_is(errors, JSON_ARRAY); i++) {
		const struct json *e = json_item(errors, i);
		struct str s = json_is(e, JSON_STRING) ? json_str(e)
						       : json_str(json_get(e, STR("message")));

		if (s.n)
			buf_printf(&text, "; %.*s", (int)MIN(s.n, (size_t)MESSAGE_MAX), s.p);
	}
	return arena_str(a, buf_view(&text));
}

/* One line without the token, within bounds. */
static struct str harmless(struct arena *a, struct str s, struct str token)
{
	AUTO(buf) struct buf out = {0};

	while (s.n && out.n < MESSAGE_MAX) {
		if (token.n >= 4 && str_starts(s, token)) {
			buf_puts(&out, "<redacted>");
			s = str_sub(s, token.n, s.n);
			continue;
		}
		buf_putc(&out, (unsigned char)s.p[0] < ' ' ? ' ' : s.p[0]);
		s = str_sub(s, 1, s.n);
	}
	return forge_cut(a, arena_str(a, buf_view(&out)), MESSAGE_MAX);
}

static const struct {
	int status;
	enum err_code code;
	const char *text;
} verdicts[] = {
	{400, ERR_INVALID, "the forge refuses the request"},
	{401, ERR_UNAUTHORIZED, "the forge refuses the token"},
	{403, ERR_FORBIDDEN, "the token may not do this on the forge"},
	{404, ERR_NOT_FOUND,
	 "the forge has no such repository or pull request, or the token may "
	 "not see it"},
	{405, ERR_FORBIDDEN, "the forge does not allow this"},
	{409, ERR_CONFLICT, "the forge has something else there"},
	{410, ERR_NOT_FOUND, "the forge has it no longer"},
	{422, ERR_INVALID, "the forge refuses the request"},
	{429, ERR_TOO_MANY, "the forge wants fewer requests"},
};

int forge_judge(int status, const struct json *headers, struct str body, struct str token,
		int64_t now_s, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	enum err_code code = status >= 500 ? ERR_UNAVAILABLE : ERR_IO;
	const char *text = status >= 500 ? "the forge is in trouble" : "the forge answers oddly";
	int64_t wait = retry_after(headers, now_s);
	struct str why;

	if (status >= 200 && status < 300)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		if (verdicts[i].status == status) {
			code = verdicts[i].code;
			text = verdicts[i].text;
		}
	}
	why = said(&a, json_parse(&a, body, NULL, NULL));
	/* GitLab, of a commit status that says so already. */
	if (status == 400 && str_starts(why, STR("Cannot transition status")))
		return 0;
	/* GitHub's limits come as 403, the primary and the secondary one. */
	if (status == 403 && (wait || str_find(why, STR("rate limit")) >= 0)) {
		code = ERR_TOO_MANY;
		text = "the forge wants fewer requests";
	}
	if (code == ERR_TOO_MANY && !wait)
		wait = RETRY_UNSAID_S;
	why = harmless(&a, why, token);
	err_set(err, code, "%s (%d%s%.*s)", text, status, why.n ? ": " : "", STR_ARG(why));
	if (err && (code == ERR_TOO_MANY || code == ERR_UNAVAILABLE))
		err->retry_after_s = (int)wait;
	return -1;
}
