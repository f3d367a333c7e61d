/*
 * `plumb seal`: Secrets in (YAML or JSON, one or many, a file or standard input), SealedSecrets
 * out. Works without a cluster where the public key is at hand. Plain text is never written to
 * disk, is wiped where it was read into, and the process leaves no core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/datadir.h"
#include "cli/sealkey.h"
#include "cli/sealmerge.h"
#include "cli/sealvalidate.h"
#include "cli/sops.h"
#include "cli/verbs/verb.h"
#include "lib/base/codec.h"
#include "lib/base/flags.h"
#include "lib/json/yaml.h"
#include "lib/os/fs.h"
#include "lib/os/secrecy.h"
#include "secrets/sops_bind.h"

enum { INPUT_MAX = 16 * 1024 * 1024 };

struct seal {
	const char *file, *scope_text, *output, *namespace, *name, *merge_into;
	struct sealkey_opts where;
	struct flag_list literals, files, age;
	const char *identity;
	struct flag_list sops;
	struct sopsfile sopsfile; /* under work */
	bool validate, recipients, rotate, in_place, bind, from_api;
	enum seal_scope scope;
	struct seal_pub pub;
	struct json *made; /* from --literal and --from-file */
	struct arena arena;
	struct buf input, out;
};

static int read_all(int fd, struct buf *ret, struct err *err)
{
	for (;;) {
		char *at = buf_reserve(ret, 65536);
		ssize_t n = read(fd, at, 65536);

		if (n < 0)
			return err_sys(err, "standard input");
		if (n == 0)
			return 0;
		ret->n += (size_t)n;
		if (ret->n > INPUT_MAX)
			return err_set(err, ERR_LIMIT, "standard input: more than %d bytes",
				       INPUT_MAX);
	}
}

static int read_input(struct seal *s, struct err *err)
{
	if (!strcmp(s->file, "-") && isatty(STDIN_FILENO))
		fputs("plumb seal: reading Secrets from the terminal, up to Ctrl-D\n", stderr);
	if (!strcmp(s->file, "-"))
		return read_all(STDIN_FILENO, &s->input, err);
	return fs_read(s->file, INPUT_MAX, &s->input, err);
}

/* "key=value" of --literal, "key=path" or "path" of --from-file; calls put for each. */
static int each_pair(struct seal *s,
		     int (*put)(struct seal *s, struct str key, struct str plain, struct err *err),
		     struct err *err)
{
	struct str key, value, dir;

