/*
 * Whether a webhook is what it says: signatures over the body as it came, compared in constant
 * time; tokens alike. SHA-1 is refused. Pure; nothing is kept.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/hmac.h"
#include "reconciler/webhook.h"

#include "lib/base/pure.h"

/* Where each type keeps what. Of several signature headers the first that is there counts. */
static const struct {
	const char *type;
	const char *signature[2];
	bool bare;    /* hexadecimal digits alone, without sha256= */
	bool token;   /* not a signature but the token itself */
	bool any_sum; /* sha384 and sha512, too */
	const char *event;
} types[] = {
	{"github", {"X-Hub-Signature-256"}, .event = "X-GitHub-Event"},
	{"gitlab", {"X-Gitlab-Token"}, .token = true, .event = "X-Gitlab-Event"},
	{"gitea", {"X-Gitea-Signature"}, .bare = true, .event = "X-Gitea-Event"},
	{"forgejo",
	 {"X-Forgejo-Signature", "X-Gitea-Signature"},
	 .bare = true,
	 .event = "X-Gitea-Event"},
	{"bitbucket", {"X-Hub-Signature"}, .event = "X-Event-Key"},
	{"generic-hmac", {"X-Signature"}, .any_sum = true},
	{"harbor", {"Authorization"}, .token = true},
	/* Who knows the path knows the token: it is made of it. Registries sign nothing. */
	{"generic", {NULL}, .event = NULL},
	{"dockerhub", {NULL}, .event = NULL},
	{"quay", {NULL}, .event = NULL},
	{"acr", {NULL}, .event = NULL},
	{"cdevents", {NULL}, .event = "Ce-Type"},
};

static ptrdiff_t find(struct str type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_is(type, types[i].type))
			return (ptrdiff_t)i;
	}
	return -1;
}

bool webhook_type_known(struct str type)
{
	return find(type) >= 0;
}

void webhook_path(struct str token, struct str name, struct str namespace,
		  char ret[WEBHOOK_PATH_MAX])
{
	AUTO(buf) struct buf text = {0};
	char hex[65];

	buf_str(&text, token);
	buf_str(&text, name);
	buf_str(&text, namespace);
	sha256_hex(buf_view(&text), hex);
	snprintf(ret, WEBHOOK_PATH_MAX, WEBHOOK_PREFIX "%s", hex);
	buf_wipe(&text);
}

/* sha256=… and, where any will do, its longer brothers. */
static bool signature_fits(const struct webhook_request *q, struct str said, bool any)
{
	static const struct {
		const char *name;
		enum hmac_kind kind;
	} sums[] = {{"sha256", HMAC_SHA256}, {"sha384", HMAC_SHA384}, {"sha512", HMAC_SHA512}};
	struct str name, hex;

	if (!str_cut(said, '=', &name, &hex))
		return false;
	for (size_t i = 0; i < (any ? ARRAY_LEN(sums) : 1); i++) {
		if (str_is(name, sums[i].name))
			return hmac_fits(sums[i].kind, q->token, q->body, hex);
	}
	return false;
}

static bool genuine(const struct webhook_request *q, size_t i)
{
	struct str said = STR_NONE;

	if (!types[i].signature[0])
		return true;
	for (size_t k = 0; k < ARRAY_LEN(types[i].signature) && !said.n; k++) {
		if (types[i].signature[k])
			said = http_header(q->headers, types[i].signature[k]);
	}
	if (!said.n)
		return false;
	if (types[i].token)
		return str_eq_secret(said, q->token);
	if (types[i].bare)
		return hmac_fits(HMAC_SHA256, q->token, q->body, said);
	return signature_fits(q, said, types[i].any_sum);
}

/* GitLab says "Push Hook", and so do people's lists. */
static bool wanted(const struct webhook_request *q, const char *header)
{
	struct str event;

	if (!header || !json_len(q->events))
		return true;
	event = http_header(q->headers, header);
	for (size_t i = 0; i < json_len(q->events); i++) {
		if (event.n && str_ieq(json_str(json_item(q->events, i)), event))
			return true;
	}
	return false;
}

int webhook_check(const struct webhook_request *q, struct err *err)
{
	ptrdiff_t i = find(q->type);

	if (i < 0)
		return err_set(err, ERR_UNSUPPORTED, "receivers of this type are not known here");
	if (!q->token.n || !genuine(q, (size_t)i))
		return err_set(err, ERR_UNAUTHORIZED, "the signature does not fit");
	if (!wanted(q, types[i].event))
		return err_set(err, ERR_BAD_REQUEST, "the event is not one of spec.events");
	return 0;
}
