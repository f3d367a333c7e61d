/*
 * `plumb keys`: the cluster's sealing keys. Private keys are Secrets in kube-system, encrypted in
 * the store; this command makes new ones and changes what they may be used for, but never prints
 * one. Old keys open what was sealed under them until they are retired for good.
 */
#include <stdio.h>
#include <string.h>

#include "cli/datadir.h"
#include "cli/keybackup.h"
#include "cli/keyuses.h"
#include "cli/sealkey.h"
#include "cli/verbs/verb.h"
#include "lib/base/codec.h"
#include "lib/base/flags.h"
#include "lib/base/timefmt.h"
#include "lib/json/yaml.h"
#include "lib/kube/client-http.h"
#include "lib/kube/resources.h"
#include "lib/os/secrecy.h"

#define LABEL "plumb.dev/sealing-key"
#define PREFIX "plumb-sealing-key-"
#define MADE "plumb.dev/sealing-key-made" /* as controllers/sealedsecret.c writes it */

struct keys {
	struct sealkey_opts where;
	const char *output, *passphrase_file;
	struct arena arena;
	struct loop *loop;
	struct client *client;
};

/* ID, its name in the API, state, when it was made; the newest active one seals. */
struct key_row {
	struct str name, state, created;
	struct seal_pub pub;
	struct keyuse use;
};

static int list(struct keys *k, struct json **ret, struct err *err)
{
	struct api_call call = {.verb = API_LIST,
				.resource = &res_secrets,
				.namespace = STR("kube-system"),
				.query = "labelSelector=plumb.dev%2Fsealing-key"};
	AUTO(buf) struct buf body = {0};

	if (client_sync(k->client, &call, &body, err) != 0)
		return -1;
	*ret = json_parse(&k->arena, arena_str(&k->arena, buf_view(&body)), NULL, err);
	return *ret ? 0 : -1;
}

static int read_row(struct keys *k, const struct json *secret, struct key_row *ret, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	*ret = (struct key_row){
		.name = meta_name(secret),
		.state = meta_label(secret, LABEL),
		.created =
			json_str_or(json_get(json_at(secret, "metadata", "annotations"), STR(MADE)),
				    json_str(json_at(secret, "metadata", "creationTimestamp")))};
	(void)k;
	if (base64_decode(json_str(json_at(secret, "data", "public")), &text) != 0)
		return err_set(err, ERR_PARSE, "not base64");
	return seal_pub_parse(buf_view(&text), &ret->pub, err);
}

static bool newer(const struct key_row *a, const struct key_row *b)
{
	int c = str_cmp(a->created, b->created);

	return c ? c > 0 : str_cmp(a->name, b->name) > 0;
}

static const struct key_row *current(const struct key_row *v, size_t n)
{
	const struct key_row *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (str_is(v[i].state, "active") && (!best || newer(&v[i], best)))
			best = &v[i];
	return best;
}

/* Which keys nothing needs any more; what can't be known is said. */
static void print_advice(const struct key_row *v, size_t n, const struct keyuses *uses)
{
	const struct key_row *seals = current(v, n);
	char id[SEAL_ID_TEXT];

	for (size_t i = 0; i < n && n > 1; i++)
		if (&v[i] != seals && !v[i].use.cluster && !v[i].use.repositories &&
		    str_is(v[i].state, "active"))
			printf("\nNothing is sealed under %s any more: plumb keys retire %s\n",
			       seal_id_text(v[i].pub.id, id), id);
	if (n > 1 && uses->unseen)
		printf("\n%zu GitRepositories aren't looked at for sealed values: annotate them "
		       "with plumb.dev/sealing.\n",
		       uses->unseen);
}

static void print_table(const struct key_row *v, size_t n, const struct keyuses *uses)
{
	const struct key_row *seals = current(v, n);
	AUTO(buf) struct buf text = {0};
	char id[SEAL_ID_TEXT];

	printf("%-18s %-12s %-6s %-8s %-8s %s\n", "KEY", "STATE", "SEALS", "CLUSTER", "REPOS",
	       "CREATED");
	for (size_t i = 0; i < n; i++)
		printf("%-18s %-12.*s %-6s %-8llu %-8llu %.*s\n", seal_id_text(v[i].pub.id, id),
		       STR_ARG(v[i].state), &v[i] == seals ? "yes" : "",
		       (unsigned long long)v[i].use.cluster,
		       (unsigned long long)v[i].use.repositories, STR_ARG(v[i].created));
	print_advice(v, n, uses);
	if (!seals)
		return;
	seal_pub_write(&seals->pub, &text);
	printf("\nPublic key, for .plumb/cluster.pub:\n%s", buf_cstr(&text));
}

