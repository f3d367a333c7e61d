/* Files that sops encrypted, on their way through a build. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "reconciler/render-internal.h"
#include "secrets/age.h"

static const char identity[] =
	"AGE-SECRET-KEY-1CRA4FSFJ88G3C0SY8MSRUD8XUS6QV82Q0EDAJZFQPXHV9FWLZVVQKD7RMW\n";
static const char stranger[] =
	"AGE-SECRET-KEY-17JLADQG8CJ08L0HH4DJQTH4P8SYADUKFN8Y442WY5YJRFAFLZEYSMJ46SM\n";

static const char secret[] =
	"apiVersion: v1\n"
	"kind: Secret\n"
	"metadata:\n"
	"  name: hidden\n"
	"  namespace: shop\n"
	"stringData:\n"
	"  password: "
	"ENC[AES256_GCM,data:fLR65CfiuHsFKvj8h8Cy,iv:H1hIr/nFINWOBooJZciUXr2hmbeG4LS/"
	"HtDHOD6zbUE=,tag:JrqMCLWL9f9dtTnbDKWghQ==,type:str]\n"
	"sops:\n"
	"  age:\n"
	"    - recipient: age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew\n"
	"      enc: |\n"
	"        -----BEGIN AGE ENCRYPTED FILE-----\n"
	"        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBBM2ZSWUM3b0c5S0hsYURD\n"
	"        ME9QZWFTY1Vod2lGaVduWUFXWHhqVENLR2pnClNpZ0M4ZjhOeENHb1hqTUYyOFZv\n"
	"        OTVzd0hvSEQ5SFhZTlZrbXNnWE5tUkEKLS0tIEN4dDdWdVN1dExqOGU1c0tTOUx3\n"
	"        K2x4Zm9nRmxTQkxaSDA4MjNuVFdoZ1UKN+YRb1lSYY4GzvX1+6Z3t+/xmKJ8mIKS\n"
	"        ytGVtcX0EKuf7WPQ+HJ0AQCf8c677SyX6UdJOI6nwIAZujUb1Ndq2Q==\n"
	"        -----END AGE ENCRYPTED FILE-----\n"
	"  lastmodified: \"2026-01-02T03:04:05Z\"\n"
	"  mac: "
	"ENC[AES256_GCM,data:"
	"ngHcPdnta8DTZdFzeITQ92S1SwGQ9imJlVRhDZiExPag3IlEBXgcVTuclvhy6oPjwdYG1xxJ7uiyTtvWuWEtiM9W2p"
	"gshPobQEbadeeQG8JaXuNn7Yyj6rN7ex/"
	"BUQV48SLLkwRC9JgbZFkujq1TNYETMx7khz5Zo3tx4Fh74WE=,iv:"
	"3d6MevB9Mf4PD4EvrWS5PEEHooYuc8NEH55iIwS86CU=,tag:jr2yHpGR+dQVtwKXhm9Ljg==,type:str]\n"
	"  encrypted_regex: ^(data|stringData)$\n";
static const char dotenv[] =
	"TOKEN=ENC[AES256_GCM,data:/YBmpq+HN8S64d+hdNX/"
	",iv:eT9Elzgwq9VHx4LUPZFr21KTnNZn7T1gvGzcV3SY8dk=,tag:NeaGUBOTZvq+h8KnMYG5Xg==,type:str]\n"
	"sops_age__list_0__map_enc=-----BEGIN AGE ENCRYPTED "
	"FILE-----\\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+"
	"IFgyNTUxOSBBM2ZSWUM3b0c5S0hsYURD\\nME9QZWFTY1Vod2lGaVduWUFXWHhqVENLR2pnClNpZ0M4ZjhOeENHb1h"
	"qTUYyOFZv\\nOTVzd0hvSEQ5SFhZTlZrbXNnWE5tUkEKLS0tIEN4dDdWdVN1dExqOGU1c0tTOUx3\\nK2x4Zm9nRmx"
	"TQkxaSDA4MjNuVFdoZ1UKN+YRb1lSYY4GzvX1+6Z3t+/"
	"xmKJ8mIKS\\nytGVtcX0EKuf7WPQ+HJ0AQCf8c677SyX6UdJOI6nwIAZujUb1Ndq2Q==\\n-----END AGE "
	"ENCRYPTED FILE-----\\n\n"
	"sops_age__list_0__map_recipient="
	"age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew\n"
	"sops_lastmodified=2026-01-02T03:04:05Z\n"
	"sops_mac=ENC[AES256_GCM,data:PHw6U+"
	"L9DZ5ot5DYbz4lJAkiHKV7cDXuqUBsO03XaEhz2QWdMZwbr7sjLz47eF4Q8Cr+a1gbMMGidkFGYshTQuoVZBSKB5/"
	"Ld8Vxq7jBCEY2NwFXvB1TLLzEYnPLtupbClKPbxrAzHWBZSbxxLgeY571po4EDNWwPMs806tro6w=,iv:"
	"SQKiv9CQkQESXXpe/Kn8w6RZ1gcCQdAJkzwxb9fbntA=,tag:VrTWjuoRi9tnSqDOjphOcA==,type:str]\n"
	"sops_unencrypted_suffix=_unencrypted\n";

struct world {
	struct arena a;
	struct git_file file;
	struct rendered out;
	struct render_opts opts;
	struct err err;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct world *w = ctx;

	(void)path;
	(void)err;
	*ret = (struct git_files){.v = &w->file, .n = 1};
	return 0;
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	(void)kind;
	return SCOPE_NAMESPACED;
}

static int build(struct world *w, const char *text, const char *key)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = w};
	struct age_keys *keys = key ? age_keys_new() : NULL;
	int rc;

	if (key)
		assert_int_equal(age_keys_parse(keys, str_c(key), NULL), 0);
	w->file = (struct git_file){.path = STR("app/secret.yaml"), .data = str_c(text)};
	w->opts.path = "app";
	w->opts.keys = keys;
	rc = render(&w->a, &env, &w->opts, &w->out, &w->err);
	age_keys_free(keys);
	w->opts.keys = NULL;
	return rc;
}

static void end(struct world *w)
{
	rendered_release(&w->out);
	arena_release(&w->a);
}

static void assert_refused(struct world *w, const char *text, const char *key, const char *why)
{
	assert_int_equal(build(w, text, key), -1);
	assert_non_null(strstr(w->err.msg, why));
	assert_null(strstr(w->err.msg, "hunter2"));
	end(w);
}

/* The file with one piece of text replaced. */
static char *edited(struct world *w, const char *from, const char *to)
{
	const char *at = strstr(secret, from);

	assert_non_null(at);
	return arena_printf(&w->a, "%.*s%s%s", (int)(at - secret), secret, to, at + strlen(from));
}

