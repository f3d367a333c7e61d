/*
 * The front over a real core: TLS connections of an administrator, of somebody without rights and
 * of a ServiceAccount, as kubectl and client libraries make them.
 */
#include "tests/unit/apiserver/live.h"

#include "lib/schema/proto.h"

#include "lib/base/codec.h"

void test_front_live__who_may_what(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&nobody, "GET", "/healthz", NULL), 401);
	assert_true(said("\"reason\":\"Unauthorized\""));
	assert_int_equal(ASK(&alice, "GET", CM, NULL), 403);
	assert_true(said("User \\\"alice\\\" cannot list resource \\\"configmaps\\\" in API group "
			 "\\\"\\\" in the namespace \\\"default\\\""));
	assert_int_equal(ASK(&admin, "GET", CM, NULL), 200);
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Impersonate-User", "alice"), 403);
	assert_int_equal(ASK(&alice, "GET", CM, NULL, "Impersonate-User", "root",
			     "Impersonate-Group", "system:masters"),
			 403);
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Impersonate-Group", "x"), 400);
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", "Bearer rubbish"), 401);
	assert_int_equal(ASK(&admin, "GET", "/metrics", NULL), 200);
	assert_int_equal(ASK(&alice, "GET", "/metrics", NULL), 403);
	assert_int_equal(ASK(&admin, "GET", "/readyz?verbose", NULL), 200);
	assert_true(said("readyz check passed"));
	assert_int_equal(ASK(&admin, "GET", "/version", NULL), 200);
	assert_true(said("\"minor\":\"32\""));
	teardown();
}

#define SELF "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define SELF_BODY "{\"kind\":\"SelfSubjectReview\",\"apiVersion\":\"authentication.k8s.io/v1\"}"

static void give_alice(const char *rules)
{
	AUTO(arena) struct arena a = {0};
	const char *path = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

	assert_int_equal(ASK(&admin, "POST", path,
			     arena_printf(&a,
					  "{\"metadata\":{\"name\":\"a\"},\"rules\":[{\"verbs\":["
					  "\"impersonate\"],\"apiGroups\":[\"\"],\"resources\":["
					  "\"users\"]},%s]}",
					  rules)),
			 201);
	assert_int_equal(
		ASK(&admin, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		    "{\"metadata\":{\"name\":\"a\"},\"roleRef\":{\"apiGroup\":"
		    "\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"a\"},"
		    "\"subjects\":[{\"kind\":\"User\",\"name\":\"alice\",\"apiGroup\":"
		    "\"rbac.authorization.k8s.io\"}]}"),
		201);
}

void test_front_live__what_else_is_known_of_a_user(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&alice, "POST", SELF, SELF_BODY), 201);
	assert_true(said("\"extra\":{\"authentication.kubernetes.io/credential-id\":["
			 "\"X509SHA256="));
	assert_int_equal(ASK(&admin, "POST", SELF, SELF_BODY, "Impersonate-User", "bob",
			     "Impersonate-Extra-Example.com%2fTeam", "red",
			     "impersonate-extra-example.com%2fTeam", "blue"),
			 201);
	assert_true(said("\"extra\":{\"example.com/team\":[\"red\",\"blue\"]}"));
	assert_false(said("X509SHA256"));
	assert_int_equal(ASK(&admin, "POST", SELF, SELF_BODY, "Impersonate-Extra-a", "b"), 400);
	/* Each value needs a right of its own. */
	give_alice("{\"verbs\":[\"impersonate\"],\"apiGroups\":[\"authentication.k8s.io\"],"
		   "\"resources\":[\"userextras/scopes\"],\"resourceNames\":[\"view\"]}");
	assert_int_equal(ASK(&alice, "POST", SELF, SELF_BODY, "Impersonate-User", "bob",
			     "Impersonate-Extra-Scopes", "view"),
			 201);
	assert_true(said("\"extra\":{\"scopes\":[\"view\"]}"));
	assert_int_equal(ASK(&alice, "POST", SELF, SELF_BODY, "Impersonate-User", "bob",
			     "Impersonate-Extra-Scopes", "view", "Impersonate-Extra-Scopes",
			     "edit"),
			 403);
	assert_true(said("cannot impersonate resource \\\"userextras/scopes\\\" in API group "
			 "\\\"authentication.k8s.io\\\" at the cluster scope"));
	assert_int_equal(ASK(&alice, "POST", SELF, SELF_BODY, "Impersonate-User", "bob",
			     "Impersonate-Extra-Team", "view"),
			 403);
	/* A review that names some is a review. */
	assert_int_equal(ASK(&admin, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
			     "{\"spec\":{\"user\":\"bob\",\"extra\":{\"scopes\":[\"view\"]},"
			     "\"nonResourceAttributes\":{\"path\":\"/\",\"verb\":\"get\"}}}"),
			 201);
	assert_true(said("\"extra\":{\"scopes\":[\"view\"]}"));
	teardown();
}