static void print_data(struct keys *k, const struct key_row *v, size_t n)
{
	struct json *all = json_new(&k->arena, JSON_ARRAY);
	const struct key_row *seals = current(v, n);
	AUTO(buf) struct buf out = {0};

	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf pub = {0};
		char id[SEAL_ID_TEXT];

		seal_pub_write(&v[i].pub, &pub);
		struct json *row = json_build(
			&k->arena, "{s:s, s:S, s:S, s:b, s:S}", "id", seal_id_text(v[i].pub.id, id),
			"state", v[i].state, "created", v[i].created, "seals",
			(int)(&v[i] == seals), "public", str_trim(buf_view(&pub)));
		json_set_int(&k->arena, row, "valuesInCluster", (int64_t)v[i].use.cluster);
		json_set_int(&k->arena, row, "valuesInRepositories",
			     (int64_t)v[i].use.repositories);
		json_append(&k->arena, all, row);
	}
	if (!strcmp(k->output, "json")) {
		json_write_pretty(all, 2, &out);
		buf_putc(&out, '\n');
	} else {
		yaml_write(all, &out);
	}
	fputs(buf_cstr(&out), stdout);
}

static int show(struct keys *k, const char *id UNUSED, struct err *err)
{
	struct json *all, *items;
	struct keyuses *uses = arena_alloc(&k->arena, sizeof(*uses));
	struct key_row *v;
	size_t n = 0;

	if (list(k, &all, err) != 0 || keyuses_find(k->client, uses, err) != 0)
		return -1;
	items = json_get(all, STR("items"));
	v = arena_array(&k->arena, json_len(items) + 1, sizeof(*v));
	for (size_t i = 0; i < json_len(items); i++) {
		struct err why = {0};

		if (read_row(k, json_item(items, i), &v[n], &why) == 0) {
			v[n].use = keyuses_of(uses, v[n].pub.id);
			n++;
		} else {
			fprintf(stderr, "plumb keys: %.*s: %s\n",
				STR_ARG(meta_name(json_item(items, i))), why.msg);
		}
	}
	if (*k->output)
		print_data(k, v, n);
	else
		print_table(v, n, uses);
	return 0;
}

static void set_base64(struct arena *a, struct json *to, const char *field, struct str bytes)
{
	struct buf text = {0};

	base64_encode(bytes, &text);
	json_set_str(a, to, field, buf_view(&text));
	buf_wipe(&text);
}

/* The controller sees the new Secret and publishes its public half. */
static int rotate(struct keys *k, const char *unused UNUSED, struct err *err)
{
	struct buf private = {0}, body = {0};
	AUTO(buf) struct buf public = {0};
	struct api_call call = {
		.verb = API_CREATE, .resource = &res_secrets, .namespace = STR("kube-system")};
	struct json *o, *data;
	char id[SEAL_ID_TEXT], now[TIME_TEXT_MAX];
	struct seal_pub pub;
	int rc;

	seal_key_generate(&private, &pub);
	seal_pub_write(&pub, &public);
	o = json_build(&k->arena, "{s:s, s:s, s:s, s:{s:S, s:s, s:{s:s}, s:{s:S}}}", "apiVersion",
		       "v1", "kind", "Secret", "type", "plumb.dev/sealing-key", "metadata", "name",
		       arena_strf(&k->arena, PREFIX "%s", seal_id_text(pub.id, id)), "namespace",
		       "kube-system", "labels", LABEL, "active", "annotations", MADE,
		       time_format_micro(loop_wall(k->client->loop), now));
	data = json_set_object(&k->arena, o, "data");
	set_base64(&k->arena, data, "private", buf_view(&private));
	set_base64(&k->arena, data, "public", buf_view(&public));
	json_write(o, &body);
	call.body = buf_view(&body);
	rc = client_sync(k->client, &call, NULL, err);
	buf_wipe(&private);
	buf_wipe(&body);
	if (rc != 0)
		return -1;
	printf("Values are sealed under key %s from now on; older keys still open theirs.\n"
	       "Commit its public half as .plumb/cluster.pub:\n%s",
	       id, buf_cstr(&public));
	return 0;
}

struct answer {
	struct loop *loop;
	struct err err;
};

static void on_rotated(void *arg, const struct http_answer *a)
{
	struct answer *answer = arg;

	if (!a->status)
		answer->err = *a->err;
	else if (a->status != 200)
		err_set(&answer->err, err_from_http(a->status, NULL), "the server says %d: %.*s",
			a->status, (int)MIN(a->body.n, 300), a->body.p);
	loop_stop(answer->loop);
}

/* The API server makes the key and writes anew what is encrypted under older ones. */
static int rotate_root(struct keys *k, const char *unused UNUSED, struct err *err)
{
	struct http_client_api *h = CONTAINER_OF(k->client, struct http_client_api, client);
	struct answer answer = {.loop = k->loop};
	struct http_header headers[4];

	http_client_call(h->http, &(struct http_call){
					  .method = "POST",
					  .path = STR("/plumb/v1/root-key"),
					  .headers = headers,
					  .nheaders = client_http_headers(h, NULL, NULL, headers),
					  .done = on_rotated,
					  .arg = &answer});
	loop_run(k->loop);
	if (answer.err.code) {
		*err = answer.err;
		return -1;
	}
	printf("The store's Secrets are being encrypted under a new root key. Older keys stay in "
	       "root.key for older backups: make a new copy of that file.\n");
	return 0;
}

