/*
 * `plumb up`: prepares keys and network, starts the API server, then everything else once it
 * answers, and writes DIR/ready when all of it is. A clean stop (SIGTERM, ^C) takes away whatever
 * was made on the machine; after a kill -9 the next start finds the containers running and goes on.
 * One thread, one loop.
 */
#include "cli/up.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/cleanup.h"
#include "cli/datadir.h"
#include "cli/hostnet.h"
#include "cli/noderoutes.h"
#include "cli/pki.h"
#include "cli/supervisor.h"
#include "lib/base/arena.h"
#include "lib/base/flags.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/loop.h"
#include "lib/os/ready.h"

#define CLUSTER_DNS "10.96.0.10"
#define STOP_GRACE (10 * NS_PER_S)
#define CONTAINER_GRACE (2 * NS_PER_S)

struct node {
	const char *name, *ip, *tls_cert, *tls_key, *kubeconfig, *proxy_kubeconfig;
	int netns;
};

struct up {
	/* options */
	const char *data_dir, *listen, *repo, *branch, *path, *cluster_name, *runtime, *log_level;
	const char *sealing, *seal_interval, *sops_binding;
	const char *service_cidr, *cluster_cidr, *forge, *interval;
	const char *webhook_listen, *webhook_cert, *webhook_key, *advertise;
	bool server; /* `plumb server`: nodes are elsewhere */
	struct flag_list apiserver_args;
	int64_t nodes;
	/* what runs */
	struct datadir dir;
	struct hostnet net;
	struct loop *loop;
	struct supervisor *super;
	struct noderoutes *routes; /* a server's */
	struct node *node;
	char host[64], address[128], node_server[128], node_listen[64], gateway[16];
	const char *ca;
	struct arena arena; /* for what the roles' command lines point to */
	int port;
	int64_t started;
	unsigned waiting; /* roles that are not ready yet */
	bool hopeless;    /* the API server does not start */
};

static const char usage[] =
	"plumb up [--repo URL] [--nodes N] [--listen ADDR:PORT] [--data-dir DIR]\n\n"
	"Starts a cluster on this machine: API server, controllers, scheduler, reconciler and N "
	"nodes.";
static const char server_usage[] =
	"plumb server [--repo URL] [--listen ADDR:PORT] [--data-dir DIR]\n\n"
	"Starts a cluster's control plane on this machine; `plumb agent` makes others its nodes.";

static int check_options(const struct up *u, struct err *err)
{
	if (u->nodes < 0 || u->nodes > HOSTNET_NODES_MAX)
		return err_set(err, ERR_BAD_REQUEST, "--nodes must be 0 to %d", HOSTNET_NODES_MAX);
	if (u->server && u->nodes)
		return err_set(err, ERR_BAD_REQUEST,
			       "a server has no nodes of its own: plumb up has, or run plumb agent "
			       "beside it");
	if (u->apiserver_args.n > 40)
		return err_set(err, ERR_BAD_REQUEST, "too many --apiserver-arg");
	if (u->nodes > 0 && geteuid() != 0)
		return err_set(err, ERR_FORBIDDEN, "nodes need root; --nodes 0 runs without");
	return 0;
}