void test_decrypt__a_secret_is_opened_and_its_values_flagged(void **state)
{
	struct world w = {0};
	AUTO(buf) struct buf plain = {0};
	const struct json *v;

	(void)state;
	assert_int_equal(build(&w, secret, identity), 0);
	assert_int_equal(w.out.n, 1);
	assert_null(json_get(w.out.v[0].tree, STR("sops")));
	v = json_at(w.out.v[0].tree, "data", "password");
	assert_int_equal(base64_decode(json_str(v), &plain), 0);
	assert_true(str_is(buf_view(&plain), "tok-hunter2-tok"));
	assert_true(v->flags & JSON_F_SENSITIVE);
	assert_int_equal(w.out.nbroken, 0);
	end(&w);
}

void test_decrypt__without_a_key_the_file_is_refused(void **state)
{
	struct world w = {0};

	(void)state;
	assert_refused(&w, secret, NULL, "app/secret.yaml:9: encrypted with sops");
}

/* As Flux has it: what an operator opens goes to the cluster as it is. */
void test_decrypt__what_is_for_somebody_else_stays_encrypted(void **state)
{
	struct world w = {0};
	const char *said;

	(void)state;
	said = edited(&w, "  namespace: shop\n",
		      "  namespace: shop\n  annotations:\n"
		      "    kustomize.toolkit.fluxcd.io/decrypt: Disabled\n");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(build(&w, said, i ? identity : NULL), 0);
		assert_non_null(json_at(w.out.v[0].tree, "sops", "mac"));
		rendered_release(&w.out);
	}
	assert_int_equal(build(&w, edited(&w, "kind: Secret", "kind: SopsSecret"), NULL), 0);
	assert_non_null(json_at(w.out.v[0].tree, "sops", "mac"));
	end(&w);
}

void test_decrypt__a_key_that_does_not_fit(void **state)
{
	struct world w = {0};

	(void)state;
	assert_refused(&w, secret, stranger, "app/secret.yaml:9: cannot decrypt: ");
}

void test_decrypt__a_moved_value_is_named_with_its_line(void **state)
{
	struct world w = {0};

	(void)state;
	assert_refused(&w, edited(&w, "  password: ENC", "  passwort: ENC"), identity,
		       "app/secret.yaml:7: cannot decrypt: stringData:passwort");
}

