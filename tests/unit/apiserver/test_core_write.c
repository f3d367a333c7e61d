/*
 * Writes as a whole: one transaction for all that are queued, exactly one winner of each version,
 * and a store that fails takes back what it did not keep, and nothing else.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define CMS "/api/v1/namespaces/default/configmaps"

/* A store that can be made to fail: the memory store under another table of operations. */
static struct store_ops failing;
static const struct store_ops *real;
static bool fails;

static int commit_or_fail(struct store *s, const struct store_write *w, size_t n, uint64_t revision,
			  struct err *err)
{
	if (fails)
		return err_set(err, ERR_NO_SPACE, "commit: database or disk is full");
	return real->commit(s, w, n, revision, err);
}

static void begin(void)
{
	alone_begin();
	real = store->ops;
	failing = *real;
	failing.commit = commit_or_fail;
	store->ops = &failing;
	fails = false;
}

static void end(void)
{
	store->ops = real;
	alone_end();
}

/* Queued, without a turn. */
static struct asked *queue(const char *method, const char *target, const char *type,
			   const char *body)
{
	struct asked *q = xalloc(sizeof(*q));
	struct str path, query;

	str_cut(arena_str(&q->a, str_c(target)), '?', &path, &query);
	q->req.arena = &q->a;
	assert_true(core_route(str_c(method), path, query, &q->req));
	q->req.content_type = str_c(type ? type : "application/json");
	q->req.body = body ? arena_str(&q->a, str_c(body)) : STR_NONE;
	q->req.form_version = STR("v1");
	q->req.user = (struct admission_user){.name = STR("bob")};
	q->req.user_agent = STR("test");
	q->req.sink = &test_sink;
	core_submit(core, &q->req);
	return q;
}

void test_core_write__a_commit_that_fails_refuses_writes_and_not_reads(void **state)
{
	struct asked *w, *g, *l, *g2, *watcher;
	uint64_t before;

	(void)state;
	begin();
	assert_int_equal(status_of("POST", CMS, NULL, "{\"metadata\":{\"name\":\"a\"}}"), 201);
	before = core_revision(core);
	watcher = ask_core("GET", CMS "?watch=true&resourceVersion=1", NULL, NULL);
	buf_reset(&watcher->body);
	fails = true;
	g = queue("GET", CMS "/a", NULL, NULL);
	w = queue("PATCH", CMS "/a", "application/merge-patch+json", "{\"data\":{\"k\":\"1\"}}");
	g2 = queue("GET", CMS "/a", NULL, NULL);
	l = queue("GET", CMS, NULL, NULL);
	core_turn(core);
	assert_int_equal(w->status, 507);
	assert_true(told(w, "\"kind\":\"Status\""));
	assert_true(told(w, "disk is full"));
	assert_int_equal(g->status, 200);
	assert_int_equal(g2->status, 200);
	assert_false(told(g2, "\"k\""));
	assert_int_equal(l->status, 200);
	assert_false(told(l, "\"k\""));
	assert_int_equal(core_revision(core), before);
	assert_int_equal(watcher->body.n, 0);
	fails = false;
	assert_int_equal(status_of("PATCH", CMS "/a", "application/merge-patch+json",
				   "{\"data\":{\"k\":\"2\"}}"),
			 200);
	assert_int_equal(core_revision(core), before + 1);
	assert_true(told(watcher, "\"k\":\"2\""));
	assert_false(told(watcher, "\"k\":\"1\""));
	core_cancel(core, &watcher->req);
	struct asked *all[] = {w, g, g2, l, watcher};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		ask_free(all[i]);
	end();
}

void test_core_write__of_creations_and_deletions_that_failed_nothing_stays(void **state)
{
	struct asked *q[3];

	(void)state;
	begin();
	assert_int_equal(status_of("POST", CMS, NULL, "{\"metadata\":{\"name\":\"a\"}}"), 201);
	fails = true;
	q[0] = queue("POST", CMS, NULL, "{\"metadata\":{\"name\":\"b\"}}");
	q[1] = queue("DELETE", CMS "/a", NULL, NULL);
	q[2] = queue("POST", CMS, NULL, "{\"metadata\":{\"name\":\"a\"}}");
	core_turn(core);
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		assert_int_equal(q[i]->status, 507);
		ask_free(q[i]);
	}
	assert_int_equal(status_of("GET", CMS "/a", NULL, NULL), 200);
	assert_int_equal(status_of("GET", CMS "/b", NULL, NULL), 404);
	fails = false;
	assert_int_equal(status_of("POST", CMS, NULL, "{\"metadata\":{\"name\":\"b\"}}"), 201);
	end();
}