static int parse(struct up *u, int argc, char **argv, struct err *err)
{
	int nargs;
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &u->data_dir, "DIR", "where all state lives"},
		{"listen", 0, FLAG_STRING, &u->listen, "ADDR:PORT",
		 "where the API answers; port 0 takes a free one"},
		{"advertise-address", 0, FLAG_STRING, &u->advertise, "IP",
		 "where other machines reach the API (the address that --listen names)"},
		{"nodes", 0, FLAG_INT, &u->nodes, "N",
		 "nodes on this machine; 0 runs the control plane only"},
		{"repo", 0, FLAG_STRING, &u->repo, "URL",
		 "git repository to turn into the cluster"},
		{"branch", 0, FLAG_STRING, &u->branch, "NAME", "its branch (main)"},
		{"path", 0, FLAG_STRING, &u->path, "PATH", "folder in it (the root)"},
		{"interval", 0, FLAG_STRING, &u->interval, "DURATION",
		 "how often to look for new commits (1s for file://, else 1m)"},
		{"forge", 0, FLAG_STRING, &u->forge, "KIND=URL",
		 "open drift reports as pull requests there"},
		{"webhook-listen", 0, FLAG_STRING, &u->webhook_listen, "ADDR:PORT",
		 "where Receivers' webhooks arrive"},
		{"webhook-cert", 0, FLAG_STRING, &u->webhook_cert, "FILE",
		 "certificate for that; plain HTTP without"},
		{"webhook-key", 0, FLAG_STRING, &u->webhook_key, "FILE", "its key"},
		{"cluster-name", 0, FLAG_STRING, &u->cluster_name, "NAME", "names drift branches"},
		{"sops-binding", 0, FLAG_STRING, &u->sops_binding, "MODE",
		 "required: refuse what sops encrypted without saying for which object"},
		{"sealing", 0, FLAG_STRING, &u->sealing, "MODE",
		 "auto, commit, propose or off: public key and re-sealed values in the repository"},
		{"seal-key-interval", 0, FLAG_STRING, &u->seal_interval, "DURATION",
		 "a new sealing key that often (never)"},
		{"runtime", 0, FLAG_STRING, &u->runtime, "NAME", "crun, runc or auto"},
		{"cluster-cidr", 0, FLAG_STRING, &u->cluster_cidr, "CIDR", "pod network"},
		{"service-cidr", 0, FLAG_STRING, &u->service_cidr, "CIDR", "service network"},
		{"apiserver-arg", 0, FLAG_STRINGS, &u->apiserver_args, "NAME=VALUE",
		 "a further option of `plumb apiserver`: who may come in, audit"},
		{"log-level", 0, FLAG_STRING, &u->log_level, "LEVEL", "error, warn, info or debug"},
		{NULL, 0, 0, NULL, NULL, NULL}};

	if (flags_parse(argc, argv, flags, u->server ? server_usage : usage, &nargs, err))
		return -1;
	if (nargs)
		return err_set(err, ERR_BAD_REQUEST, "unexpected argument '%s'", argv[0]);
	return check_options(u, err);
}

/* A port nobody listens on; the API server binds it a moment later. */
static int free_port(const char *host)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, host, &sa.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len))
		return 0;
	return ntohs(sa.sin_port);
}

static int parse_listen(struct up *u, struct err *err)
{
	struct str host, port;
	char ip[16];
	int64_t n;

	if (!str_rcut(str_c(u->listen), ':', &host, &port) || str_to_i64(port, &n) || n < 0 ||
	    n > 65535 || host.n == 0 || host.n >= sizeof(u->host))
		return err_set(err, ERR_BAD_REQUEST, "--listen %s: not ADDR:PORT", u->listen);
	memcpy(u->host, host.p, host.n);
	u->port = n ? (int)n : free_port(u->host);
	if (!u->port)
		return err_set(err, ERR_BAD_REQUEST, "--listen %s: no free port", u->listen);
	bool any = !strcmp(u->host, "0.0.0.0");
	uint32_t own = any && !u->advertise ? net_default_ip() : 0;
	if (own)
		u->advertise = arena_cstr(&u->arena, ip4_format(own, ip));
	if (u->advertise && ip4_parse(str_c(u->advertise), &own))
		return err_set(err, ERR_BAD_REQUEST, "--advertise-address %s: not an address",
			       u->advertise);
	snprintf(u->address, sizeof(u->address), "https://%s:%d", any ? "127.0.0.1" : u->host,
		 u->port);
	return 0;
}

static int prepare_network(struct up *u, struct err *err)
{
	char ip[16];

	if (cidr_parse(str_c(u->service_cidr), &u->net.services) ||
	    cidr_parse(str_c(u->cluster_cidr), &u->net.pods))
		return err_set(err, ERR_BAD_REQUEST, "not a network: %s or %s", u->service_cidr,
			       u->cluster_cidr);
	if (u->nodes == 0)
		return 0;
	if (hostnet_up(&u->net, &u->dir, err))
		return -1;
	struct str gw = ip4_format(u->net.gateway, ip);
	snprintf(u->gateway, sizeof(u->gateway), "%.*s", STR_ARG(gw));
	snprintf(u->node_server, sizeof(u->node_server), "https://%s:%d", u->gateway, u->port);
	if (strcmp(u->host, "0.0.0.0"))
		snprintf(u->node_listen, sizeof(u->node_listen), "%s:%d", u->gateway, u->port);
	return 0;
}