void test_front_live__objects(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", CM,
			     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"a\"},\"data\":{\"x\":\"y\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "GET", CM "/a", NULL), 200);
	assert_true(said("\"x\":\"y\""));
	assert_int_equal(ASK(&admin, "GET", CM "/a", NULL, "Accept", "application/yaml"), 200);
	assert_true(said("  x: \"y\"\n"));
	assert_int_equal(ASK(&admin, "GET", CM "/a", NULL, "Accept", "application/xml"), 406);
	assert_int_equal(ASK(&admin, "GET", CM "/none", NULL), 404);
	assert_int_equal(ASK(&admin, "GET", "/api/v1/nothings", NULL), 404);
	assert_int_equal(ASK(&admin, "PUT", CM, "{}"), 405);
	assert_int_equal(ASK(&admin, "GET", "/nothing/at/all", NULL), 404);
	assert_int_equal(ASK(&admin, "DELETE", CM "/a", NULL), 200);
	teardown();
}

void test_front_live__watch_until_the_client_leaves(void **state)
{
	struct result w = {0};
	struct http_call call = {.method = "GET",
				 .path = STR(CM "?watch=true"),
				 .done = on_done,
				 .head = on_head,
				 .data = on_data,
				 .arg = &w};

	(void)state;
	setup();
	struct http_running *run = http_client_call(admin.client, &call);
	turn_until(&w.heads, 1);
	assert_int_equal(w.status, 200);
	assert_int_equal(ASK(&admin, "POST", CM,
			     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":"
			     "\"seen\"}}"),
			 201);
	for (int i = 0; i < 12000 && !w.body.n; i++)
		loop_turn(loop, 10);
	assert_true(str_find(buf_view(&w.body), STR("\"type\":\"ADDED\"")) >= 0);
	assert_true(str_find(buf_view(&w.body), STR("seen")) >= 0);
	http_call_cancel(run);
	/* The server goes on without it. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(ASK(&admin, "GET", CM "/seen", NULL), 200);
	forget(&w);
	/* One that is still there when the server stops is ended. */
	http_client_call(admin.client, &call);
	turn_until(&w.heads, 1);
	forget(&w);
	teardown();
	forget(&w);
}

void test_front_live__discovery(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "GET", "/api", NULL, "Accept",
			     "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
			     "application/json"),
			 200);
	assert_true(said("\"resource\":\"configmaps\""));
	assert_true(str_starts(buf_view(&last.type), STR("application/json;g=apidiscovery")));
	assert_int_equal(ASK(&admin, "GET", "/api/v1", NULL), 200);
	assert_true(said("APIResourceList"));
	assert_int_equal(ASK(&admin, "GET", "/apis/nothing.example.com", NULL), 404);
	teardown();
}

static struct str token_of_answer(struct arena *a)
{
	struct json *v = json_parse(a, arena_str(a, buf_view(&last.body)), NULL, NULL);

	return json_str(json_at(v, "status", "token"));
}

/* curl and browsers get lines that people can read; so does who asks for them. */
void test_front_live__people_get_lines(void **state)
{
	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "GET", "/api/v1/namespaces/default?pretty=true", NULL), 200);
	assert_true(said("{\n  \"kind\": \"Namespace\",\n"));
	assert_int_equal(
		ASK(&admin, "GET", "/api/v1/namespaces/default", NULL, "User-Agent", "curl/8.0"),
		200);
	assert_true(said("{\n  \"kind\": \"Namespace\",\n"));
	assert_int_equal(ASK(&admin, "GET", "/api?pretty=1", NULL), 200);
	assert_true(said("\n  \"versions\": [\n    \"v1\"\n  ]"));
	assert_int_equal(ASK(&admin, "GET", "/api/v1/namespaces/default?pretty=false", NULL,
			     "User-Agent", "curl/8.0"),
			 200);
	assert_true(said("{\"kind\":\"Namespace\""));
	teardown();
}

