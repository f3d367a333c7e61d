/* A file that is bound to its object says so in a place that its own rule encrypts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "secrets/sops_bind.h"
#include "tests/unit/secrets/as_json.h"

struct world {
	struct age_keys *keys;
	char recipient[100];
	struct sops_policy policy;
	struct buf out, plain;
};

static void begin(struct world *w)
{
	struct buf text = {0};
	AUTO(buf) struct buf to = {0};
	struct age_recipient r;

	*w = (struct world){.keys = age_keys_new()};
	age_generate(&text, &r);
	age_recipient_write(&r, &to);
	snprintf(w->recipient, sizeof(w->recipient), "%s", buf_cstr(&to));
	assert_int_equal(age_keys_parse(w->keys, buf_view(&text), NULL), 0);
	buf_wipe(&text);
	w->policy.recipients[w->policy.n++] = str_c(w->recipient);
}

static void end(struct world *w)
{
	age_keys_free(w->keys);
	buf_release(&w->out);
	buf_wipe(&w->plain);
}

static int bound(struct world *w, enum sops_format format, const char *text, struct sops_binding to,
		 struct err *err)
{
	struct sops_encrypt e = {&w->policy, format, STR("2026-01-02T03:04:05Z"), &to};

	buf_reset(&w->out);
	return sops_encrypt(&e, str_c(text), &w->out, err);
}

static const char *opened(struct world *w)
{
	struct sops_file f = {w->keys, SOPS_YAML, buf_view(&w->out)};
	struct sops_report report;
	struct err err = {0};

	buf_reset(&w->plain);
	if (sops_open_bytes(&f, &w->plain, &report, &err) != 0 || !report.mac_ok)
		fail_msg("%s%s in\n%s", err.msg, report.mac.msg, buf_cstr(&w->out));
	as_json(&w->plain);
	return buf_cstr(&w->plain);
}

static bool has(const struct world *w, const char *text)
{
	return str_find(buf_view(&w->out), str_c(text)) >= 0;
}

void test_sops_bind__the_annotation_is_encrypted_with_the_values(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	assert_int_equal(
		bound(&w, SOPS_YAML,
		      "kind: Secret # a\nmetadata:\n  # why\n  name: db\n  namespace: shop\n"
		      "stringData:\n  user: admin\n  password: x\n",
		      (struct sops_binding){.kind = STR_NONE}, &err),
		0);
	assert_true(has(&w, "  # why\n  annotations:\n    plumb.dev/bound-to: \"ENC[AES256_GCM,"));
	assert_false(has(&w, "Secret/shop"));
	assert_true(has(&w, "  name: db\n"));
	assert_non_null(
		strstr(opened(&w), "\"plumb.dev/bound-to\":\"Secret/shop/db:password,user\""));
	end(&w);
}

void test_sops_bind__wherever_annotations_stand(void **state)
{
	static const char *const texts[] = {
		"kind: Secret\napiVersion: v1\nmetadata:\n    annotations:\n        x: y # z\n"
		"    name: db\ndata: {a: Yg==}\n",
		"{kind: Secret, apiVersion: v1, metadata: {name: db}, data: {a: Yg==}}\n",
		"{\"kind\":\"Secret\",\"metadata\":{\"annotations\":{\"x\":\"y\"},\"name\":\"db\"},"
		"\"data\":{\"a\":\"Yg==\"}}\n",
		"kind: Secret\nmetadata:\n  name: db\n  annotations:\n    plumb.dev/bound-to: old\n"
		"data:\n  a: Yg==\n",
	};
	const struct sops_binding to = {.namespace = STR("prod"), .name = STR("eu-db")};
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		w.policy.rule = i == 1 ? "encrypted_regex" : NULL;
		w.policy.value = STR("^data$");
		if (bound(&w, SOPS_YAML, texts[i], to, &err) != 0)
			fail_msg("%s", err.msg);
		assert_non_null(strstr(opened(&w), "\"Secret/prod/eu-db:a\""));
	}
	end(&w);
}

void test_sops_bind__what_cannot_be_bound_is_refused(void **state)
{
	const struct sops_binding none = {.kind = STR_NONE};
	const char *secret = "kind: Secret\nmetadata: {name: db, namespace: a}\ndata: {a: Yg==}\n";
	struct world w;
	struct err err = {0};

	(void)state;
	begin(&w);
	assert_int_equal(bound(&w, SOPS_YAML, "kind: Secret\nmetadata: {name: db}\ndata: {a: b}\n",
			       none, &err),
			 -1);
	assert_non_null(strstr(err.msg, "namespace"));
	assert_int_equal(bound(&w, SOPS_DOTENV, "A=b\n", none, &err), -1);
	w.policy.rule = "encrypted_suffix";
	w.policy.value = STR("_enc");
	assert_int_equal(bound(&w, SOPS_YAML, secret, none, &err), -1);
	assert_non_null(strstr(err.msg, "encrypted_suffix"));
	w.policy.rule = "unencrypted_regex";
	w.policy.value = STR("^(kind|metadata)$");
	assert_int_equal(bound(&w, SOPS_YAML, secret, none, &err), -1);
	assert_non_null(strstr(err.msg, "stays in clear"));
	end(&w);
}

void test_sops_bind__a_key_that_is_added_comes_under_the_binding(void **state)
{
	struct world w;
	struct err err = {0};
	AUTO(buf) struct buf once = {0};
	struct sops_edit e = {.modified = STR("2026-01-02T03:04:06Z")};
	const struct sops_put put = {.pointer = STR("/data/b"), .plain = STR("Yw==")};

	(void)state;
	begin(&w);
	assert_int_equal(
		bound(&w, SOPS_YAML,
		      "kind: Secret\nmetadata:\n  name: db\n  namespace: s\ndata:\n  a: Yg==\n",
		      (struct sops_binding){.namespace = STR("t")}, &err),
		0);
	e.keys = w.keys;
	e.text = buf_view(&w.out);
	assert_int_equal(sops_edit_put(&e, &put, &once, &err), 0);
	buf_reset(&w.out);
	e.text = buf_view(&once);
	assert_int_equal(sops_bind_again(&e, 0, &w.out, &err), 0);
	assert_non_null(strstr(opened(&w), "\"Secret/t/db:a,b\""));
	end(&w);
}

void test_sops_bind__texts(void **state)
{
	static const char *const bad[] = {"", "Secret", "Secret/a", "/a/b", "Secret/a/", "S/a/b/c"};
	struct sops_binding b;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(sops_binding_parse(str_c(bad[i]), &b, &err), -1);
	assert_int_equal(sops_binding_parse(STR("Secret/a/b:x,y.z"), &b, &err), 0);
	assert_true(str_is(b.name, "b") && sops_binding_has(&b, STR("y.z")));
	assert_false(sops_binding_has(&b, STR("y")));
	assert_int_equal(sops_binding_parse(STR("Role//b"), &b, &err), 0);
	assert_true(!b.keys.p && !b.namespace.n);
}

void test_sops_bind__two_branches_add_a_key_each(void **state)
{
	static const struct sops_put puts[] = {{.pointer = STR("/data/b"), .plain = STR("Yw==")},
					       {.pointer = STR("/data/c"), .plain = STR("ZA==")}};
	struct world w;
	struct err err = {0};
	AUTO(buf) struct buf base = {0};
	struct buf side[2] = {{0}, {0}};
	struct sops_edit e = {.modified = STR("2026-01-02T03:04:06Z")};

	(void)state;
	begin(&w);
	assert_int_equal(
		bound(&w, SOPS_YAML,
		      "kind: Secret\nmetadata:\n  name: db\n  namespace: s\ndata:\n  z: Yg==\n",
		      (struct sops_binding){.kind = STR_NONE}, &err),
		0);
	buf_str(&base, buf_view(&w.out));
	e.keys = w.keys;
	for (size_t i = 0; i < 2; i++) {
		AUTO(buf) struct buf once = {0};

		e.text = buf_view(&base);
		assert_int_equal(sops_edit_put(&e, &puts[i], &once, &err), 0);
		e.text = buf_view(&once);
		assert_int_equal(sops_bind_again(&e, 0, &side[i], &err), 0);
	}
	buf_reset(&w.out);
	e.text = buf_view(&side[0]);
	if (sops_edit_merge(&e, buf_view(&base), buf_view(&side[1]), &w.out, &err) != 0)
		fail_msg("%s", err.msg);
	assert_non_null(strstr(opened(&w), "\"Secret/s/db:b,c,z\""));
	buf_release(&side[0]);
	buf_release(&side[1]);
	end(&w);
}