static int prepare_node(struct up *u, const struct pki_cluster *c, unsigned i, struct err *err)
{
	struct node *n = &u->node[i];
	char ip[16];
	struct str text = ip4_format(hostnet_node_ip(&u->net, i), ip);

	struct arena *a = &u->arena;
	const char *pki = arena_printf(a, "%s/pki", u->dir.path);
	n->name = arena_printf(a, "node-%u", i + 1);
	n->ip = arena_cstr(a, text);
	n->tls_cert = arena_printf(a, "%s/kubelet-%s.crt", pki, n->name);
	n->tls_key = arena_printf(a, "%s/kubelet-%s.key", pki, n->name);
	n->kubeconfig = arena_printf(a, "%s/kubelet-%s.kubeconfig", pki, n->name);
	n->proxy_kubeconfig = arena_printf(a, "%s/proxy-%s.kubeconfig", pki, n->name);
	if (hostnet_node(&u->net, &u->dir, n->name, i, err) ||
	    pki_node(&u->dir, c, n->name, n->ip, err))
		return -1;
	n->netns = netns_open(datadir_path(&u->dir, "nodes/%s/netns", n->name), err);
	return n->netns < 0 ? -1 : 0;
}

static int prepare(struct up *u, struct err *err)
{
	AUTO(buf) struct buf notes = {0};
	struct str rest, line;
	const char *ips[] = {"127.0.0.1", "10.96.0.1", u->host, NULL, NULL, NULL};
	struct pki_cluster c = {.server = u->address, .server_ips = ips};

	if (datadir_open(&u->dir, u->data_dir, true, err) || datadir_lock(&u->dir, err))
		return -1;
	unlink(datadir_path(&u->dir, "ready"));
	if (fs_mkdirs(datadir_path(&u->dir, "log"), 0700, err) || parse_listen(u, err) ||
	    prepare_network(u, err))
		return -1;
	if (!strcmp(u->host, "0.0.0.0"))
		ips[2] = "127.0.0.1";
	if (u->nodes) {
		ips[3] = u->gateway;
		c.node_server = u->node_server;
	}
	if (u->advertise)
		ips[u->nodes ? 4 : 3] = u->advertise;
	u->ca = arena_printf(&u->arena, "%s/pki/ca.crt", u->dir.path);
	if (pki_control_plane(&u->dir, &c, err))
		return -1;
	u->node = xalloc((size_t)MAX(u->nodes, 1) * sizeof(*u->node));
	for (unsigned i = 0; i < u->nodes; i++) {
		if (prepare_node(u, &c, i, err))
			return -1;
	}
	if (u->nodes && hostnet_forward(&u->net, &notes, err))
		return -1;
	rest = buf_view(&notes);
	while (str_next(&rest, '\n', &line)) {
		if (line.n)
			log_info(log_fmt("%.*s", STR_ARG(line)));
	}
	return 0;
}

/* ---- starting ---- */

struct args {
	struct child_spec spec;
	size_t n;
};

static void arg(struct args *a, const char *name, const char *value)
{
	if (!value)
		return;
	assert(a->n + 3 < CHILD_ARGS_MAX);
	a->spec.argv[a->n++] = name;
	if (*value)
		a->spec.argv[a->n++] = value;
}

static struct args role(struct up *u, const char *verb, const char *name)
{
	struct args a = {0};

	snprintf(a.spec.name, sizeof(a.spec.name), "%s", name);
	a.spec.argv[a.n++] = verb;
	arg(&a, "--data-dir", u->dir.path);
	arg(&a, "--log-level", u->log_level);
	arg(&a, "--log-format", "text");
	return a;
}

