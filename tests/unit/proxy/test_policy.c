/* NetworkPolicies: what becomes of them in rules, and that a change touches only what hangs on it.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/policy.h"

static const struct ruleset_opts opts = {.cluster = {0x0af40000, 16}};

struct fixture {
	struct ruleset *rules;
	struct policies *p;
	struct buf text; /* of the last transaction */
};

static struct fixture begin(void)
{
	struct fixture f = {.rules = ruleset_new(&opts)};

	f.p = policies_new(f.rules, STR("n1"));
	return f;
}

static void end(struct fixture *f)
{
	policies_free(f->p);
	ruleset_free(f->rules);
	buf_release(&f->text);
}

static const struct obj *object(const char *text)
{
	struct err err = {0};
	struct obj *o = obj_from_bytes(str_c(text), &err);

	if (!o)
		fail_msg("%s: %s", err.msg, text);
	return o;
}

static void namespace(struct fixture *f, const char *name, const char *labels)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = object(arena_printf(&a,
						  "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\","
						  "\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}",
						  name, labels));

	policies_namespace(f->p, str_c(name), o);
	obj_unref(o);
}

/* where: "NAMESPACE NAME NODE IP" */
static void pod(struct fixture *f, const char *where, const char *labels, const char *more)
{
	char ns[32], name[32], node[32], ip[32];
	AUTO(arena) struct arena a = {0};
	const struct obj *o;

	sscanf(where, "%31s %31s %31s %31s", ns, name, node, ip);
	o = object(arena_printf(
		&a,
		"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"%s\","
		"\"name\":\"%s\",\"labels\":{%s}},\"spec\":{\"nodeName\":\"%s\",\"containers\":[{"
		"\"ports\":[{\"name\":\"web\",\"containerPort\":8080}]}]%s},\"status\":{\"podIP\":"
		"\"%s\"}}",
		ns, name, labels, node, more, ip));
	policies_pod(f->p, str_c(ns), str_c(name), o);
	obj_unref(o);
}

static void policy(struct fixture *f, const char *name, const char *spec)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = object(
		arena_printf(&a,
			     "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
			     "\"metadata\":{\"namespace\":\"a\",\"name\":\"%s\"},\"spec\":{%s}}",
			     name, spec));

	policies_policy(f->p, STR("a"), str_c(name), o);
	obj_unref(o);
}

static const char *diff(struct fixture *f)
{
	buf_reset(&f->text);
	policies_render(f->p);
	ruleset_diff(f->rules, &f->text);
	ruleset_commit(f->rules);
	buf_puts(&f->text, "");
	return buf_cstr(&f->text);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static void hasnt(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("\"%s\" in:\n%s", part, text);
}

#define SERVER "\"app\":\"server\""
#define SELECT "\"podSelector\":{\"matchLabels\":{\"app\":\"server\"}}"

static struct fixture cluster(void)
{
	struct fixture f = begin();

	namespace(&f, "a", "\"team\":\"x\"");
	namespace(&f, "b", "\"team\":\"y\"");
	pod(&f, "a server n1 10.244.0.5", SERVER, "");
	pod(&f, "a far n2 10.244.1.5", SERVER, "");
	pod(&f, "a client n1 10.244.0.6", "\"app\":\"client\"", "");
	pod(&f, "b client n2 10.244.1.6", "\"app\":\"client\"", "");
	return f;
}

void test_policy__without_one_nothing_is_written(void **state)
{
	struct fixture f = cluster();

	(void)state;
	assert_string_equal(diff(&f), "");
	end(&f);
}

void test_policy__default_deny_isolates_the_pods_of_this_node(void **state)
{
	struct fixture f = cluster();
	const char *t;

	(void)state;
	policy(&f, "deny", SELECT ",\"policyTypes\":[\"Ingress\"]");
	t = diff(&f);
	has(t, "policy-ingress { 10.244.0.5 : goto pi-");
	has(t, "ip saddr 10.244.0.5 accept\n");
	has(t, "drop\n");
	hasnt(t, "10.244.1.5"); /* its own node's business */
	hasnt(t, "10.244.0.6 :");
	hasnt(t, "policy-egress");
	has(t, "policy-from-doors { plumb0 : jump policy-from }");
	has(t, "policy-pods { 10.244.0.6 }"); /* known, and so free to talk */
	policies_policy(f.p, STR("a"), STR("deny"), NULL);
	diff(&f);
	assert_int_equal(ruleset_count(f.rules), 0);
	end(&f);
}

void test_policy__peers_by_pod_and_namespace(void **state)
{
	struct fixture f = cluster();
	const char *t;

	(void)state;
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{"
		      "\"matchLabels\":{\"app\":\"client\"}}}]}]");
	t = diff(&f);
	has(t, " { 10.244.0.6 }");
	hasnt(t, " { 10.244.1.6 }"); /* another namespace's */
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{"
		      "\"namespaceSelector\":{\"matchLabels\":{\"team\":\"y\"}},\"podSelector\":{"
		      "\"matchLabels\":{\"app\":\"client\"}}}]}]");
	t = diff(&f);
	has(t, "delete element ip plumb_proxy nps-");
	has(t, " { 10.244.1.6 }");
	namespace(&f, "b", "\"team\":\"z\"");
	t = diff(&f);
	has(t, "{ 10.244.1.6 }");
	has(t, "delete element");
	end(&f);
}

void test_policy__a_block_with_holes(void **state)
{
	struct fixture f = cluster();

	(void)state;
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Egress\"],\"egress\":[{\"to\":[{\"ipBlock\":{\"cidr\":"
		      "\"10.1.2.3/16\",\"except\":[\"10.1.9.0/24\"]}}],\"ports\":[{\"port\":80},"
		      "{\"protocol\":\"UDP\",\"port\":100,\"endPort\":200},{\"protocol\":\"SCTP\"}"
		      "]}]");
	has(diff(&f), "ip daddr 10.1.0.0/16 ip daddr != 10.1.9.0/24 jump npp-");
	has(f.text.p, "meta l4proto tcp th dport 80 goto policy-in");
	has(f.text.p, "meta l4proto udp th dport 100-200 goto policy-in");
	has(f.text.p, "meta l4proto sctp goto policy-in");
	has(f.text.p, "policy-egress { 10.244.0.5 : goto pe-");
	has(f.text.p, "ip daddr 10.244.0.5 goto policy-in");
	end(&f);
}

