/* Signing and cleaning up of CertificateSigningRequests over plain lists. */
#include "fake.h"

#include "lib/base/codec.h"
#include "lib/http/tls.h"

#include "controllers/csrsigners.h"

extern const struct controller controller_csrsigning;

#define CLIENT "kubernetes.io/kube-apiserver-client"
#define KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define APPROVED "{'type':'Approved','status':'True','lastUpdateTime':'2023-11-14T22:13:20Z'}"

static struct controllers_config config;
static struct buf ca_cert, ca_key;

static struct fake *start(void)
{
	struct fake *f = fake_new(&controller_csrsigning);
	struct err err = {0};

	assert_int_equal(ca_create("ca", f->now_ns, 3600, &ca_cert, &ca_key, &err), 0);
	config = (struct controllers_config){.root_ca = buf_view(&ca_cert),
					     .ca_key = buf_view(&ca_key)};
	f->config = &config;
	return f;
}

static void stop(struct fake *f)
{
	buf_release(&ca_cert);
	buf_release(&ca_key);
	fake_free(f);
}

#define CLIENT_USAGES "'client auth','digital signature'"
#define SERVER_USAGES "'server auth','digital signature'"
static const char *usages = CLIENT_USAGES;
static const char *const *sans;

static void request(struct fake *f, const char *signer, const char *cn, const char *org,
		    const char *conditions)
{
	const char *orgs[] = {org, NULL};
	struct buf key = {0}, csr = {0}, text = {0};
	struct err err = {0};

	assert_int_equal(csr_create(cn, org ? orgs : NULL, sans, &key, &csr, &err), 0);
	base64_encode(buf_view(&csr), &text);
	fake_add(f, &res_certificatesigningrequests,
		 arena_printf(&f->arena,
			      "{'apiVersion':'certificates.k8s.io/v1','kind':"
			      "'CertificateSigningRequest','metadata':{'name':'r'},'spec':{"
			      "'request':'%s','signerName':'%s','usages':[%s],"
			      "'expirationSeconds':600},'status':{'conditions':[%s]}}",
			      buf_cstr(&text), signer, usages, conditions));
	buf_release(&key);
	buf_release(&csr);
	buf_release(&text);
}

static const struct json *status(struct fake *f)
{
	return json_at(fake_get(f, &res_certificatesigningrequests, "", "r"), "status");
}

static bool has_failed(struct fake *f)
{
	const struct json *all = json_at(status(f), "conditions");

	for (size_t i = 0; i < json_len(all); i++)
		if (str_is(json_str(json_at(json_item(all, i), "type")), "Failed"))
			return true;
	return false;
}

void test_csrsigning__signs_what_is_approved(void **state)
{
	struct fake *f = start();
	struct cert_info info = {0};
	struct buf pem = {0};
	struct err err = {0};

	(void)state;
	request(f, CLIENT, "jane", "devs", APPROVED);
	fake_run(f, "", "r");
	assert_int_equal(base64_decode(json_str(json_at(status(f), "certificate")), &pem), 0);
	assert_int_equal(cert_info(buf_view(&pem), &info, &err), 0);
	assert_string_equal(info.common_name, "jane");
	assert_true(str_starts(buf_view(&info.organizations), STR("devs")));
	assert_true(info.not_after_ns <= f->now_ns + 600 * NS_PER_S);
	cert_info_release(&info);
	buf_release(&pem);
	stop(f);
}