static void on_role_ready(void *arg)
{
	struct up *u = arg;
	struct err err = {0};

	if (--u->waiting)
		return;
	if (fs_write(datadir_path(&u->dir, "ready"), STR("ready\n"), 0644, &err))
		log_error("cannot write the ready file", "error", err.msg);
	fprintf(stderr,
		"plumb: everything is ready after %.2f s\n"
		"plumb: export KUBECONFIG=%s/admin.kubeconfig\n",
		(double)(loop_now(u->loop) - u->started) / 1e9, u->dir.path);
	if (u->server)
		fprintf(stderr,
			"plumb: nodes join by: plumb agent --server https://%s:%d --token TOKEN, "
			"with one of `plumb token create`\n",
			u->advertise ? u->advertise : u->host, u->port);
	ready_notify(u->loop);
}

static void start(struct up *u, struct args *a)
{
	u->waiting++;
	supervisor_add(u->super, &a->spec, on_role_ready, u);
}

static void start_node(struct up *u, struct node *n)
{
	char name[80];

	snprintf(name, sizeof(name), "kubelet-%s", n->name);
	struct args k = role(u, "kubelet", name);
	k.spec.netns_fd = n->netns;
	arg(&k, "--kubeconfig", n->kubeconfig);
	arg(&k, "--node-name", n->name);
	arg(&k, "--node-ip", n->ip);
	arg(&k, "--tls-cert", n->tls_cert);
	arg(&k, "--tls-key", n->tls_key);
	arg(&k, "--client-ca", u->ca);
	arg(&k, "--instance", u->dir.instance);
	arg(&k, "--cluster-dns", CLUSTER_DNS);
	arg(&k, "--runtime", u->runtime);
	start(u, &k);

	snprintf(name, sizeof(name), "proxy-%s", n->name);
	struct args p = role(u, "proxy", name);
	p.spec.netns_fd = n->netns;
	arg(&p, "--kubeconfig", n->proxy_kubeconfig);
	arg(&p, "--node-name", n->name);
	arg(&p, "--cluster-cidr", u->cluster_cidr);
	start(u, &p);

	snprintf(name, sizeof(name), "dns-%s", n->name);
	struct args d = role(u, "dns", name);
	d.spec.netns_fd = n->netns;
	arg(&d, "--kubeconfig", n->proxy_kubeconfig); /* it reads what the proxy reads */
	arg(&d, "--address", CLUSTER_DNS);
	start(u, &d);
}

static void start_routes(struct up *u)
{
	struct err err = {0};

	u->routes = noderoutes_start(u->loop, datadir_path(&u->dir, "pki/controllers.kubeconfig"),
				     &err);
	if (!u->routes)
		log_warn("no routes to the nodes' pods", "error", err.msg);
}

static void start_rest(void *p)
{
	struct up *u = p;
	static const char *const names[] = {"controllers", "scheduler", "reconciler"};

	fprintf(stderr, "plumb: the API answers at %s after %.2f s\n", u->address,
		(double)(loop_now(u->loop) - u->started) / 1e9);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct args a = role(u, names[i], names[i]);
		arg(&a, "--kubeconfig",
		    arena_printf(&u->arena, "%s/pki/%s.kubeconfig", u->dir.path, names[i]));
		if (i == 0)
			arg(&a, "--cluster-cidr", u->cluster_cidr);
		if (i == 0)
			arg(&a, "--seal-key-interval", u->seal_interval);
		if (i == 0)
			arg(&a, "--cluster-signing-key-file",
			    arena_printf(&u->arena, "%s/pki/ca.key", u->dir.path));
		if (i == 2) {
			arg(&a, "--repo", u->repo);
			arg(&a, "--branch", u->branch);
			arg(&a, "--path", u->path);
			arg(&a, "--interval", u->interval);
			arg(&a, "--forge", u->forge);
			arg(&a, "--webhook-listen", u->webhook_listen);
			arg(&a, "--webhook-cert", u->webhook_cert);
			arg(&a, "--webhook-key", u->webhook_key);
			arg(&a, "--cluster-name", u->cluster_name);
			arg(&a, "--sealing", u->sealing);
			arg(&a, "--sops-binding", u->sops_binding);
		}
		start(u, &a);
	}
	for (unsigned i = 0; i < u->nodes; i++)
		start_node(u, &u->node[i]);
	if (u->server && geteuid() == 0)
		start_routes(u);
}

