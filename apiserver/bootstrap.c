/*
 * The first objects. Requests go through the core with the server's own identity, in two turns:
 * namespaces, then what lives in them. Must never undo what an administrator took out of a role
 * that says autoupdate "false", nor bring back a storage class. The core's
 * thread.
 */
#include "apiserver/bootstrap.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/json/json.h"

#define RBAC "rbac.authorization.k8s.io"

struct boot {
	struct core *core;
	struct arena a;
	struct err err; /* the first that mattered */
	size_t waiting; /* requests without an answer */
};

struct boot_req {
	struct core_req core; /* first */
	struct boot *boot;
};

static void on_answer(struct core_req *cr, const struct core_answer *a)
{
	struct boot *b = ((struct boot_req *)cr)->boot;
	AUTO(buf) struct buf text = {0};

	b->waiting--;
	/* Somebody else's may be there already: that is what we wanted. */
	if (a->status < 300 || a->status == 409 || b->err.code)
		return;
	for (size_t i = 0; i < a->nblocks; i++)
		buf_str(&text, a->blocks[i]->data);
	err_set(&b->err, ERR_INTERNAL, "bootstrap %.*s %.*s: HTTP %d: %.*s", STR_ARG(cr->resource),
		STR_ARG(cr->name), a->status, (int)MIN(text.n, 300), text.p ? text.p : "");
}

static const struct core_sink sink = {.answer = on_answer};

static struct boot_req *request(struct boot *b, enum core_verb verb, const struct kind *k,
				const struct json *o)
{
	static const struct str groups[] = {{"system:masters", 14}, {"system:authenticated", 20}};
	struct boot_req *r = arena_alloc(&b->a, sizeof(*r));
	AUTO(buf) struct buf text = {0};

	json_write(o, &text);
	r->boot = b;
	r->core = (struct core_req){
		.verb = verb,
		.group = str_c(k->group),
		.version = str_c(k->version),
		.resource = str_c(k->plural),
		.namespace = meta_namespace(o),
		.content_type = STR("application/json"),
		.body = arena_str(&b->a, buf_view(&text)),
		.form_version = STR("v1"),
		.user = {.name = STR("system:apiserver"), .groups = groups, .ngroups = 2},
		.user_agent = STR("plumb-apiserver"),
		.internal = true,
		.sink = &sink,
		.arena = &b->a,
	};
	return r;
}

static void submit(struct boot *b, struct boot_req *r)
{
	b->waiting++;
	core_submit(b->core, &r->core);
}

static void create(struct boot *b, const struct kind *k, const struct json *o)
{
	submit(b, request(b, CORE_CREATE, k, o));
}

static void merge(struct boot *b, const struct kind *k, const struct json *o)
{
	struct boot_req *r = request(b, CORE_PATCH, k, o);

	r->core.name = meta_name(o);
	r->core.content_type = STR("application/merge-patch+json");
	submit(b, r);
}

/* Creates it, or makes the members named in `keys` what they should be. */
static void ensure(struct boot *b, const char *group, const char *plural, const struct json *o,
		   const char *const *keys)
{
	const struct kind *k = core_kind_find(b->core, str_c(group), STR("v1"), str_c(plural));
	const struct obj *live = k ? core_get(b->core, k, meta_namespace(o), meta_name(o)) : NULL;

	if (!k) {
		log_debug("not made: its kind is not served", "group", group, "resource", plural);
		return;
	}
	if (!live) {
		create(b, k, o);
		return;
	}
	const struct json *was = obj_tree(live, &b->a);
	for (; keys && *keys; keys++) {
		if (json_equal(json_get(was, str_c(*keys)), json_get(o, str_c(*keys))))
			continue;
		merge(b, k, o);
		return;
	}
}

static void ensure_rbac(void *arg, const char *plural, struct json *o)
{
	static const char *const keys[] = {"rules", NULL}, *const gathers[] = {"aggregationRule",
									       NULL};
	struct boot *b = arg;
	const struct kind *k = core_kind_find(b->core, STR(RBAC), STR("v1"), str_c(plural));
	const struct obj *live = k ? core_get(b->core, k, STR_NONE, meta_name(o)) : NULL;

	if (live && str_is(meta_annotation(obj_tree(live, &b->a),
					   "rbac.authorization.kubernetes.io/autoupdate"),
			   "false"))
		return;
	if (strcmp(plural, "clusterroles"))
		ensure(b, RBAC, plural, o, NULL);
	else
		ensure(b, RBAC, plural, o, json_get(o, STR("aggregationRule")) ? gathers : keys);
}

/* What an administrator changed stays: the annotation says who keeps the spec. */
static void ensure_flow(void *arg, const char *plural, struct json *o)
{
	ensure(arg, "flowcontrol.apiserver.k8s.io", plural, o, NULL);
}