void test_front_live__tokens_die_with_their_account(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	setup();
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts",
			     "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{"
			     "\"name\":\"bot\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/none/token", "{}"), 404);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/bot/token",
			     "{\"spec\":{\"expirationSeconds\":5}}"),
			 422);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts/bot/token",
			     "{\"kind\":\"TokenRequest\",\"spec\":{}}"),
			 201);
	struct str token = token_of_answer(&a);
	assert_true(token.n > 100);
	char *bearer = arena_printf(&a, "Bearer %.*s", STR_ARG(token));

	/* Known, but without rights to that. */
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", bearer), 403);
	assert_true(said("system:serviceaccount:default:bot"));
	char *review = arena_printf(&a, "{\"spec\":{\"token\":\"%.*s\"}}", STR_ARG(token));
	assert_int_equal(ASK(&admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review),
			 201);
	assert_true(said("\"authenticated\":true"));
	assert_int_equal(ASK(&admin, "DELETE", NS "serviceaccounts/bot", NULL), 200);
	assert_int_equal(ASK(&nobody, "GET", CM, NULL, "Authorization", bearer), 401);
	assert_int_equal(ASK(&admin, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", review),
			 201);
	assert_false(said("\"authenticated\":true"));
	teardown();
}

void test_front_live__access_reviews(void **state)
{
	static const char path[] = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", path,
		    "{\"spec\":{\"user\":\"alice\",\"resourceAttributes\":{\"verb\":\"get\","
		    "\"resource\":\"pods\",\"namespace\":\"default\"}}}"),
		201);
	assert_true(said("\"allowed\":false"));
	assert_int_equal(ASK(&admin, "POST", path,
			     "{\"spec\":{\"user\":\"x\",\"groups\":[\"system:masters\"],"
			     "\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/x\"}}}"),
			 201);
	assert_true(said("\"allowed\":true"));
	assert_int_equal(ASK(&admin, "POST", path, "{\"spec\":{}}"), 422);
	assert_int_equal(ASK(&admin, "POST", path, "[]"), 400);
	assert_int_equal(ASK(&admin, "POST", path, "{\"kind\":\"Pod\"}"), 400);
	teardown();
}

#define POD(name, node)                                                                            \
	"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name                   \
	"\"},\"spec\":{\"nodeName\":\"" node                                                       \
	"\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"envFrom\":[{\"secretRef\":{"         \
	"\"name\":\"of-" node "\"}}]}]}}"
#define NODE(name) "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\"}}"
#define SECRET(name)                                                                               \
	"{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\"}}"

#define TOKEN_FOR                                                                                  \
	"{\"spec\":{\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"%s\","   \
	"\"uid\":\"%s\"}}}"

static void uid_of(const char *path, char out[UUID_TEXT_MAX])
{
	AUTO(arena) struct arena a = {0};

	assert_int_equal(ASK(&admin, "GET", path, NULL), 200);
	struct str uid = json_str(
		json_at(json_parse(&a, buf_view(&last.body), NULL, NULL), "metadata", "uid"));
	snprintf(out, UUID_TEXT_MAX, "%.*s", STR_ARG(uid));
}