/* Addresses that a failed Service took are free again. */
void test_core_write__a_failed_service_gives_its_address_back(void **state)
{
	static const char service[] = "{\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIP\":"
				      "\"10.96.7.7\",\"ports\":[{\"port\":80}]}}";

	(void)state;
	begin();
	fails = true;
	assert_int_equal(status_of("POST", "/api/v1/namespaces/default/services", NULL, service),
			 507);
	fails = false;
	assert_int_equal(status_of("POST", "/api/v1/namespaces/default/services", NULL, service),
			 201);
	end();
}

void test_core_write__of_many_updates_of_one_version_one_wins(void **state)
{
	AUTO(buf) struct buf body = {0};
	struct asked *q[64];
	int won = 0, lost = 0;

	(void)state;
	begin();
	assert_int_equal(status_of("POST", CMS, NULL, "{\"metadata\":{\"name\":\"a\"}}"), 201);
	buf_printf(&body,
		   "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"%llu\"},\"data\":{\"k\":"
		   "\"v\"}}",
		   (unsigned long long)core_revision(core));
	for (size_t i = 0; i < ARRAY_LEN(q); i++)
		q[i] = queue("PUT", CMS "/a", NULL, buf_cstr(&body));
	core_turn(core);
	for (size_t i = 0; i < ARRAY_LEN(q); i++) {
		won += q[i]->status == 200;
		lost += q[i]->status == 409;
		if (q[i]->status == 409)
			assert_true(told(q[i], "\"reason\":\"Conflict\""));
		ask_free(q[i]);
	}
	assert_int_equal(won, 1);
	assert_int_equal(lost, 63);
	end();
}

/* ---- what is encrypted ---- */

static int seal(void *arg, struct str key, struct str plain, struct buf *out, struct err *err)
{
	(void)key;
	(void)err;
	buf_printf(out, "<%c>", *(const char *)arg);
	for (size_t i = 0; i < plain.n; i++)
		buf_putc(out, (char)(plain.p[i] ^ *(const char *)arg));
	return 0;
}

static int unseal(void *arg, struct str key, struct str sealed, struct buf *out, struct err *err)
{
	(void)arg;
	(void)key;
	(void)err;
	for (size_t i = 3; i < sealed.n; i++)
		buf_putc(out, (char)(sealed.p[i] ^ sealed.p[1]));
	return 0;
}

static bool is_old(void *arg, struct str sealed)
{
	return sealed.p[1] != *(const char *)arg;
}

static int count_rows(void *arg, struct str key, struct str value, uint64_t revision)
{
	size_t *n = arg;

	(void)revision;
	if (!str_starts(key, STR("/secrets/")))
		return 0;
	n[value.p[1] == '1']++;
	n[2]++;
	return 0;
}

static struct core *core_with_key(const char *which)
{
	struct core *c = core_new(&(struct core_opts){.store = store,
						      .seed = 7,
						      .now = test_now,
						      .seal = seal,
						      .open = unseal,
						      .seal_arg = (void *)(uintptr_t)which,
						      .is_old = is_old},
				  NULL);

	assert_non_null(c);
	return c;
}

static bool is_sealed(struct str value)
{
	return str_starts(value, STR("<"));
}

static int count_clear(void *arg, struct str key, struct str value, uint64_t revision)
{
	size_t *n = arg;

	(void)revision;
	if (str_starts(key, STR("/configmaps/default/c-")))
		n[is_sealed(value)]++;
	return 0;
}

static struct core *core_that_encrypts(const char *resource)
{
	static const char *names[1];
	struct core_opts o = {.store = store,
			      .seed = 7,
			      .now = test_now,
			      .seal = seal,
			      .open = unseal,
			      .seal_arg = (void *)(uintptr_t) "1",
			      .is_old = is_old,
			      .is_sealed = is_sealed,
			      .encrypt = names,
			      .nencrypt = resource != NULL};
	struct core *c;

	names[0] = resource;
	c = core_new(&o, NULL);
	assert_non_null(c);
	return c;
}