void test_decrypt__an_edited_file_is_refused_unless_it_may_pass(void **state)
{
	struct world w = {0};
	const char *text = edited(&w, "name: hidden", "name: hideen");

	(void)state;
	assert_int_equal(build(&w, text, identity), -1);
	assert_int_equal(w.err.code, ERR_CORRUPT);
	assert_non_null(strstr(w.err.msg, "app/secret.yaml:9: "));
	w.opts.broken_mac_ok = true;
	assert_int_equal(build(&w, text, identity), 0);
	assert_int_equal(w.out.nbroken, 1);
	assert_true(str_starts(w.out.broken, STR("app/secret.yaml:9: ")));
	end(&w);
}

void test_decrypt__bytes_for_a_generator(void **state)
{
	struct world w = {0};
	struct rendered out = {0};
	struct render r = {.a = &w.a, .o = &w.opts, .out = &out};
	struct git_file f = {.path = STR("app/token.env"), .data = str_c(dotenv)};
	struct age_keys *keys = age_keys_new();
	struct str plain;

	(void)state;
	assert_int_equal(age_keys_parse(keys, str_c(identity), NULL), 0);
	w.opts.keys = keys;
	assert_int_equal(render_decrypt_bytes(&r, &f, &plain, &w.err), 0);
	assert_true(str_is(plain, "TOKEN=env-hunter3-env\n"));
	f = (struct git_file){.path = STR("app/plain.env"), .data = STR("A=b\n")};
	assert_int_equal(render_decrypt_bytes(&r, &f, &plain, &w.err), 0);
	assert_true(str_is(plain, "A=b\n"));
	/* An env file under any name, as Flux takes it. */
	f = (struct git_file){.path = STR("app/token.enc"), .data = str_c(dotenv)};
	assert_int_equal(render_decrypt_bytes(&r, &f, &plain, &w.err), 0);
	assert_true(str_is(plain, "TOKEN=env-hunter3-env\n"));
	/* YAML stays YAML, to the byte that sops prints. */
	for (size_t i = 0; i < 2; i++) {
		f = (struct git_file){.path = i ? STR("app/conf") : STR("app/conf.yaml"),
				      .data = str_c(secret)};
		assert_int_equal(render_decrypt_bytes(&r, &f, &plain, &w.err), 0);
		assert_string_equal(
			arena_cstr(&w.a, plain),
			"apiVersion: v1\nkind: Secret\nmetadata:\n    name: hidden\n"
			"    namespace: shop\nstringData:\n    password: tok-hunter2-tok\n");
	}
	w.opts.keys = NULL;
	f = (struct git_file){.path = STR("app/token.env"), .data = str_c(dotenv)};
	assert_int_equal(render_decrypt_bytes(&r, &f, &plain, &w.err), -1);
	assert_non_null(strstr(w.err.msg, "no spec.decryption"));
	age_keys_free(keys);
	map_release(&r.numbers);
	rendered_release(&out);
	arena_release(&w.a);
}

/* A file that sops encrypted and somebody made a Secret of: opened, as Flux does it. */
void test_decrypt__files_within_a_secrets_data(void **state)
{
	struct world w = {0};
	AUTO(buf) struct buf coded = {0};
	AUTO(buf) struct buf plain = {0};
	const struct json *v;

	(void)state;
	base64_encode(str_c(dotenv), &coded);
	assert_int_equal(
		build(&w,
		      arena_printf(&w.a,
				   "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: "
				   "y}\ndata:\n  token.env: %s\n  other: YQ==\n",
				   buf_cstr(&coded)),
		      identity),
		0);
	v = json_at(w.out.v[0].tree, "data", "token.env");
	assert_int_equal(base64_decode(json_str(v), &plain), 0);
	assert_true(str_is(buf_view(&plain), "TOKEN=env-hunter3-env\n"));
	assert_true(v->flags & JSON_F_SENSITIVE);
	assert_true(str_is(json_str(json_at(w.out.v[0].tree, "data", "other")), "YQ=="));
	rendered_release(&w.out);
	/* Without keys it stays as it is; with others' it is an error. */
	assert_int_equal(
		build(&w,
		      arena_printf(&w.a,
				   "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: "
				   "y}\ndata:\n  token.env: %s\n",
				   buf_cstr(&coded)),
		      NULL),
		0);
	rendered_release(&w.out);
	assert_refused(&w,
		       arena_printf(&w.a,
				    "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: "
				    "y}\ndata:\n  token.env: %s\n",
				    buf_cstr(&coded)),
		       stranger, "data.token.env: app/secret.yaml: cannot decrypt");
}