static void start_apiserver(struct up *u)
{
	struct args a = role(u, "apiserver", "apiserver");

	arg(&a, "--listen", arena_printf(&u->arena, "%s:%d", u->host, u->port));
	if (u->node_listen[0])
		arg(&a, "--listen", u->node_listen);
	if (u->gateway[0] || u->advertise)
		arg(&a, "--advertise-address", u->gateway[0] ? u->gateway : u->advertise);
	arg(&a, "--service-cidr", u->service_cidr);
	for (size_t i = 0; i < u->apiserver_args.n; i++)
		arg(&a, arena_printf(&u->arena, "--%s", u->apiserver_args.v[i]), "");
	supervisor_add(u->super, &a.spec, start_rest, u);
}

/* ---- stopping ---- */

static void on_stopped(void *p)
{
	struct up *u = p;

	loop_stop(u->loop);
}

static void on_signal(void *p, int signo)
{
	struct up *u = p;

	(void)signo;
	fprintf(stderr, "plumb: stopping\n");
	unlink(datadir_path(&u->dir, "ready"));
	supervisor_stop(u->super, STOP_GRACE, on_stopped, u);
}

/* Without an API server nothing else makes sense; the other roles are left to be tried for ever. */
static void on_hopeless(void *p, const char *role, struct str said)
{
	struct up *u = p;

	if (!str_is(str_c(role), "apiserver"))
		return;
	fprintf(stderr, "plumb up: the API server does not start: %.*s\n", STR_ARG(said));
	u->hopeless = true;
	supervisor_stop(u->super, STOP_GRACE, on_stopped, u);
}

static int run(struct up *u, struct err *err)
{
	struct err ignored = {0};

	u->loop = loop_new();
	u->started = loop_now(u->loop);
	if (loop_signal(u->loop, SIGTERM, on_signal, u, err) ||
	    loop_signal(u->loop, SIGINT, on_signal, u, err))
		return -1;
	if (prepare(u, err)) {
		if (u->nodes && u->dir.path[0])
			(void)!host_cleanup(&u->dir, 0, &ignored);
		return -1;
	}
	u->super = supervisor_new(u->loop, &u->dir);
	supervisor_on_hopeless(u->super, on_hopeless, u);
	start_apiserver(u);
	loop_run(u->loop);
	noderoutes_stop(u->routes);
	supervisor_free(u->super);
	for (unsigned i = 0; i < u->nodes; i++)
		close(u->node[i].netns);
	if (u->nodes && host_cleanup(&u->dir, CONTAINER_GRACE, err))
		return -1;
	return u->hopeless ? err_set(err, ERR_INTERNAL, "nothing was started; the log is in %s",
				     datadir_path(&u->dir, "log"))
			   : 0;
}

int up_main(int argc, char **argv)
{
	struct up u = {
		.data_dir = DATADIR_DEFAULT,
		.listen = "127.0.0.1:6443",
		.nodes = 1,
		.cluster_name = "default",
		.runtime = "auto",
		.log_level = "info",
		.service_cidr = "10.96.0.0/16",
		.cluster_cidr = "10.244.0.0/16",
	};
	struct err err = {0};
	enum log_level level;

	u.server = !strcmp(argv[0], "server");
	if (u.server) {
		u.listen = "0.0.0.0:6443";
		u.nodes = 0;
	}
	if (parse(&u, argc, argv, &err)) {
		fprintf(stderr, "plumb %s: %s\n", u.server ? "server" : "up", err.msg);
		return 2;
	}
	if (log_level_parse(u.log_level, &level)) {
		fprintf(stderr, "plumb up: --log-level %s: not error, warn, info or debug\n",
			u.log_level);
		return 2;
	}
	log_init("up", level, NULL);
	prctl(PR_SET_NAME, "plumb-up", 0, 0, 0);
	int rc = run(&u, &err);
	if (rc)
		fprintf(stderr, "plumb up: %s\n", err.msg);
	loop_free(u.loop);
	free(u.node);
	arena_release(&u.arena);
	datadir_release(&u.dir);
	return rc ? 1 : 0;
}