/* Other kinds as well, if that is asked for; their rows follow what is asked for later. */
void test_core_write__further_kinds_are_encrypted(void **state)
{
	size_t n[2] = {0};
	int more;

	(void)state;
	begin();
	core_free(core);
	core = core_that_encrypts(NULL);
	for (int i = 0; i < 50; i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"c-%d\"}}", i);
		assert_int_equal(
			status_of("POST", "/api/v1/namespaces/default/configmaps", NULL, body),
			201);
	}
	for (int on = 1; on >= 0; on--) {
		core_free(core);
		core = core_that_encrypts(on ? "configmaps" : NULL);
		assert_true(core_reseal_wanted(core));
		while ((more = core_reseal(core, NULL)) > 0)
			;
		assert_int_equal(more, 0);
		memset(n, 0, sizeof(n));
		store->ops->load(store, count_clear, n, NULL);
		assert_int_equal(n[on], 50);
		assert_int_equal(n[!on], 0);
		assert_int_equal(
			status_of("GET", "/api/v1/namespaces/default/configmaps/c-49", NULL, NULL),
			200);
	}
	end();
}

/* Under the old key 1, then the new one 2: every row moves, none changes its revision, and it goes
 * on where it was interrupted by a restart. */
void test_core_write__secrets_move_to_the_new_key(void **state)
{
	size_t n[3] = {0};
	uint64_t revision;
	int more;

	(void)state;
	begin();
	core_free(core);
	core = core_with_key("1");
	for (int i = 0; i < 150; i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"metadata\":{\"name\":\"s-%d\"}}", i);
		assert_int_equal(
			status_of("POST", "/api/v1/namespaces/default/secrets", NULL, body), 201);
	}
	revision = core_revision(core);
	assert_int_equal(core_reseal(core, NULL), 0); /* nothing to do */
	core_reseal_start(core, (void *)(uintptr_t) "2");
	assert_int_equal(core_reseal(core, NULL), 1);
	store->ops->load(store, count_rows, n, NULL);
	assert_true(n[1] > 0 && n[1] < 150 && n[2] == 150);
	core_free(core);
	core = core_with_key("2");
	fails = true;
	assert_int_equal(core_reseal(core, NULL), -1);
	fails = false;
	while ((more = core_reseal(core, NULL)) > 0)
		;
	assert_int_equal(more, 0);
	memset(n, 0, sizeof(n));
	store->ops->load(store, count_rows, n, NULL);
	assert_int_equal(n[0], 150);
	assert_int_equal(n[1], 0);
	assert_int_equal(core_revision(core), revision);
	assert_int_equal(store->ops->revision(store), revision);
	assert_int_equal(status_of("GET", "/api/v1/namespaces/default/secrets/s-149", NULL, NULL),
			 200);
	end();
}

/* A strategic patch that leaves no object behind is itself what is wrong. */
void test_core_write__a_patch_that_makes_no_object_is_refused(void **state)
{
	struct asked *q;

	(void)state;
	begin();
	assert_int_equal(status_of("POST", CMS, NULL, "{\"metadata\":{\"name\":\"p\"}}"), 201);
	q = queue("PATCH", CMS "/p", "application/strategic-merge-patch+json",
		  "{\"metadata\":{\"labels\":\"x\",\"annotations\":{\"b\":\"1\",\"a\":\"2\"}}}");
	core_turn(core);
	assert_int_equal(q->status, 422);
	assert_true(told(q, "\"message\":\" \\\"\\\" is invalid: patch: Invalid value: "
			    "\\\"map[metadata:map[annotations:map[a:2 b:1] labels:x]]\\\": cannot "
			    "restore map from string\""));
	assert_true(told(q, "\"details\":{\"causes\":[{\"reason\":\"FieldValueInvalid\""));
	ask_free(q);
	q = queue("PATCH", CMS "/p", "application/json-patch+json",
		  "[{\"op\":\"test\",\"path\":\"/data\",\"value\":1}]");
	core_turn(core);
	assert_int_equal(q->status, 422);
	assert_true(told(q, "the server rejected our request due to an error in our request"));
	assert_true(told(q, "\"details\":{}"));
	ask_free(q);
	end();
}

/* What everybody sees once who changes a Deployment's selector; and defaults that a Job has, its
 * template has not. */
