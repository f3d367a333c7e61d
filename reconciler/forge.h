/*
 * Forges: GitHub, GitLab, Gitea and Forgejo, as far as pull requests, comments and commit statuses
 * go. Here is what is pure: where requests go, what they say, how answers are read and judged. A
 * kind is one struct of functions. Nothing here sends anything or holds a token.
 */
#ifndef PLUMB_RECONCILER_FORGE_H
#define PLUMB_RECONCILER_FORGE_H

#include "lib/http/http.h"
#include "lib/json/json.h"

#define FORGE_PAGE 30      /* entries of one page: they are long */
#define FORGE_PAGES_MAX 10 /* that are looked through */
#define FORGE_ANSWER_MAX (4u << 20)
#define FORGE_BODY_MAX 60000 /* of a pull request or comment, in bytes */
#define FORGE_TITLE_MAX 200

struct forge_ops;

/* A repository on a forge. Texts are borrowed. */
struct forge_repo {
	const struct forge_ops *ops;
	struct str origin; /* https://api.github.com */
	struct str base;   /* /api/v3, "" */
	struct str path;   /* owner/name; group/subgroup/name on GitLab */
};

enum forge_verb {
	FORGE_FIND,      /* pulls of branch head, the newest first */
	FORGE_GET,       /* pull number */
	FORGE_LIST,      /* open pulls into base */
	FORGE_OPEN,      /* head, base, title, body */
	FORGE_UPDATE,    /* number, title, body */
	FORGE_CLOSE,     /* number; body, unless it stays as it is */
	FORGE_COMMENT,   /* number, body */
	FORGE_COMMENTS,  /* number */
	FORGE_RECOMMENT, /* number, comment, body */
	FORGE_STATUS,    /* sha, state, context, body (a line), link */
	FORGE_DROP,      /* branch head */
	FORGE_TOKEN,     /* a GitHub App's token, nothing else; fresh */
	FORGE_VERBS
};
enum forge_state { FORGE_PENDING, FORGE_SUCCESS, FORGE_FAILURE, FORGE_ERROR };

struct forge_ask {
	enum forge_verb verb;
	int page; /* from 1 */
	int64_t number, comment;
	struct str head, base, title, body, sha, context, link;
	enum forge_state state;
	bool fresh; /* not the one that is known: it was refused */
};

struct forge_request {
	const char *method;
	struct str path; /* from the origin on, escaped */
	struct str body; /* JSON, or STR_NONE */
};

enum pull_state { PULL_OPEN, PULL_CLOSED, PULL_MERGED };
struct forge_pull {
	int64_t number;
	enum pull_state state;
	bool foreign;                /* its head lies in another repository */
	struct str head, base, sha;  /* branches; the head's commit */
	struct str title, body, url; /* url is for people */
};
struct forge_comment {
	int64_t id;
	struct str body;
};
struct forge_answer {
	struct forge_pull *pulls;
	size_t npulls;
	struct forge_comment *comments;
	size_t ncomments;
	bool more; /* the page was full */
	struct str token;
};

struct forge_ops {
	const char *name, *title; /* gitlab, GitLab */
	const char *hosted; /* host that everybody knows, whose API is at api_hosted; or NULL */
	const char *api_hosted;
	const char *base; /* of the API anywhere else */
	const char *auth_header, *auth_prefix;
	const char *media;
	size_t page; /* entries of a full one */
	void (*request)(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
			struct forge_request *ret);
	/* One pull request; false when it isn't one. */
	bool (*pull)(const struct json *v, struct forge_pull *ret);
};
extern const struct forge_ops forge_github, forge_gitlab, forge_gitea;

/*
 * kind: "github", or "gitlab=https://git.example.com". repository: owner/name, or STR_NONE, when
 * url (of the git repository) tells. Everything of *ret is in `a`.
 */
MUST_USE int forge_repo_parse(struct arena *a, struct str kind, struct str repository,
			      struct str url, struct forge_repo *ret, struct err *err);
/* As a person would write it: gitlab:group/name. In `a`. */
struct str forge_repo_text(struct arena *a, const struct forge_repo *r);

/* Bodies and titles are cut to what every forge takes. */
void forge_request_make(struct arena *a, const struct forge_repo *r, const struct forge_ask *q,
			struct forge_request *ret);
/* What a 2xx says; texts are in `a` or point into body. */
MUST_USE int forge_answer_read(struct arena *a, const struct forge_repo *r,
			       const struct forge_ask *q, struct str body, struct forge_answer *ret,
			       struct err *err);

/*
 * What an answer means: 0 for 2xx, else -1 with err, whose retry_after_s says for how long the
 * forge wants to be left alone. token: never part of the message. now_s: seconds since the epoch.
 */
MUST_USE int forge_judge(int status, const struct json *headers, struct str body, struct str token,
			 int64_t now_s, struct err *err);

/* At most n bytes, not within a character; a mark where it was cut. In `a`. */
struct str forge_cut(struct arena *a, struct str s, size_t n);
/* As JSON text, in `a`. */
struct str forge_json(struct arena *a, const struct json *v);
/* Path segments: all but unreserved characters escaped, '/' kept where asked. */
struct str forge_escape(struct arena *a, struct str s, bool keep_slashes);
/* A commit status as GitHub takes it, and Gitea after it. */
void forge_status_request(struct arena *a, const struct forge_ask *q, struct str repo,
			  struct forge_request *ret);

/* GitHub's App: {iat, exp, iss} signed by its key, as a bearer token. In `a`; NULL with err. */
char *forge_app_token(struct arena *a, struct str app_id, struct str key_pem, int64_t now_s,
		      struct err *err);

#endif