static void namespaces(struct boot *b)
{
	static const char *const names[] = {"default", "kube-system", "kube-public",
					    "kube-node-lease", "plumb-system"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		ensure(b, "", "namespaces",
		       json_build(&b->a, "{s:s,s:s,s:{s:s}}", "kind", "Namespace", "apiVersion",
				  "v1", "metadata", "name", names[i]),
		       NULL);
}

static void priority_classes(struct boot *b)
{
	static const struct {
		const char *name, *about;
		int value;
	} classes[] = {
		{"system-cluster-critical", "For what the cluster itself needs to work.",
		 2000000000},
		{"system-node-critical", "For what a node itself needs to work.", 2000001000},
	};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		ensure(b, "scheduling.k8s.io", "priorityclasses",
		       json_build(&b->a, "{s:s,s:s,s:{s:s},s:i,s:s}", "kind", "PriorityClass",
				  "apiVersion", "scheduling.k8s.io/v1", "metadata", "name",
				  classes[i].name, "value", classes[i].value, "description",
				  classes[i].about),
		       NULL);
}

/* ---- the API's own Service ---- */

static void service(struct boot *b, const struct bootstrap_opts *o)
{
	ensure(b, "", "services",
	       json_build(&b->a,
			  "{s:s,s:s,s:{s:s,s:s,s:{s:s,s:s}},s:{s:s,s:S,s:[{s:s,s:s,s:i,s:i}]}}",
			  "kind", "Service", "apiVersion", "v1", "metadata", "name", "kubernetes",
			  "namespace", "default", "labels", "component", "apiserver", "provider",
			  "kubernetes", "spec", "type", "ClusterIP", "clusterIP", o->service_ip,
			  "ports", "name", "https", "protocol", "TCP", "port", 443, "targetPort",
			  o->port),
	       NULL);
}

static void endpoints(struct boot *b, const struct bootstrap_opts *o)
{
	static const char *const subsets[] = {"subsets", NULL};
	static const char *const slices[] = {"endpoints", "ports", NULL};

	ensure(b, "", "endpoints",
	       json_build(&b->a, "{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:[{s:[{s:S}],s:[{s:s,s:i,s:s}]}]}",
			  "kind", "Endpoints", "apiVersion", "v1", "metadata", "name", "kubernetes",
			  "namespace", "default", "labels",
			  "endpointslice.kubernetes.io/skip-mirror", "true", "subsets", "addresses",
			  "ip", o->address, "ports", "name", "https", "port", o->port, "protocol",
			  "TCP"),
	       subsets);
	ensure(b, "discovery.k8s.io", "endpointslices",
	       json_build(&b->a,
			  "{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:s,s:[{s:[S],s:{s:b}}],s:[{s:s,s:s,s:i}]}",
			  "kind", "EndpointSlice", "apiVersion", "discovery.k8s.io/v1", "metadata",
			  "name", "kubernetes", "namespace", "default", "labels",
			  "kubernetes.io/service-name", "kubernetes", "addressType", "IPv4",
			  "endpoints", "addresses", o->address, "conditions", "ready", 1, "ports",
			  "name", "https", "protocol", "TCP", "port", o->port),
	       slices);
}

/* ---- what extension API servers must know to believe us ---- */

static void extension_authentication(struct boot *b, const struct bootstrap_opts *o)
{
	static const char *const data[] = {"data", NULL};
	static const char name[] = "extension-apiserver-authentication";

	ensure(b, "", "configmaps",
	       json_build(&b->a, "{s:s,s:s,s:{s:s,s:s},s:{s:S,s:S,s:s,s:s,s:s,s:s,s:s}}", "kind",
			  "ConfigMap", "apiVersion", "v1", "metadata", "name", name, "namespace",
			  "kube-system", "data", "client-ca-file", o->ca,
			  "requestheader-client-ca-file", o->ca, "requestheader-allowed-names",
			  "[\"front-proxy-client\"]", "requestheader-username-headers",
			  "[\"X-Remote-User\"]", "requestheader-uid-headers", "[\"X-Remote-Uid\"]",
			  "requestheader-group-headers", "[\"X-Remote-Group\"]",
			  "requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
	       data);
	ensure(b, RBAC, "roles",
	       json_build(&b->a, "{s:s,s:s,s:{s:s,s:s},s:[{s:[s],s:[s],s:[s],s:[s,s,s]}]}", "kind",
			  "Role", "apiVersion", RBAC "/v1", "metadata", "name",
			  "extension-apiserver-authentication-reader", "namespace", "kube-system",
			  "rules", "apiGroups", "", "resources", "configmaps", "resourceNames",
			  name, "verbs", "get", "list", "watch"),
	       NULL);
}

/* ---- what whoever wants to join may know ---- */

/* Where the cluster is and who vouches for it: kube-public/cluster-info, as kubeadm writes it. */
static void cluster_info(struct boot *b, const struct bootstrap_opts *o)
{
	static const char *const data[] = {"data", NULL};
	static const char role[] = "plumb:bootstrap-signer-clusterinfo", name[] = "cluster-info";
	struct arena *a = &b->a;
	AUTO(buf) struct buf text = {0};

	buf_puts(&text, "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ");
	base64_encode(o->ca, &text);
	buf_printf(&text,
		   "\n    server: https://%.*s:%d\n  name: \"\"\ncontexts: null\ncurrent-context: "
		   "\"\"\nkind: Config\npreferences: {}\nusers: null\n",
		   STR_ARG(o->public_address), o->port);
	ensure(b, "", "configmaps",
	       json_build(a, "{s:s,s:s,s:{s:s,s:s},s:{s:S}}", "kind", "ConfigMap", "apiVersion",
			  "v1", "metadata", "name", name, "namespace", "kube-public", "data",
			  "kubeconfig", buf_view(&text)),
	       data);
	ensure(b, RBAC, "roles",
	       json_build(a, "{s:s,s:s,s:{s:s,s:s},s:[{s:[s],s:[s],s:[s],s:[s]}]}", "kind", "Role",
			  "apiVersion", RBAC "/v1", "metadata", "name", role, "namespace",
			  "kube-public", "rules", "apiGroups", "", "resources", "configmaps",
			  "resourceNames", name, "verbs", "get"),
	       NULL);
	ensure(b, RBAC, "rolebindings",
	       json_build(a, "{s:s,s:s,s:{s:s,s:s},s:{s:s,s:s,s:s},s:[{s:s,s:s,s:s}]}", "kind",
			  "RoleBinding", "apiVersion", RBAC "/v1", "metadata", "name", role,
			  "namespace", "kube-public", "roleRef", "apiGroup", RBAC, "kind", "Role",
			  "name", role, "subjects", "kind", "User", "apiGroup", RBAC, "name",
			  "system:anonymous"),
	       NULL);
}

/* ---- where claims get their volumes ---- */

/* Only in a store that is new: a class that somebody deleted or changed stays as they left it. */
static void storage_class(struct boot *b)
{
	ensure(b, "storage.k8s.io", "storageclasses",
	       json_build(&b->a, "{s:s,s:s,s:{s:s,s:{s:s}},s:s,s:s,s:s}", "kind", "StorageClass",
			  "apiVersion", "storage.k8s.io/v1", "metadata", "name", "local-path",
			  "annotations", "storageclass.kubernetes.io/is-default-class", "true",
			  "provisioner", "plumb.dev/local", "reclaimPolicy", "Delete",
			  "volumeBindingMode", "WaitForFirstConsumer"),
	       NULL);
}

static bool is_new(const struct boot *b)
{
	const struct kind *k = core_kind_find(b->core, STR(""), STR("v1"), STR("namespaces"));

	return k && !core_get(b->core, k, STR_NONE, STR("kube-system"));
}

static int turn(struct boot *b, struct err *err)
{
	core_turn(b->core);
	if (!b->err.code)
		return 0;
	*err = b->err;
	return -1;
}

int bootstrap(struct core *c, const struct bootstrap_opts *o, struct err *err)
{
	struct boot b = {.core = c};
	bool new = is_new(&b);

	namespaces(&b);
	int rc = turn(&b, err);
	if (!rc) {
		bootstrap_rbac(&b.a, ensure_rbac, &b);
		priority_classes(&b);
		if (new)
			storage_class(&b);
		bootstrap_flow(&b.a, ensure_flow, &b);
		service(&b, o);
		if (o->address.n)
			endpoints(&b, o);
		if (o->ca.n)
			extension_authentication(&b, o);
		if (o->ca.n && o->public_address.n)
			cluster_info(&b, o);
		rc = turn(&b, err);
	}
	arena_release(&b.a);
	return rc;
}

/* ---- afterwards ---- */

enum { KEEP_S = 5 };

struct bootstrap_keeper {
	struct boot boot;
	struct bootstrap_opts o;
	struct loop *loop;
	struct loop_timer timer;
	void (*turn)(void *arg);
	void *arg;
};

/* Somebody's `kubectl delete service --all` takes along how pods reach the API: it comes again. */
static void keep(struct loop *l, struct loop_timer *t)
{
	struct bootstrap_keeper *k = CONTAINER_OF(t, struct bootstrap_keeper, timer);

	loop_timer_set(l, t, KEEP_S * NS_PER_S, keep);
	if (k->boot.waiting)
		return;
	if (k->boot.err.code)
		log_warn("the API's own Service isn't as it should be, trying again", "because",
			 k->boot.err.msg);
	k->boot.err = (struct err){0};
	arena_reset(&k->boot.a);
	service(&k->boot, &k->o);
	if (k->o.address.n)
		endpoints(&k->boot, &k->o);
	if (k->boot.waiting)
		k->turn(k->arg);
}

struct bootstrap_keeper *bootstrap_keep(struct loop *l, struct core *c,
					const struct bootstrap_opts *o, void (*go)(void *arg),
					void *arg)
{
	struct bootstrap_keeper *k = xalloc(sizeof(*k));

	k->boot.core = c;
	k->o = *o;
	k->loop = l;
	k->turn = go;
	k->arg = arg;
	loop_timer_set(l, &k->timer, KEEP_S * NS_PER_S, keep);
	return k;
}

void bootstrap_keeper_free(struct bootstrap_keeper *k)
{
	if (!k)
		return;
	loop_timer_cancel(k->loop, &k->timer);
	arena_release(&k->boot.a);
	free(k);
}
