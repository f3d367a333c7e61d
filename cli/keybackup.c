/*
 * Sealing keys out of a cluster and into another one. In clear they are only in buffers that are
 * wiped; the file is 0600 besides being encrypted. A state travels with its key: a disabled one
 * comes back disabled.
 */
#include "cli/keybackup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"
#include "secrets/keybackup.h"
#include "secrets/seal.h"

#define LABEL "plumb.dev/sealing-key"
#define PREFIX "plumb-sealing-key-"
#define MADE "plumb.dev/sealing-key-made"
#define KUBESEAL_LABEL "sealedsecrets.bitnami.com/sealed-secrets-key"

enum { PASSPHRASE_MAX = 4096 };

/* ---- the passphrase ---- */

static int read_line(struct buf *ret)
{
	char c;

	while (ret->n < PASSPHRASE_MAX && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		buf_putc(ret, c);
	return ret->n ? 0 : -1;
}

static int ask(const char *what, struct buf *ret, struct err *err)
{
	struct termios was, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &was) == 0;
	int rc;

	if (terminal) {
		fprintf(stderr, "%s: ", what);
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	rc = read_line(ret);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		fputc('\n', stderr);
	}
	return rc ? err_set(err, ERR_BAD_REQUEST, "no passphrase") : 0;
}

static int passphrase(const char *file, bool twice, struct buf *ret, struct err *err)
{
	struct buf again = {0};
	int rc = 0;

	if (*file) {
		if (fs_read(file, PASSPHRASE_MAX, ret, err) != 0)
			return -1;
		while (ret->n && (ret->p[ret->n - 1] == '\n' || ret->p[ret->n - 1] == '\r'))
			ret->n--;
		return ret->n ? 0 : err_set(err, ERR_BAD_REQUEST, "%s: no passphrase", file);
	}
	if (ask("Passphrase", ret, err) != 0)
		return -1;
	if (twice && isatty(STDIN_FILENO)) {
		rc = ask("Again", &again, err);
		if (rc == 0 && !str_eq_secret(buf_view(ret), buf_view(&again)))
			rc = err_set(err, ERR_BAD_REQUEST, "these are two passphrases");
	}
	buf_wipe(&again);
	return rc;
}

/* ---- backup ---- */

static int list(struct client *c, struct arena *a, const char *label, struct json **ret,
		struct err *err)
{
	struct api_call call = {.verb = API_LIST,
				.resource = &res_secrets,
				.namespace = STR("kube-system"),
				.query = arena_printf(a, "labelSelector=%s", label)};
	struct buf body = {0};
	const struct json *all = NULL;

	if (client_sync(c, &call, &body, err) == 0)
		all = json_parse(a, arena_str(a, buf_view(&body)), NULL, err);
	buf_wipe(&body);
	*ret = json_get(all, STR("items"));
	return all ? 0 : -1;
}

/* {"keys": [{"private", "state", "made"}], "kubeseal": [{"name", "cert", "key", "state"}]}; what is
 * base64 in the Secrets stays so. */
static int collect(struct client *c, struct buf *ret, size_t *ret_n, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct json *ours, *theirs, *keys = json_new(&a, JSON_ARRAY),
				    *kubeseal = json_new(&a, JSON_ARRAY);

	if (list(c, &a, "plumb.dev%2Fsealing-key", &ours, err) != 0 ||
	    list(c, &a, "sealedsecrets.bitnami.com%2Fsealed-secrets-key", &theirs, err) != 0)
		return -1;
	for (size_t i = 0; i < json_len(ours); i++) {
		const struct json *s = json_item(ours, i);

		json_append(&a, keys,
			    json_build(&a, "{s:S,s:S,s:S}", "private",
				       json_str(json_at(s, "data", "private")), "state",
				       meta_label(s, LABEL), "made", meta_annotation(s, MADE)));
	}
	for (size_t i = 0; i < json_len(theirs); i++) {
		const struct json *s = json_item(theirs, i);

		json_append(&a, kubeseal,
			    json_build(&a, "{s:S,s:S,s:S,s:S}", "name", meta_name(s), "cert",
				       json_str(json_at(s, "data", "tls.crt")), "key",
				       json_str(json_at(s, "data", "tls.key")), "state",
				       meta_label(s, KUBESEAL_LABEL)));
	}
	*ret_n = json_len(keys) + json_len(kubeseal);
	json_write(json_build(&a, "{s:o,s:o}", "keys", keys, "kubeseal", kubeseal), ret);
	return 0;
}

int keys_backup(struct client *c, const char *path, const char *passphrase_file, struct err *err)
{
	struct buf words = {0}, plain = {0};
	AUTO(buf) struct buf file = {0};
	struct keybackup k = {.passes = 0};
	size_t n = 0;
	int rc = -1;

	if (fs_exists(path))
		return err_set(err, ERR_CONFLICT, "%s is there already", path);
	if (passphrase(passphrase_file, true, &words, err) == 0 &&
	    collect(c, &plain, &n, err) == 0) {
		k.passphrase = buf_view(&words);
		rc = keybackup_seal(&k, buf_view(&plain), &file, err);
	}
	buf_wipe(&words);
	buf_wipe(&plain);
	if (rc != 0 || fs_write(path, buf_view(&file), 0600, err) != 0)
		return -1;
	printf("%zu key%s in %s. Whoever has it and the passphrase opens everything that was ever "
	       "sealed to this cluster.\n",
	       n, n == 1 ? "" : "s", path);
	return 0;
}

