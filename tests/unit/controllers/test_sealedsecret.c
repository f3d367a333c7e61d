/* SealedSecret → Secret, and the life of the sealing keys. */
#include "tests/unit/controllers/fake.h"

#include "lib/base/codec.h"
#include "secrets/seal.h"

extern const struct controller controller_sealedsecret;

static struct fake *cluster(void)
{
	struct fake *f = fake_new(&controller_sealedsecret);

	fake_add(f, &res_namespaces, "{'metadata': {'name': 'kube-system'}}");
	fake_add(f, &res_namespaces, "{'metadata': {'name': 'kube-public'}}");
	fake_run(f, "kube-system", ".sealing-keys"); /* makes a key */
	fake_run(f, "kube-system", ".sealing-keys"); /* publishes it */
	return f;
}

static struct str published(struct fake *f)
{
	return json_str(json_at(fake_get(f, &res_configmaps, "kube-public", "plumb-sealing-key"),
				"data", "cluster.pub"));
}

static void add_sealed(struct fake *f, const char *secret)
{
	struct seal_pub pub;
	struct err err = {0};
	struct json *o;

	assert_int_equal(seal_pub_parse(published(f), &pub, &err), 0);
	o = seal_object(&f->arena, fake_json(f, secret), &pub, SEAL_STRICT, &err);
	if (!o)
		fail_msg("%s", err.msg);
	fake_put(f, &res_sealedsecrets, o);
}

static const char db[] = "{'kind': 'Secret', 'metadata': {'name': 'db', 'namespace': 'team'}, "
			 "'stringData': {'password': 'hunter2'}}";

static const char *synced(struct fake *f, const char *field)
{
	const struct json *ss = fake_get(f, &res_sealedsecrets, "team", "db");

	return arena_cstr(&f->arena,
			  json_str(json_get(condition_find(ss, "Synced"), str_c(field))));
}

static struct str password(struct fake *f)
{
	return json_str(json_at(fake_get(f, &res_secrets, "team", "db"), "data", "password"));
}

void test_sealedsecret__keys_are_made_once_and_published(void **state)
{
	struct fake *f = cluster();

	(void)state;
	assert_int_equal(fake_count(f, &res_secrets), 1);
	assert_true(str_starts(published(f), STR("plumb-seal-v1:")));
	fake_run(f, "kube-system", ".sealing-keys");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_sealedsecret__becomes_a_secret(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_sealed(f, db);
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "aHVudGVyMg=="));
	assert_string_equal(synced(f, "status"), "True");
	assert_true(meta_controller(fake_get(f, &res_secrets, "team", "db")) != NULL);
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	/* Somebody edits the Secret: it is put back. */
	fake_merge(f, &res_secrets, "team", "db", "{'data': {'password': 'eA==', 'x': 'eA=='}}");
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "aHVudGVyMg=="));
	assert_int_equal(json_len(json_at(fake_get(f, &res_secrets, "team", "db"), "data")), 1);
	fake_free(f);
}

void test_sealedsecret__what_does_not_open_leaves_the_last_good_one(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add_sealed(f, db);
	fake_run(f, "team", "db");
	fake_merge(f, &res_sealedsecrets, "team", "db",
		   "{'spec': {'encryptedData': {'password': 'garbage'}}}");
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "aHVudGVyMg=="));
	assert_string_equal(synced(f, "status"), "False");
	assert_string_equal(synced(f, "reason"), "Invalid");
	assert_int_equal(f->nevents, 1);
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_sealedsecret__moved_to_another_namespace_is_refused(void **state)
{
	struct fake *f = cluster();
	struct json *copy;

	(void)state;
	add_sealed(f, db);
	copy = json_copy(&f->arena, fake_get(f, &res_sealedsecrets, "team", "db"));
	json_set_str(&f->arena, json_get(copy, STR("metadata")), "namespace", STR("thief"));
	fake_put(f, &res_sealedsecrets, copy);
	fake_run(f, "thief", "db");
	assert_null(fake_get(f, &res_secrets, "thief", "db"));
	assert_true(str_is(
		json_str(json_get(
			condition_find(fake_get(f, &res_sealedsecrets, "thief", "db"), "Synced"),
			STR("reason"))),
		"WrongScope"));
	fake_free(f);
}