void test_policy__a_ports_name_is_each_pods_own_number(void **state)
{
	struct fixture f = cluster();

	(void)state;
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Ingress\",\"Egress\"],\"ingress\":[{\"ports\":[{"
		      "\"port\":\"web\"}]}],\"egress\":[{\"ports\":[{\"port\":\"web\"},{\"port\":"
		      "\"none\"}]}]");
	has(diff(&f), "ip daddr . meta l4proto . th dport @npn-");
	has(f.text.p, "{ 10.244.0.5 . tcp . 8080 }");
	has(f.text.p, "{ 10.244.1.6 . tcp . 8080 }"); /* to whomever: egress */
	end(&f);
}

void test_policy__changes_touch_what_hangs_on_them(void **state)
{
	struct fixture f = cluster();

	(void)state;
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"podSelector\":{"
		      "\"matchLabels\":{\"app\":\"client\"}}}]}]");
	diff(&f);
	pod(&f, "a client n1 10.244.0.6", "\"app\":\"client\"", ",\"hostname\":\"x\"");
	assert_false(policies_due(f.p)); /* nothing that matters has changed */
	pod(&f, "a two n2 10.244.1.9", "\"app\":\"client\"", "");
	assert_true(policies_due(f.p));
	has(diff(&f), "add element ip plumb_proxy nps-");
	has(f.text.p, "{ 10.244.1.9 }");
	hasnt(f.text.p, "chain");
	policies_pod(f.p, STR("a"), STR("two"), NULL);
	has(diff(&f), "delete element ip plumb_proxy nps-");
	pod(&f, "a server n1 10.244.0.5", "\"app\":\"other\"", "");
	has(diff(&f), "delete element ip plumb_proxy policy-ingress");
	has(f.text.p, "delete chain ip plumb_proxy pi-");
	policies_policy(f.p, STR("a"), STR("p"), NULL);
	has(diff(&f), "delete chain ip plumb_proxy np-in-");
	assert_int_equal(ruleset_count(f.rules), 0);
	end(&f);
}

void test_policy__host_network_and_ended_pods_have_no_part(void **state)
{
	struct fixture f = cluster();

	(void)state;
	pod(&f, "a host n1 172.30.0.10", SERVER, ",\"hostNetwork\":true");
	policy(&f, "deny", "\"podSelector\":{},\"policyTypes\":[\"Ingress\",\"Egress\"]");
	hasnt(diff(&f), "172.30.0.10");
	end(&f);
}

void test_policy__what_cannot_be_read_lets_nobody_in(void **state)
{
	struct fixture f = cluster();

	(void)state;
	policy(&f, "p",
	       SELECT ",\"policyTypes\":[\"Ingress\"],\"ingress\":[{\"from\":[{\"ipBlock\":{"
		      "\"cidr\":\"fd00::/8\"}},{\"ipBlock\":{\"cidr\":\"x; flush ruleset\"}},{},{"
		      "\"podSelector\":{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"?\"}]}"
		      "}]},{\"ports\":[{\"port\":99999}]},{\"from\":[{\"ipBlock\":{\"cidr\":"
		      "\"1.0.0.0/8\",\"except\":[\"0.0.0.0/0\"]}}]}]");
	hasnt(diff(&f), "flush ruleset");
	hasnt(f.text.p, "fd00");
	hasnt(f.text.p, "th dport");
	hasnt(f.text.p, "1.0.0.0");
	has(f.text.p, "policy-ingress { 10.244.0.5 : goto pi-");
	end(&f);
}