/* ---- restore ---- */

static int make_secret(struct arena *a, const struct json *key, struct json **ret, struct err *err)
{
	struct str encoded = json_str(json_get(key, STR("private")));
	struct str state = json_str(json_get(key, STR("state")));
	struct buf private = {0};
	AUTO(buf) struct buf public = {0};
	AUTO(buf) struct buf text = {0};
	struct seal_pub pub;
	char id[SEAL_ID_TEXT];
	int rc = base64_decode(encoded, &private);

	if (rc == 0)
		rc = seal_pub_of(buf_view(&private), &pub, err);
	else
		err_set(err, ERR_PARSE, "not base64");
	buf_wipe(&private);
	if (rc != 0)
		return -1;
	seal_pub_write(&pub, &public);
	base64_encode(buf_view(&public), &text);
	*ret = json_build(a, "{s:s,s:s,s:s,s:{s:s,s:S,s:{s:S},s:{s:S}},s:{s:S,s:S}}", "apiVersion",
			  "v1", "kind", "Secret", "type", "plumb.dev/sealing-key", "metadata",
			  "namespace", "kube-system", "name",
			  arena_strf(a, PREFIX "%s", seal_id_text(pub.id, id)), "labels", LABEL,
			  state.n ? state : STR("retired"), "annotations", MADE,
			  json_str(json_get(key, STR("made"))), "data", "private", encoded,
			  "public", buf_view(&text));
	return 0;
}

/* One of kubeseal's, taken as it is: a key that is none opens nothing.
 */
static int make_kubeseal(struct arena *a, const struct json *key, struct json **ret,
			 struct err *err)
{
	struct str name = json_str(json_get(key, STR("name")));

	if (!name.n)
		return err_set(err, ERR_PARSE, "it has no name");
	*ret = json_build(a, "{s:s,s:s,s:s,s:{s:s,s:S,s:{s:S}},s:{s:S,s:S}}", "apiVersion", "v1",
			  "kind", "Secret", "type", "kubernetes.io/tls", "metadata", "namespace",
			  "kube-system", "name", name, "labels", KUBESEAL_LABEL,
			  json_str(json_get(key, STR("state"))), "data", "tls.crt",
			  json_str(json_get(key, STR("cert"))), "tls.key",
			  json_str(json_get(key, STR("key"))));
	return 0;
}

/* 1 when it was made, 0 when it was there. */
static int put_key(struct client *c, const struct json *key, struct err *err)
{
	struct api_call call = {
		.verb = API_CREATE, .resource = &res_secrets, .namespace = STR("kube-system")};
	AUTO(arena) struct arena a = {.wipes = true};
	struct buf body = {0};
	struct err why = {0};
	struct json *o = NULL;
	int rc;

	if (json_get(key, STR("cert")) ? make_kubeseal(&a, key, &o, err)
				       : make_secret(&a, key, &o, err))
		return -1;
	json_write(o, &body);
	call.body = buf_view(&body);
	rc = client_sync(c, &call, NULL, &why);
	buf_wipe(&body);
	if (rc == 0)
		return 1;
	if (why.code == ERR_EXISTS)
		return 0;
	*err = why;
	return -1;
}

static int put_all(struct client *c, struct str plain, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	const struct json *o = json_parse(&a, plain, NULL, err);
	const struct json *keys = json_get(o, STR("keys"));
	const struct json *theirs = json_get(o, STR("kubeseal"));
	size_t made = 0, n = json_len(keys) + json_len(theirs);

	if (!json_is(keys, JSON_ARRAY))
		return o ? err_set(err, ERR_PARSE, "no keys in it") : -1;
	for (size_t i = 0; i < n; i++) {
		size_t ours = json_len(keys);
		int rc = put_key(c, i < ours ? json_item(keys, i) : json_item(theirs, i - ours),
				 err);

		if (rc < 0)
			return err_wrap(err, "key %zu", i + 1);
		made += (size_t)rc;
	}
	printf("%zu of %zu key%s restored; the others were there.\n", made, n, n == 1 ? "" : "s");
	return 0;
}

int keys_restore(struct client *c, const char *path, const char *passphrase_file, struct err *err)
{
	struct buf words = {0}, plain = {0};
	AUTO(buf) struct buf file = {0};
	struct keybackup k = {.passes = 0};
	int rc;

	if (fs_read(path, KEYBACKUP_MAX + 4096, &file, err) != 0)
		return -1;
	rc = passphrase(passphrase_file, false, &words, err);
	if (rc == 0) {
		k.passphrase = buf_view(&words);
		rc = keybackup_open(&k, buf_view(&file), &plain, err);
	}
	buf_wipe(&words);
	if (rc == 0)
		rc = put_all(c, buf_view(&plain), err);
	buf_wipe(&plain);
	return rc ? err_wrap(err, "%s", path) : 0;
}