void test_sealedsecret__leaves_strangers_alone(void **state)
{
	struct fake *f = cluster();

	(void)state;
	fake_add(f, &res_secrets,
		 "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'db', 'namespace': "
		 "'team'}, 'data': {'password': 'eA=='}}");
	add_sealed(f, db);
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "eA=="));
	assert_string_equal(synced(f, "reason"), "NotOwned");
	fake_free(f);
}

void test_sealedsecret__rotation_and_compromise(void **state)
{
	struct fake *f = cluster();
	struct str before = published(f);
	AUTO(buf) struct buf raw = {0};
	AUTO(buf) struct buf text = {0};
	struct seal_pub pub;

	(void)state;
	add_sealed(f, db);
	f->now_ns += NS_PER_S;
	seal_key_generate(&raw, &pub);
	base64_encode(buf_view(&raw), &text);
	fake_add(f, &res_secrets,
		 arena_printf(&f->arena,
			      "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'new', "
			      "'namespace': 'kube-system', 'labels': "
			      "{'plumb.dev/sealing-key': 'active'}}, 'data': {'private': '%s'}}",
			      buf_cstr(&text)));
	fake_run(f, "kube-system", ".sealing-keys");
	assert_false(str_eq(before, published(f)));
	/* Old values still open, until their key is disabled. */
	fake_run(f, "team", "db");
	assert_string_equal(synced(f, "status"), "True");
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_secrets &&
		    str_starts(meta_name(f->v[i].tree), STR("plumb-sealing-key-")))
			fake_merge(f, &res_secrets, "kube-system",
				   arena_cstr(&f->arena, meta_name(f->v[i].tree)),
				   "{'metadata': {'labels': {'plumb.dev/sealing-key': "
				   "'compromised'}}}");
	fake_run(f, "team", "db");
	assert_string_equal(synced(f, "reason"), "DisabledKey");
	assert_non_null(strstr(synced(f, "message"), "password: sealed under key "));
	assert_true(str_is(password(f), "aHVudGVyMg=="));
	fake_free(f);
}

void test_sealedsecret__a_key_is_due_by_interval(void **state)
{
	struct controllers_config config = {.seal_interval = 3600 * NS_PER_S};
	struct fake *f = cluster();
	struct str before = arena_str(&f->arena, published(f));

	(void)state;
	f->config = &config;
	f->now_ns += 1800 * NS_PER_S;
	fake_run(f, "kube-system", ".sealing-keys");
	assert_int_equal(fake_count(f, &res_secrets), 1);
	f->now_ns += 1801 * NS_PER_S;
	fake_run(f, "kube-system", ".sealing-keys");
	fake_run(f, "kube-system", ".sealing-keys");
	assert_int_equal(fake_count(f, &res_secrets), 2);
	assert_false(str_eq(before, published(f)));
	fake_run(f, "kube-system", ".sealing-keys");
	assert_int_equal(fake_count(f, &res_secrets), 2);
	fake_free(f);
}

/* An immutable Secret can't be changed, only replaced; that is done once. */
void test_sealedsecret__an_immutable_secret_is_made_anew(void **state)
{
	struct fake *f = cluster();
	struct seal_binding b = {SEAL_STRICT, STR("team"), STR("db"), STR("password")};
	AUTO(buf) struct buf value = {0};
	struct seal_pub pub;

	(void)state;
	add_sealed(f, "{'kind': 'Secret', 'metadata': {'name': 'db', 'namespace': 'team'}, "
		      "'immutable': true, 'stringData': {'password': 'hunter2'}}");
	fake_run(f, "team", "db");
	assert_true(
		json_bool(json_at(fake_get(f, &res_secrets, "team", "db"), "immutable"), false));
	assert_int_equal(seal_pub_parse(published(f), &pub, NULL), 0);
	assert_int_equal(seal_value(&pub, &b, STR("hunter3"), &value, NULL), 0);
	fake_merge(f, &res_sealedsecrets, "team", "db",
		   arena_printf(&f->arena, "{'spec': {'encryptedData': {'password': '%s'}}}",
				buf_cstr(&value)));
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "aHVudGVyMw=="));
	assert_string_equal(synced(f, "status"), "True");
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}