static int set_state(struct keys *k, const char *id, const char *state, struct err *err)
{
	const char *body = arena_printf(
		&k->arena, "{\"metadata\":{\"labels\":{\"" LABEL "\":\"%s\"}}}", state);
	struct api_call call = {.verb = API_PATCH,
				.patch = API_PATCH_MERGE,
				.resource = &res_secrets,
				.namespace = STR("kube-system"),
				.body = str_c(body)};

	if (!id)
		return err_set(err, ERR_BAD_REQUEST, "which key? plumb keys show lists them");
	for (const char *c = id; *c; c++)
		if (!strchr("0123456789abcdef", *c))
			return err_set(err, ERR_BAD_REQUEST, "%s: not a key's id", id);
	call.name = arena_strf(&k->arena, PREFIX "%s", id);
	if (client_sync(k->client, &call, NULL, err) != 0)
		return -1;
	printf("key %s is %s\n", id, state);
	return 0;
}

static int retire(struct keys *k, const char *id, struct err *err)
{
	return set_state(k, id, "retired", err);
}

static int disable(struct keys *k, const char *id, struct err *err)
{
	return set_state(k, id, "compromised", err);
}

static int activate(struct keys *k, const char *id, struct err *err)
{
	return set_state(k, id, "active", err);
}

static int backup(struct keys *k, const char *file, struct err *err)
{
	if (!file)
		return err_set(err, ERR_BAD_REQUEST, "backup: into which file?");
	return keys_backup(k->client, file, k->passphrase_file, err);
}

static int restore(struct keys *k, const char *file, struct err *err)
{
	if (!file)
		return err_set(err, ERR_BAD_REQUEST, "restore: from which file?");
	return keys_restore(k->client, file, k->passphrase_file, err);
}

static const struct {
	const char *name;
	int (*run)(struct keys *k, const char *id, struct err *err);
} actions[] = {
	{"show", show},       {"rotate", rotate},     {"retire", retire},
	{"disable", disable}, {"activate", activate}, {"rotate-root", rotate_root},
	{"backup", backup},   {"restore", restore},
};

static int run(struct keys *k, const char *action, const char *id, struct err *err)
{
	if (*k->output && strcmp(k->output, "json") != 0 && strcmp(k->output, "yaml") != 0)
		return err_set(err, ERR_BAD_REQUEST, "-o %s: must be json or yaml", k->output);
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (strcmp(actions[i].name, action) != 0)
			continue;
		k->client = admin_client(&k->where, &k->loop, err);
		return k->client ? actions[i].run(k, id, err) : -1;
	}
	return err_set(err, ERR_BAD_REQUEST,
		       "%s: must be show, rotate, retire, disable, activate, backup, restore or "
		       "rotate-root",
		       action);
}

static int keys_main(int argc, char **argv)
{
	struct keys k = {.where = {"", "", DATADIR_DEFAULT}, .output = "", .passphrase_file = ""};
	const struct flag flags[] = {
		{"output", 'o', FLAG_STRING, &k.output, "FORMAT", "json or yaml"},
		{"passphrase-file", 0, FLAG_STRING, &k.passphrase_file, "FILE",
		 "of a backup; asked for where it is missing"},
		{"kubeconfig", 0, FLAG_STRING, &k.where.kubeconfig, "FILE", "how to reach the API"},
		{"data-dir", 0, FLAG_STRING, &k.where.data_dir, "DIR",
		 "the instance's data directory"},
		{0}};
	struct err err = {0};
	int nargs = 0, rc = 1;

	if (!secrecy_no_dumps())
		fputs("plumb keys: a crash could leave keys in a core file\n", stderr);
	secrecy_no_swap();

	if (flags_parse(argc, argv, flags,
			"plumb keys show|rotate|rotate-root\n"
			"plumb keys retire|disable|activate ID\n"
			"plumb keys backup|restore FILE\n\n"
			"Sealing keys: a retired key only opens, a disabled one does nothing.\n"
			"rotate-root: a new key for what the store encrypts at rest.",
			&nargs, &err) != 0 ||
	    run(&k, nargs > 0 ? argv[0] : "show", nargs > 1 ? argv[1] : NULL, &err) != 0)
		fprintf(stderr, "plumb keys: %s\n", err.msg);
	else
		rc = 0;
	if (k.client)
		client_free(k.client);
	if (k.loop)
		loop_free(k.loop);
	arena_release(&k.arena);
	return rc;
}

const struct verb verb_keys = {
	.name = "keys", .help = "the cluster's sealing keys: show, rotate", .main = keys_main};