void test_front_live__a_node_reaches_what_is_its_own(void **state)
{
	struct who node;

	(void)state;
	setup();
	connect_as(&node, "system:node:n1", "system:nodes");
	assert_int_equal(ASK(&node, "POST", "/api/v1/nodes", NODE("n2")), 403);
	assert_int_equal(ASK(&node, "POST", "/api/v1/nodes", NODE("n1")), 201);
	assert_int_equal(ASK(&admin, "POST", "/api/v1/nodes", NODE("n2")), 201);
	assert_int_equal(ASK(&node, "DELETE", "/api/v1/nodes/n2", NULL), 403);
	assert_int_equal(ASK(&node, "GET", "/api/v1/nodes/n2", NULL), 200);
	assert_int_equal(ASK(&admin, "POST", NS "serviceaccounts",
			     "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{"
			     "\"name\":\"default\"}}"),
			 201);
	assert_int_equal(ASK(&admin, "POST", NS "secrets", SECRET("of-n1")), 201);
	assert_int_equal(ASK(&admin, "POST", NS "secrets", SECRET("of-n2")), 201);
	assert_int_equal(ASK(&node, "GET", NS "secrets/of-n1", NULL), 403);
	assert_int_equal(ASK(&admin, "POST", NS "pods", POD("a", "n1")), 201);
	assert_int_equal(ASK(&admin, "POST", NS "pods", POD("b", "n2")), 201);
	assert_int_equal(ASK(&node, "GET", NS "secrets/of-n1", NULL), 200);
	assert_int_equal(ASK(&node, "GET", NS "secrets/of-n2", NULL), 403);
	assert_int_equal(ASK(&node, "GET", NS "secrets", NULL), 403);
	assert_int_equal(ASK(&node, "GET", NS "secrets?fieldSelector=metadata.name%3Dof-n1", NULL),
			 200);
	assert_int_equal(ASK(&node, "GET", "/api/v1/pods", NULL), 403);
	assert_int_equal(ASK(&node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn2", NULL),
			 403);
	assert_int_equal(ASK(&node, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", NULL),
			 200);
	assert_int_equal(ASK(&node, "GET", NS "pods/b", NULL), 403);
	assert_int_equal(ASK(&node, "DELETE", NS "pods/b", NULL), 403);
	assert_int_equal(ASK(&node, "POST", NS "serviceaccounts/default/token", "{}"), 403);
	char token[300], uid[UUID_TEXT_MAX];
	uid_of(NS "pods/a", uid);
	snprintf(token, sizeof(token), TOKEN_FOR, "a", uid);
	assert_int_equal(ASK(&node, "POST", NS "serviceaccounts/default/token", token), 201);
	uid_of(NS "pods/b", uid);
	snprintf(token, sizeof(token), TOKEN_FOR, "b", uid);
	assert_int_equal(ASK(&node, "POST", NS "serviceaccounts/default/token", token), 403);
	assert_int_equal(ASK(&node, "POST",
			     "/api/v1/namespaces/kube-system/serviceaccounts/default/"
			     "token",
			     "{}"),
			 403);
	leave(&node);
	teardown();
}

#define RBAC "/apis/rbac.authorization.k8s.io/v1/"
#define ROLE(name, verb, what)                                                                     \
	"{\"kind\":\"ClusterRole\",\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"metadata\":{" \
	"\"name\":\"" name "\"},\"rules\":[{\"verbs\":[\"" verb                                    \
	"\"],\"apiGroups\":[\"*\"],\"resources\":[\"" what "\"]}]}"
#define BINDING(role, user)                                                                        \
	"{\"kind\":\"ClusterRoleBinding\",\"apiVersion\":\"rbac.authorization.k8s.io/v1\","        \
	"\"metadata\":{\"name\":\"" role "-" user                                                  \
	"\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\","    \
	"\"name\":\"" role "\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\","        \
	"\"kind\":\"User\",\"name\":\"" user "\"}]}"

void test_front_live__nobody_gives_away_what_they_lack(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", RBAC "clusterroles",
		    ROLE("makers", "create\",\"get", "clusterroles\",\"clusterrolebindings")),
		201);
	assert_int_equal(ASK(&alice, "POST", RBAC "clusterroles", ROLE("x", "get", "nodes")), 403);
	assert_int_equal(
		ASK(&admin, "POST", RBAC "clusterrolebindings", BINDING("makers", "alice")), 201);
	assert_int_equal(ASK(&alice, "POST", RBAC "clusterroles", ROLE("x", "get", "secrets")),
			 403);
	assert_true(said("attempting to grant RBAC permissions not currently held"));
	assert_int_equal(ASK(&alice, "POST", RBAC "clusterroles", ROLE("x", "get", "clusterroles")),
			 201);
	assert_int_equal(ASK(&alice, "POST", RBAC "clusterrolebindings", BINDING("x", "bob")), 201);
	assert_int_equal(
		ASK(&alice, "POST", RBAC "clusterrolebindings", BINDING("cluster-admin", "alice")),
		403);
	teardown();
}

#define PROTO "application/vnd.kubernetes.protobuf"

static const struct json *read_proto(struct arena *a, struct str in)
{
	struct err err = {0};
	const struct json *v = proto_decode(a, in, &err);

	if (!v)
		fail_msg("%s", err.msg);
	return v;
}