void test_core_write__workloads_in_kubernetes_words(void **state)
{
	static const char apps[] = "/apis/apps/v1/namespaces/default/deployments",
			  batch[] = "/apis/batch/v1/namespaces/default/cronjobs";
	struct asked *q;

	(void)state;
	begin();
	assert_int_equal(status_of("POST", apps, NULL,
				   "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{"
				   "\"matchLabels\":{\"a\":"
				   "\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\","
				   "\"c\":\"d\"}},\"spec\":{"
				   "\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}}"),
			 201);
	q = queue("PATCH", "/apis/apps/v1/namespaces/default/deployments/d",
		  "application/merge-patch+json",
		  "{\"spec\":{\"selector\":{\"matchLabels\":{\"a\":null,\"c\":\"d\"}}}}");
	core_turn(core);
	assert_true(told(q, "spec.selector: Invalid value: "
			    "v1.LabelSelector{MatchLabels:map[string]string{\\\"c\\\":\\\"d\\\"}, "
			    "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is "
			    "immutable\""));
	ask_free(q);
	q = queue("PATCH", "/apis/apps/v1/namespaces/default/deployments/d",
		  "application/merge-patch+json",
		  "{\"metadata\":{\"annotations\":{\"x/y/z\":\"1\"}}}");
	core_turn(core);
	assert_true(told(q, "a qualified name must consist of"));
	ask_free(q);
	q = queue("GET", "/apis/apps/v1/namespaces/default/deployments/d/scale", NULL, NULL);
	q->req.form = CORE_FORM_TABLE;
	core_turn(core);
	assert_true(told(q, "\"name\":\"Desired\""));
	assert_true(told(q, "\"cells\":[\"d\",1,0,\"0s\"]"));
	ask_free(q);
	q = queue("POST", batch, NULL,
		  "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"schedule\":\"* * * * *\","
		  "\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\","
		  "\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}}}}");
	core_turn(core);
	assert_int_equal(q->status, 201);
	assert_false(told(q, "completionMode"));
	ask_free(q);
	end();
}

/* What `kubectl get -o wide` shows of who gets a role, and of a class's parameters. */
void test_core_write__tables_tell_subjects_and_parameters(void **state)
{
	static const char bindings[] = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
			  classes[] = "/apis/networking.k8s.io/v1/ingressclasses";
	struct asked *q;

	(void)state;
	begin();
	q = queue("POST", bindings, NULL,
		  "{\"metadata\":{\"name\":\"b\"},\"roleRef\":{\"apiGroup\":"
		  "\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"r\"},"
		  "\"subjects\":[{\"kind\":\"User\",\"name\":\"a\"},{\"kind\":\"User\",\"name\":"
		  "\"b\"},"
		  "{\"kind\":\"ServiceAccount\",\"namespace\":\"n\",\"name\":\"s\"}]}");
	q->req.form = CORE_FORM_TABLE;
	q->req.user = (struct admission_user){
		.name = STR("root"), .groups = &(struct str){"system:masters", 14}, .ngroups = 1};
	core_turn(core);
	assert_true(told(q, "[\"b\",\"ClusterRole/r\",\"0s\",\"a, b\",\"\",\"n/s\"]"));
	ask_free(q);
	q = queue("POST", classes, NULL,
		  "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"controller\":\"x.io/"
		  "y\",\"parameters\":{"
		  "\"apiGroup\":\"k.io\",\"kind\":\"P\",\"name\":\"p\"}}}");
	q->req.form = CORE_FORM_TABLE;
	core_turn(core);
	assert_true(told(q, "[\"c\",\"x.io/y\",\"P.k.io/p\",\"0s\"]"));
	ask_free(q);
	end();
}

void test_core_write__a_strategy_is_completed_where_none_was_said(void **state)
{
	static const char path
		[] = "/apis/apps/v1/namespaces/default/statefulsets",
	    spec[] = "{\"metadata\":{\"name\":\"%s\"},\"spec\":{%s\"serviceName\":\"s\","
		     "\"selector\":{"
		     "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":"
		     "\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"x\"}]}}}}";
	struct asked *q;
	char text[512];

	(void)state;
	begin();
	snprintf(text, sizeof(text), spec, "a", "");
	q = queue("POST", path, NULL, text);
	core_turn(core);
	assert_true(told(q, "\"rollingUpdate\":{\"partition\":0}"));
	ask_free(q);
	snprintf(text, sizeof(text), spec, "b", "\"updateStrategy\":{\"type\":\"RollingUpdate\"},");
	q = queue("POST", path, NULL, text);
	core_turn(core);
	assert_int_equal(q->status, 201);
	assert_false(told(q, "partition"));
	ask_free(q);
	end();
}
