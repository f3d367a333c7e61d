/*
 * `plumb token`: what lets machines join. Tokens are Secrets of the form that Kubernetes knows
 * (bootstrap tokens); what is printed once, at the end of `create`, also names the hash of the
 * cluster's authority, so that whoever joins knows whom to trust. `list` never shows a secret.
 */
#include <stdio.h>
#include <string.h>

#include "cli/adminconf.h"
#include "cli/join.h"
#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define PREFIX "bootstrap-token-"
#define TYPE "bootstrap.kubernetes.io/token"
#define DAY (24 * 3600 * NS_PER_S)

enum { ID_LEN = 6, SECRET_LEN = 16 };

struct tokens {
	struct unitverb v;
	const char *description;
	int64_t ttl_ns;
};

/* Letters and digits, none likelier than another. */
static void random_text(char *out, size_t n)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char byte;

	for (size_t i = 0; i < n;) {
		random_bytes(&byte, 1);
		if (byte < 252)
			out[i++] = alphabet[byte % 36];
	}
	out[n] = 0;
}

static int authority_hash(const struct tokens *t, char ret[65], struct err *err)
{
	struct kubeconfig k = {0};
	int rc;

	if (adminconf_load(t->v.kubeconfig, t->v.data_dir, &k, err))
		return -1;
	rc = k.ca_pem ? join_hash(str_c(k.ca_pem), ret, err)
		      : err_set(err, ERR_INVALID, "the kubeconfig names no authority");
	kubeconfig_release(&k);
	return rc;
}

static int create(struct tokens *t, struct err *err)
{
	char id[ID_LEN + 1], secret[SECRET_LEN + 1], hash[65], until[TIME_TEXT_MAX];
	AUTO(buf) struct buf body = {0};
	struct json *o, *data;

	random_text(id, ID_LEN);
	random_text(secret, SECRET_LEN);
	if (authority_hash(t, hash, err))
		return -1;
	o = json_build(&t->v.arena, "{s:s,s:s,s:s,s:{s:S,s:s},s:{s:s,s:s,s:s}}", "apiVersion", "v1",
		       "kind", "Secret", "type", TYPE, "metadata", "name",
		       arena_strf(&t->v.arena, PREFIX "%s", id), "namespace", "kube-system",
		       "stringData", "token-id", id, "token-secret", secret,
		       "usage-bootstrap-authentication", "true");
	data = json_get(o, STR("stringData"));
	if (t->ttl_ns)
		json_set_str(&t->v.arena, data, "expiration",
			     time_format(loop_wall(t->v.loop) + t->ttl_ns, until));
	if (*t->description)
		json_set_str(&t->v.arena, data, "description", str_c(t->description));
	json_write(o, &body);
	if (client_sync(t->v.client,
			&(struct api_call){.verb = API_CREATE,
					   .resource = &res_secrets,
					   .namespace = STR("kube-system"),
					   .body = buf_view(&body)},
			NULL, err))
		return -1;
	printf("%s.%s.%s\n", id, secret, hash);
	return 0;
}

static struct str text_of(struct tokens *t, const struct json *secret, const char *key)
{
	AUTO(buf) struct buf text = {0};

	if (base64_decode(json_str_or(json_at(secret, "data", key), STR("")), &text))
		return STR("");
	return arena_str(&t->v.arena, buf_view(&text));
}

static void show(struct tokens *t, const struct json *secret)
{
	struct str id = text_of(t, secret, "token-id"), about = text_of(t, secret, "description");
	struct str until = text_of(t, secret, "expiration");
	int64_t ends = 0;
	bool over = until.n && !time_parse(until, &ends) && ends <= loop_wall(t->v.loop);

	printf("%-8.*s %-22.*s %.*s\n", STR_ARG(id), until.n ? (over ? 7 : (int)until.n) : 5,
	       until.n ? (over ? "expired" : until.p) : "never", STR_ARG(about));
}

static int list(struct tokens *t, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	const struct json *items;

	if (client_sync(t->v.client,
			&(struct api_call){.verb = API_LIST,
					   .resource = &res_secrets,
					   .namespace = STR("kube-system"),
					   .query = "fieldSelector=type%3Dbootstrap.kubernetes.io"
						    "%2Ftoken"},
			&body, err))
		return -1;
	items = json_get(json_parse(&t->v.arena, buf_view(&body), NULL, err), STR("items"));
	printf("%-8s %-22s %s\n", "ID", "EXPIRES", "DESCRIPTION");
	for (size_t i = 0; i < json_len(items); i++)
		show(t, json_item(items, i));
	buf_wipe(&body);
	return 0;
}

static int drop(struct tokens *t, const char *which, struct err *err)
{
	struct str id, rest;

	str_cut(str_c(which), '.', &id, &rest); /* whole tokens are taken, too */
	if (client_sync(
		    t->v.client,
		    &(struct api_call){.verb = API_DELETE,
				       .resource = &res_secrets,
				       .namespace = STR("kube-system"),
				       .name = arena_strf(&t->v.arena, PREFIX "%.*s", STR_ARG(id))},
		    NULL, err))
		return -1;
	printf("token %.*s is deleted\n", STR_ARG(id));
	return 0;
}

static int run(struct tokens *t, int nargs, char **argv, struct err *err)
{
	const char *verb = nargs ? argv[0] : "";

	if (unitverb_open(&t->v, err))
		return -1;
	if (nargs == 1 && !strcmp(verb, "create"))
		return create(t, err);
	if (nargs == 1 && !strcmp(verb, "list"))
		return list(t, err);
	if (nargs == 2 && !strcmp(verb, "delete"))
		return drop(t, argv[1], err);
	return err_set(err, ERR_BAD_REQUEST, "plumb token create, list or delete ID");
}

static int token_main(int argc, char **argv)
{
	struct tokens t = {.description = "", .ttl_ns = DAY};
	const struct flag flags[] = {
		UNITVERB_FLAGS(&t.v),
		{"ttl", 0, FLAG_DURATION, &t.ttl_ns, "DURATION",
		 "how long a new one may be used; 0 = for ever (24h)"},
		{"description", 0, FLAG_STRING, &t.description, "TEXT", "what it is for"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs, rc;

	unitverb_defaults(&t.v);
	rc = flags_parse(
		argc, argv, flags,
		"plumb token create|list|delete ID\n\nWhat lets machines join the cluster.", &nargs,
		&err);
	if (!rc)
		rc = run(&t, nargs, argv, &err);
	if (rc)
		fprintf(stderr, "plumb token: %s\n", err.msg);
	unitverb_release(&t.v);
	return rc ? 1 : 0;
}

const struct verb verb_token = {.name = "token",
				.help = "create, list and delete what lets machines join",
				.main = token_main};