/* Kubernetes' clients send old kinds in old versions as protobuf: what matters is that these aren't
 * there, and a body that can't be read is none's business but theirs who would read it. */
void test_front_live__protobuf_where_nothing_is(void **state)
{
	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", "/apis/gone.io/v1beta1/things", "k8s?", "Content-Type", PROTO),
		404);
	assert_true(said("the server could not find the requested resource"));
	assert_int_equal(ASK(&admin, "POST", CM, "k8s?", "Content-Type", PROTO), 400);
	assert_true(said("protobuf body"));
	assert_int_equal(ASK(&alice, "POST", CM, "k8s?", "Content-Type", PROTO), 403);
	teardown();
}

/* Who takes nothing but protobuf gets it, where there is such a form. */
void test_front_live__protobuf_answers(void **state)
{
	static const char crd[] =
		"{\"metadata\":{\"name\":\"ws.x.io\"},\"spec\":{\"group\":\"x.io\",\"scope\":"
		"\"Cluster\",\"names\":{\"plural\":\"ws\",\"kind\":\"W\"},\"versions\":[{\"name\":"
		"\"v1\",\"served\":true,\"storage\":true,\"schema\":{\"openAPIV3Schema\":{\"type\":"
		"\"object\"}}}]}}";
	AUTO(arena) struct arena a = {0};
	struct result r = {0};

	(void)state;
	setup();
	assert_int_equal(
		ASK(&admin, "POST", CM, "{\"metadata\":{\"name\":\"p\"},\"data\":{\"k\":\"v\"}}"),
		201);
	assert_int_equal(ASK(&admin, "GET", CM "/p", NULL, "Accept", PROTO), 200);
	assert_string_equal(buf_cstr(&last.type), PROTO);
	assert_true(
		str_is(json_str(json_at(read_proto(&a, buf_view(&last.body)), "data", "k")), "v"));
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Accept", PROTO ", application/json"), 200);
	assert_string_equal(buf_cstr(&last.type), "application/json");
	assert_int_equal(ASK(&admin, "GET", CM, NULL, "Accept", PROTO), 200);
	assert_true(proto_is(buf_view(&last.body)));
	assert_int_equal(ASK(&admin, "GET", CM "/none", NULL, "Accept", PROTO), 404);
	assert_true(str_is(json_str(json_get(read_proto(&a, buf_view(&last.body)), STR("reason"))),
			   "NotFound"));
	assert_int_equal(
		ASK(&admin, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
		    "{\"spec\":{\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/\"}}}",
		    "Accept", PROTO),
		201);
	assert_true(json_bool(json_at(read_proto(&a, buf_view(&last.body)), "status", "allowed"),
			      false));
	assert_int_equal(ASK(&admin, "POST",
			     "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd,
			     "Accept", PROTO),
			 201);
	assert_true(str_is(json_str(json_get(read_proto(&a, buf_view(&last.body)), STR("kind"))),
			   "CustomResourceDefinition"));
	assert_int_equal(ASK(&admin, "GET", "/apis/x.io/v1/ws", NULL, "Accept", PROTO), 406);
	struct http_header accept = {STR("Accept"), STR(PROTO ";stream=watch," PROTO)};
	http_client_call(
		admin.client,
		&(struct http_call){.method = "GET",
				    .path = STR(CM "?watch=true&fieldSelector=metadata.name%3Dp&"
						   "timeoutSeconds=1&resourceVersion=0"),
				    .headers = &accept,
				    .nheaders = 1,
				    .head = on_head,
				    .data = on_data,
				    .done = on_done,
				    .arg = &r});
	turn_until(&r.heads, 1);
	for (int i = 0; i < 12000 && r.body.n < 8; i++)
		loop_turn(loop, 10);
	size_t n = (unsigned char)r.body.p[2] * 256U + (unsigned char)r.body.p[3];
	assert_true(n + 4 <= r.body.n);
	assert_memory_equal(r.body.p + 4,
			    "\x0a\x05"
			    "ADDED",
			    7);
	ssize_t at = str_find(buf_view(&r.body), (struct str){"k8s", 4});
	assert_true(at > 0);
	assert_true(str_is(
		json_str(json_at(read_proto(&a, str_sub(buf_view(&r.body), (size_t)at, n + 4)),
				 "metadata", "name")),
		"p"));
	turn_until(&r.done, 1);
	forget(&r);
	teardown();
}