	if (s->literals.n)
		fputs("plumb seal: a --literal can be seen by everybody on this machine while the "
		      "command runs, and stays in the shell's history\n",
		      stderr);
	for (size_t i = 0; i < s->literals.n; i++) {
		if (!str_cut(str_c(s->literals.v[i]), '=', &key, &value) || !key.n)
			return err_set(err, ERR_BAD_REQUEST, "--literal: must be KEY=VALUE");
		if (put(s, key, value, err) != 0)
			return -1;
	}
	for (size_t i = 0; i < s->files.n; i++) {
		struct buf plain = {0};
		int rc;

		if (!str_cut(str_c(s->files.v[i]), '=', &key, &value)) {
			value = key;
			if (!str_rcut(value, '/', &dir, &key))
				key = value;
		}
		/* value is the tail of an argument, so it is NUL-terminated. */
		rc = fs_read(value.p, SEAL_VALUE_MAX, &plain, err);
		if (rc == 0)
			rc = put(s, key, buf_view(&plain), err);
		buf_wipe(&plain);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int put_into_file(struct seal *s, struct str key, struct str plain, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf out = {0};
	struct sealmerge m = {&s->pub, key, plain};

	if (fs_read(s->merge_into, INPUT_MAX, &text, err) != 0)
		return -1;
	if (sealmerge(buf_view(&text), &m, &out, err) != 0)
		return err_wrap(err, "%s", s->merge_into);
	return fs_write(s->merge_into, buf_view(&out), 0644, err);
}

static int put_into_sops(struct seal *s, struct str key, struct str plain, struct err *err)
{
	return sopsfile_put(&s->sopsfile, key, plain, err);
}

static int work_sops(struct seal *s, struct err *err)
{
	const struct sops_binding to = {.namespace = str_c(s->namespace), .name = str_c(s->name)};

	for (size_t i = 0; i < s->sops.n; i++) {
		int rc;

		s->sopsfile = (struct sopsfile){s->sops.v[i], s->identity, &s->age, s->in_place,
						s->bind ? &to : NULL};
		if (s->recipients && sopsfolder_is(s->sops.v[i]))
			rc = sopsfolder_recipients(&s->sopsfile, &s->out, err);
		else if (s->rotate)
			rc = sopsfile_rotate(&s->sopsfile, err);
		else if (s->recipients)
			rc = sopsfile_recipients(&s->sopsfile, &s->out, err);
		else if (s->literals.n || s->files.n)
			rc = each_pair(s, put_into_sops, err);
		else
			rc = sopsfile_encrypt(&s->sopsfile, &s->out, err);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* Secrets made of options gather here. */
static int put_into_secret(struct seal *s, struct str key, struct str plain, struct err *err)
{
	struct buf text = {0};

	if (!s->made)
		s->made = json_build(&s->arena, "{s:s, s:s, s:{s:s}, s:{}}", "apiVersion", "v1",
				     "kind", "Secret", "metadata", "name", s->name, "data");
	(void)err;
	base64_encode(plain, &text);
	json_set(&s->arena, json_get(s->made, STR("data")), key,
		 json_new_str(&s->arena, buf_view(&text)));
	buf_wipe(&text);
	return 0;
}

static void print(struct seal *s, const struct json *o, bool more)
{
	if (!strcmp(s->output, "json")) {
		json_write_pretty(o, 2, &s->out);
		buf_putc(&s->out, '\n');
		return;
	}
	if (more)
		buf_puts(&s->out, "---\n");
	yaml_write(o, &s->out);
}

static int seal_one(struct seal *s, struct json *secret, bool more, struct err *err)
{
	struct json *meta = json_set_object(&s->arena, secret, "metadata"), *sealed;

	if (*s->namespace)
		json_set_str(&s->arena, meta, "namespace", str_c(s->namespace));
	sealed = seal_object(&s->arena, secret, &s->pub, s->scope, err);
	if (!sealed)
		return -1;
	print(s, sealed, more);
	return 0;
}

static const char *input_name(const struct seal *s)
{
	return strcmp(s->file, "-") ? s->file : "standard input";
}

static int read_docs(struct seal *s, struct yaml_docs *ret, struct err *err)
{
	if (read_input(s, err) != 0)
		return -1;
	if (yaml_parse(&s->arena, buf_view(&s->input), 0, NULL, NULL, ret, err) != 0)
		return err_wrap(err, "%s", input_name(s));
	return 0;
}

/* What kubectl prints of several is a List. */
static int seal_items(struct seal *s, struct json *doc, size_t *n, struct err *err)
{
	struct json *items = json_get(doc, STR("items"));

	if (!str_is(json_str(json_get(doc, STR("kind"))), "List"))
		return seal_one(s, doc, (*n)++ > 0, err);
	for (size_t i = 0; i < json_len(items); i++)
		if (seal_one(s, json_item(items, i), (*n)++ > 0, err) != 0)
			return err_wrap(err, "items[%zu]", i);
	return 0;
}

static int seal_input(struct seal *s, struct err *err)
{
	struct yaml_docs docs;
	size_t n = 0;

	if (read_docs(s, &docs, err) != 0)
		return -1;
	for (size_t i = 0; i < docs.n; i++) {
		if (seal_items(s, docs.v[i], &n, err) == 0)
			continue;
		return docs.n > 1 ? err_wrap(err, "%s: document %zu", input_name(s), i + 1)
				  : err_wrap(err, "%s", input_name(s));
	}
	return n ? 0
		 : err_set(err, ERR_BAD_REQUEST,
			   "%s: no Secret in it (plumb seal --help says what else can be sealed)",
			   input_name(s));
}

static bool asks_cluster(const struct seal *s)
{
	return *s->where.kubeconfig || strcmp(s->where.data_dir, DATADIR_DEFAULT) != 0;
}

static int validate(struct seal *s, struct err *err)
{
	struct yaml_docs docs;
	const struct sealvalidate v = {&docs, &s->pub,
				       asks_cluster(s) || s->from_api ? &s->where : NULL};

	return read_docs(s, &docs, err) || sealvalidate(&v, &s->out, err) ? -1 : 0;
}

static int work(struct seal *s, struct err *err)
{
	bool pairs = s->literals.n || s->files.n;

	if (s->validate)
		return validate(s, err);
	if (*s->merge_into) {
		if (!pairs)
			return err_set(err, ERR_BAD_REQUEST,
				       "--merge-into needs --literal or --from-file");
		return each_pair(s, put_into_file, err);
	}
	if (!pairs)
		return seal_input(s, err);
	if (!*s->name)
		return err_set(err, ERR_BAD_REQUEST,
			       "--name is required with --literal and --from-file");
	if (each_pair(s, put_into_secret, err) != 0)
		return -1;
	return seal_one(s, s->made, false, err);
}

static int run(struct seal *s, struct err *err)
{
	AUTO(free) char *from = NULL;

	if (seal_scope_parse(str_c(s->scope_text), &s->scope) != 0)
		return err_set(err, ERR_BAD_REQUEST,
			       "--scope %s: must be strict, namespace or cluster", s->scope_text);
	if (strcmp(s->output, "yaml") != 0 && strcmp(s->output, "json") != 0)
		return err_set(err, ERR_BAD_REQUEST, "-o %s: must be yaml or json", s->output);
	if (!s->sops.n &&
	    (s->bind || s->recipients || s->rotate || s->in_place || s->age.n || *s->identity))
		return err_set(err, ERR_BAD_REQUEST,
			       "--bind, --recipients, --rotate-data-key, --in-place, --age and "
			       "--identity go with "
			       "--sops FILE");
	if (s->validate && asks_cluster(s)) {
		if (validate(s, err) != 0)
			return -1;
	} else if (s->sops.n) {
		if (work_sops(s, err) != 0)
			return -1;
	} else {
		if (sealkey_find(&s->where, &s->pub, &from, err) != 0)
			return -1;
		s->from_api = str_is(str_c(from), SEALKEY_API);
		if (work(s, err) != 0)
			return -1;
	}
	if (s->out.n && fwrite(s->out.p, 1, s->out.n, stdout) != s->out.n)
		return err_sys(err, "standard output");
	return 0;
}

static void keep_in_memory(void)
{
	if (!secrecy_no_dumps())
		fputs("plumb seal: a crash could leave plain text in a core file\n", stderr);
	secrecy_no_swap();
}

static void release(struct seal *s)
{
	buf_wipe(&s->input);
	buf_release(&s->out);
	arena_release(&s->arena);
	free(s->literals.v);
	free(s->files.v);
	free(s->age.v);
	free(s->sops.v);
}

/* A lone argument is the file. */
static int take_file(struct seal *s, int n, char **argv, struct err *err)
{
	if (n > 1 || (n == 1 && strcmp(s->file, "-") != 0))
		return err_set(err, ERR_BAD_REQUEST, "one file at a time: what about %s?",
			       argv[n - 1]);
	if (n == 1)
		s->file = argv[0];
	return 0;
}

static int seal_main(int argc, char **argv)
{
	struct seal s = {.file = "-",
			 .scope_text = "",
			 .output = "yaml",
			 .namespace = "",
			 .name = "",
			 .merge_into = "",
			 .identity = "",
			 .where = {"", "", DATADIR_DEFAULT}};
	const struct flag flags[] = {
		{"file", 'f', FLAG_STRING, &s.file, "FILE", "Secrets to seal; - is standard input"},
		{"cert", 0, FLAG_STRING, &s.where.cert, "FILE|URL", "the cluster's public key"},
		{"key", 0, FLAG_STRING, &s.where.cert, "FILE|URL", "the same"},
		{"scope", 0, FLAG_STRING, &s.scope_text, "SCOPE",
		 "what values are bound to: strict (default), namespace, cluster"},
		{"literal", 0, FLAG_STRINGS, &s.literals, "KEY=VALUE",
		 "a value from the command line"},
		{"from-file", 0, FLAG_STRINGS, &s.files, "[KEY=]PATH", "a value from a file"},
		{"namespace", 'n', FLAG_STRING, &s.namespace, "NAME", "of the Secret"},
		{"name", 0, FLAG_STRING, &s.name, "NAME", "of the Secret made from values"},
		{"merge-into", 0, FLAG_STRING, &s.merge_into, "FILE",
		 "put the values into this SealedSecret's file"},
		{"sops", 0, FLAG_STRINGS, &s.sops, "FILE",
		 "encrypt this file with sops' format; with values, put them into it"},
		{"in-place", 'i', FLAG_BOOL, &s.in_place, NULL, "with --sops: replace the file"},
		{"bind", 0, FLAG_BOOL, &s.bind, NULL,
		 "with --sops: let the values open under this kind, namespace and name only"},
		{"rotate-data-key", 0, FLAG_BOOL, &s.rotate, NULL,
		 "with --sops: another data key for the same recipients, once somebody was taken "
		 "out"},
		{"recipients", 0, FLAG_BOOL, &s.recipients, NULL,
		 "with --sops FILE or FOLDER: only bring the recipients up to .sops.yaml"},
		{"age", 0, FLAG_STRINGS, &s.age, "RECIPIENT", "with --sops: instead of .sops.yaml"},
		{"identity", 0, FLAG_STRING, &s.identity, "FILE",
		 "with --sops: age identities; else as sops finds them"},
		{"validate", 0, FLAG_BOOL, &s.validate, NULL,
		 "check that sealed values are for this cluster; asks it with --kubeconfig or "
		 "--data-dir"},
		{"output", 'o', FLAG_STRING, &s.output, "FORMAT", "yaml (default) or json"},
		{"kubeconfig", 0, FLAG_STRING, &s.where.kubeconfig, "FILE",
		 "where to ask for the key"},
		{"data-dir", 0, FLAG_STRING, &s.where.data_dir, "DIR",
		 "the instance's data directory"},
		{0}};
	struct err err = {0};
	int nargs, rc = 1;

	s.arena.wipes = true;

	keep_in_memory();
	if (flags_parse(argc, argv, flags,
			"plumb seal [FILE] [OPTION]…\n\nSecrets in, SealedSecrets out: safe to "
			"commit, opened only by the cluster.\nThe public key is --cert, else "
			".plumb/cluster.pub here or above, else asked of the API.",
			&nargs, &err) != 0 ||
	    take_file(&s, nargs, argv, &err) != 0 || run(&s, &err) != 0)
		fprintf(stderr, "plumb seal: %s\n", err.msg);
	else
		rc = 0;
	release(&s);
	return rc;
}

const struct verb verb_seal = {
	.name = "seal", .help = "make SealedSecrets of Secrets", .main = seal_main};