void test_csrsigning__signs_nothing_else(void **state)
{
	static const struct {
		const char *signer, *cn, *org, *conditions;
		bool fails;
	} rows[] = {
		{CLIENT, "jane", NULL, "", false},
		{"example.com/mine", "jane", NULL, APPROVED, false},
		{CLIENT, "jane", NULL, APPROVED ",{'type':'Denied','status':'True'}", false},
		{CLIENT, "jane", "system:masters", APPROVED, true},
		{KUBELET, "jane", "system:nodes", APPROVED, true},
		{KUBELET, "system:node:n", "devs", APPROVED, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fake *f = start();

		request(f, rows[i].signer, rows[i].cn, rows[i].org, rows[i].conditions);
		fake_run(f, "", "r");
		assert_null(json_at(status(f), "certificate"));
		assert_int_equal(has_failed(f), rows[i].fails);
		stop(f);
	}
}

void test_csrsigning__nodes_get_theirs(void **state)
{
	struct fake *f = start();

	(void)state;
	request(f, KUBELET, "system:node:n", "system:nodes", APPROVED);
	fake_run(f, "", "r");
	assert_non_null(json_at(status(f), "certificate"));
	stop(f);
}

void test_csrsigning__without_a_key_nothing_is_signed(void **state)
{
	struct fake *f = start();

	(void)state;
	config.ca_key = STR_NONE;
	request(f, CLIENT, "jane", NULL, APPROVED);
	fake_run(f, "", "r");
	assert_null(json_at(status(f), "certificate"));
	stop(f);
}

void test_csrsigning__old_requests_go(void **state)
{
	struct fake *f = start();

	(void)state;
	request(f, CLIENT, "jane", NULL, "");
	fake_run(f, "", "r");
	assert_int_equal(f->requeue_ns, 24 * 3600 * NS_PER_S);
	f->now_ns += 24 * 3600 * NS_PER_S;
	fake_run(f, "", "r");
	assert_int_equal(fake_count(f, &res_certificatesigningrequests), 0);
	request(f, "example.com/mine", "jane", NULL, APPROVED);
	f->now_ns += 3600 * NS_PER_S;
	fake_run(f, "", "r");
	assert_int_equal(fake_count(f, &res_certificatesigningrequests), 0);
	stop(f);
}

#define SERVING "kubernetes.io/kubelet-serving"
static const char *const node_sans[] = {"DNS:n1", "IP:10.0.0.7", "IP:fd00::1", NULL};

void test_csrsigning__serving_certificates_name_what_was_asked_for(void **state)
{
	struct fake *f = start();
	struct buf pem = {0};

	(void)state;
	usages = SERVER_USAGES;
	sans = node_sans;
	request(f, SERVING, "system:node:n1", "system:nodes", APPROVED);
	fake_run(f, "", "r");
	assert_false(has_failed(f));
	assert_int_equal(base64_decode(json_str(json_at(status(f), "certificate")), &pem), 0);
	assert_true(str_starts(buf_view(&pem), STR("-----BEGIN CERTIFICATE-----")));
	buf_release(&pem);
	usages = CLIENT_USAGES;
	sans = NULL;
	stop(f);
}

void test_csrsigning__each_signer_has_its_rules(void **state)
{
	static const char *const mail[] = {"DNS:n1", NULL};
	const struct {
		const char *signer, *cn, *org, *usages;
		const char *const *sans;
	} rows[] = {
		{SERVING, "system:node:n1", "system:nodes", SERVER_USAGES, NULL},
		{SERVING, "system:node:n1", "system:nodes", CLIENT_USAGES, node_sans},
		{SERVING, "system:node:n1", "system:nodes", "'server auth'", node_sans},
		{SERVING, "system:node:n1", "system:nodes", SERVER_USAGES ",'client auth'",
		 node_sans},
		{SERVING, "n1", "system:nodes", SERVER_USAGES, node_sans},
		{SERVING, "system:node:", "system:nodes", SERVER_USAGES, node_sans},
		{SERVING, "system:node:n1", "others", SERVER_USAGES, node_sans},
		{KUBELET, "system:node:n1", "system:nodes", CLIENT_USAGES, mail},
		{KUBELET, "system:node:n1", "system:nodes", "'client auth'", NULL},
		{KUBELET, "system:node:n1", "system:nodes", SERVER_USAGES, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct fake *f = start();
		usages = rows[i].usages;
		sans = rows[i].sans;
		request(f, rows[i].signer, rows[i].cn, rows[i].org, APPROVED);
		fake_run(f, "", "r");
		if (!has_failed(f))
			fail_msg("row %zu was signed", i);
		stop(f);
	}
	usages = CLIENT_USAGES;
	sans = NULL;
}

static const char *wanted(struct fake *f, const char *username)
{
	struct json *csr =
		json_copy(&f->arena, fake_get(f, &res_certificatesigningrequests, "", "r"));

	json_set_str(&f->arena, json_get(csr, STR("spec")), "username", str_c(username));
	return csr_wanted_right(csr);
}

void test_csrsigning__what_may_be_approved_by_itself(void **state)
{
	struct fake *f = start();

	(void)state;
	request(f, KUBELET, "system:node:n1", "system:nodes", "");
	assert_string_equal(wanted(f, "system:node:n1"), "selfnodeclient");
	assert_string_equal(wanted(f, "system:node:n2"), "nodeclient");
	assert_string_equal(wanted(f, "system:bootstrap:abcdef"), "nodeclient");
	stop(f);
	f = start();
	request(f, KUBELET, "system:node:n1", "system:nodes", APPROVED);
	assert_null(wanted(f, "system:node:n1"));
	stop(f);
	f = start();
	request(f, CLIENT, "system:node:n1", "system:nodes", "");
	assert_null(wanted(f, "system:node:n1"));
	stop(f);
	f = start();
	request(f, KUBELET, "jane", "system:nodes", "");
	assert_null(wanted(f, "jane"));
	stop(f);
}

static const char *wanted_of(const char *signer, const char *cn, const char *org,
			     const char *const *names, const char *user)
{
	struct fake *f = start();
	const char *right;

	usages = strstr(signer, "serving") ? SERVER_USAGES : CLIENT_USAGES;
	sans = names;
	request(f, signer, cn, org, "");
	right = wanted(f, user);
	stop(f);
	usages = CLIENT_USAGES;
	sans = NULL;
	return right ? right : "none";
}

void test_csrsigning__a_node_may_be_itself_and_its_proxy(void **state)
{
	static const char *const own[] = {"DNS:n1.kubelet", NULL};
	static const char *const more[] = {"DNS:n1.kubelet", "IP:10.0.0.1", NULL};
	static const char *const other[] = {"DNS:n2.kubelet", NULL};
	static const char *const plain[] = {"DNS:n1", NULL};
	static const char node[] = "system:node:n1", proxy[] = "system:kube-proxy";

	(void)state;
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", own, node), "selfnodeserver");
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", more, node), "none");
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", other, node), "none");
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", plain, node), "none");
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", own, "system:node:n2"),
			    "none");
	assert_string_equal(wanted_of(SERVING, node, "system:nodes", own, "jane"), "none");
	assert_string_equal(wanted_of(CLIENT, proxy, NULL, NULL, node), "nodeproxy");
	assert_string_equal(wanted_of(CLIENT, proxy, NULL, NULL, "jane"), "none");
	assert_string_equal(wanted_of(CLIENT, proxy, "system:nodes", NULL, node), "none");
	assert_string_equal(wanted_of(CLIENT, "jane", NULL, NULL, node), "none");
}
