/*
 * `plumb agent`: joins (join.c), then supervises kubelet, proxy and name server in the machine's
 * own network namespace. Looks at its certificates twice a day and starts the three again when
 * there are new ones; containers go on meanwhile. A clean stop takes away what was made on the
 * machine, as `plumb up`'s does. One thread, one loop.
 */
#include "cli/agent.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/cleanup.h"
#include "cli/join.h"
#include "cli/supervisor.h"
#include "lib/base/arena.h"
#include "lib/base/flags.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"
#include "lib/os/fs.h"
#include "lib/os/loop.h"
#include "lib/os/net.h"

#define CLUSTER_DNS "10.96.0.10"
#define STOP_GRACE (10 * NS_PER_S)
#define CONTAINER_GRACE (2 * NS_PER_S)
#define LOOK_EVERY (12 * 3600 * NS_PER_S)
#define TRY_AGAIN (2 * NS_PER_S)
#define TOKEN_MAX 4096
#define DAYS_30 (INT64_C(30) * 24 * 3600 * NS_PER_S)

struct agent {
	/* options */
	const char *data_dir, *server, *token, *token_file, *name, *ip, *runtime, *log_level;
	const char *cluster_cidr;
	int64_t renew_ns;
	/* what runs */
	struct datadir dir;
	struct arena arena;
	struct loop *loop;
	struct supervisor *super;
	struct loop_timer timer;
	int64_t started;
	unsigned waiting;
	bool locked;
};

static const char usage[] = "plumb agent --server https://ADDR:PORT --token TOKEN\n\n"
			    "Makes this machine a node of the cluster that `plumb server` runs "
			    "there. The token is needed "
			    "once.";

static int parse(struct agent *g, int argc, char **argv, struct err *err)
{
	int nargs;
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &g->data_dir, "DIR", "where all state lives"},
		{"server", 0, FLAG_STRING, &g->server, "URL", "where the API answers"},
		{"token", 0, FLAG_STRING, &g->token, "TOKEN", "what `plumb token create` printed"},
		{"token-file", 0, FLAG_STRING, &g->token_file, "FILE", "the same from a file"},
		{"node-name", 0, FLAG_STRING, &g->name, "NAME", "this node's name (the host's)"},
		{"node-ip", 0, FLAG_STRING, &g->ip, "IP",
		 "the address that other nodes reach it by (the one that leads to the server)"},
		{"runtime", 0, FLAG_STRING, &g->runtime, "NAME", "crun, runc or auto"},
		{"cluster-cidr", 0, FLAG_STRING, &g->cluster_cidr, "CIDR", "pod network"},
		{"renew-within", 0, FLAG_DURATION, &g->renew_ns, "DURATION",
		 "certificates that end within that time are made anew (720h)"},
		{"log-level", 0, FLAG_STRING, &g->log_level, "LEVEL", "error, warn, info or debug"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct cidr c;

	if (flags_parse(argc, argv, flags, usage, &nargs, err))
		return -1;
	if (nargs)
		return err_set(err, ERR_BAD_REQUEST, "unexpected argument '%s'", argv[0]);
	if (!str_starts(str_c(g->server), STR("https://")))
		return err_set(err, ERR_BAD_REQUEST, "--server https://ADDR:PORT is needed");
	if (cidr_parse(str_c(g->cluster_cidr), &c))
		return err_set(err, ERR_BAD_REQUEST, "--cluster-cidr %s: not a network",
			       g->cluster_cidr);
	if (geteuid() != 0)
		return err_set(err, ERR_FORBIDDEN, "a node needs root");
	return 0;
}

/* ---- who and where we are ---- */

static int find_name(struct agent *g, struct err *err)
{
	char host[256] = "";
	const char *problem;

	if (!*g->name) {
		(void)!gethostname(host, sizeof(host) - 1);
		for (char *c = host; *c; c++)
			*c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
		g->name = arena_printf(&g->arena, "%s", host);
	}
	problem = name_check_dns1123_subdomain(str_c(g->name));
	return problem ? err_set(err, ERR_BAD_REQUEST, "--node-name %s: must %s", g->name, problem)
		       : 0;
}

/* The address that a packet to the server would bear; nothing is sent. */
static uint32_t address_towards(const char *server)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(9)};
	socklen_t n = sizeof(sa);
	AUTO(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct str host = str_sub(str_c(server), 8, strlen(server)), ignored;
	uint32_t ip;

	str_cut(host, ':', &host, &ignored);
	if (fd < 0 || ip4_parse(host, &ip))
		return 0;
	sa.sin_addr.s_addr = htonl(ip);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    getsockname(fd, (struct sockaddr *)&sa, &n))
		return 0;
	return ntohl(sa.sin_addr.s_addr);
}

static int find_address(struct agent *g, struct err *err)
{
	uint32_t ip = *g->ip ? 0 : address_towards(g->server);
	char text[16];

	if (!*g->ip)
		g->ip = arena_cstr(&g->arena, ip4_format(ip ? ip : net_default_ip(), text));
	if (ip4_parse(str_c(g->ip), &ip) || !ip || ip >> 24 == 127)
		return err_set(err, ERR_BAD_REQUEST,
			       "--node-ip is needed: %s is no address that others reach", g->ip);
	return 0;
}

/* ---- joining ---- */

static struct join join_of(const struct agent *g)
{
	return (struct join){.dir = &g->dir,
			     .server = g->server,
			     .token = g->token,
			     .node = g->name,
			     .renew_ns = g->renew_ns};
}

static int read_token(struct agent *g, struct err *err)
{
	struct buf text = {0};
	int rc;

	if (!*g->token_file)
		return 0;
	rc = fs_read(g->token_file, TOKEN_MAX, &text, err);
	g->token = arena_cstr(&g->arena, str_trim(buf_view(&text)));
	buf_wipe(&text);
	return rc;
}

/* A server that isn't there yet is waited for; what it refuses, it will refuse again. */
static int join_patiently(struct agent *g, struct err *err)
{
	struct join j = join_of(g);
	struct timespec pause = {.tv_sec = TRY_AGAIN / NS_PER_S};

	for (;;) {
		*err = (struct err){0};
		if (!join_cluster(&j, NULL, err))
			return 0;
		if (err->code == ERR_INVALID || err->code == ERR_UNAUTHORIZED ||
		    err->code == ERR_FORBIDDEN || err->code == ERR_BAD_REQUEST)
			return -1;
		log_warn("cannot join yet, trying again", "server", g->server, "error", err->msg);
		if (nanosleep(&pause, NULL)) /* a signal: it is to stop */
			return -1;
	}
}

static int prepare(struct agent *g, struct err *err)
{
	if (datadir_open(&g->dir, g->data_dir, true, err) || datadir_lock(&g->dir, err))
		return -1;
	g->locked = true;
	unlink(datadir_path(&g->dir, "ready"));
	if (fs_exists(datadir_path(&g->dir, "pki/ca.key")))
		return err_set(err, ERR_CONFLICT,
			       "%s is a server's: an agent needs a --data-dir of its own",
			       g->dir.path);
	if (fs_mkdirs(datadir_path(&g->dir, "log"), 0700, err) ||
	    fs_mkdirs(datadir_path(&g->dir, "nodes/%s", g->name), 0700, err) ||
	    fs_write(datadir_path(&g->dir, "agent"), str_c(g->cluster_cidr), 0644, err) ||
	    read_token(g, err))
		return -1;
	return join_patiently(g, err);
}

/* ---- roles ---- */

struct args {
	struct child_spec spec;
	size_t n;
};

static void arg(struct args *a, const char *name, const char *value)
{
	assert(a->n + 3 < CHILD_ARGS_MAX);
	a->spec.argv[a->n++] = name;
	a->spec.argv[a->n++] = value;
}

static struct args role(struct agent *g, const char *verb, const char *config)
{
	struct args a = {0};

	snprintf(a.spec.name, sizeof(a.spec.name), "%s", verb);
	a.spec.argv[a.n++] = verb;
	arg(&a, "--data-dir", g->dir.path);
	arg(&a, "--log-level", g->log_level);
	arg(&a, "--log-format", "text");
	arg(&a, "--kubeconfig",
	    arena_printf(&g->arena, "%s/pki/%s-%s.kubeconfig", g->dir.path, config, g->name));
	return a;
}

static void on_role_ready(void *p)
{
	struct agent *g = p;
	struct err err = {0};

	if (--g->waiting)
		return;
	if (fs_write(datadir_path(&g->dir, "ready"), STR("ready\n"), 0644, &err))
		log_error("cannot write the ready file", "error", err.msg);
	fprintf(stderr, "plumb: node %s is ready after %.2f s\n", g->name,
		(double)(loop_now(g->loop) - g->started) / 1e9);
}

static void start(struct agent *g, const struct args *a)
{
	g->waiting++;
	supervisor_add(g->super, &a->spec, on_role_ready, g);
}

static void start_roles(struct agent *g)
{
	const char *pki = arena_printf(&g->arena, "%s/pki", g->dir.path);
	struct args k = role(g, "kubelet", "kubelet"), p = role(g, "proxy", "proxy"),
		    d = role(g, "dns", "proxy"); /* it reads what the proxy reads */

	arg(&k, "--node-name", g->name);
	arg(&k, "--node-ip", g->ip);
	arg(&k, "--tls-cert", arena_printf(&g->arena, "%s/kubelet-%s.crt", pki, g->name));
	arg(&k, "--tls-key", arena_printf(&g->arena, "%s/kubelet-%s.key", pki, g->name));
	arg(&k, "--client-ca", arena_printf(&g->arena, "%s/ca.crt", pki));
	arg(&k, "--instance", g->dir.instance);
	arg(&k, "--cluster-dns", CLUSTER_DNS);
	arg(&k, "--runtime", g->runtime);
	start(g, &k);
	arg(&p, "--node-name", g->name);
	arg(&p, "--cluster-cidr", g->cluster_cidr);
	start(g, &p);
	arg(&d, "--address", CLUSTER_DNS);
	start(g, &d);
}

/* ---- while it runs ---- */

static void on_look(struct loop *l, struct loop_timer *t)
{
	struct agent *g = CONTAINER_OF(t, struct agent, timer);
	struct join j = join_of(g);
	struct err err = {0};
	bool changed = false;

	if (join_cluster(&j, &changed, &err))
		log_warn("cannot renew certificates, trying again later", "error", err.msg);
	else if (changed) {
		log_info("new certificates: starting again", "node", g->name);
		supervisor_restart(g->super);
	}
	loop_timer_set(l, t, LOOK_EVERY, on_look);
}

static void on_stopped(void *p)
{
	loop_stop(((struct agent *)p)->loop);
}

static void on_signal(void *p, int signo)
{
	struct agent *g = p;

	(void)signo;
	fprintf(stderr, "plumb: stopping\n");
	unlink(datadir_path(&g->dir, "ready"));
	supervisor_stop(g->super, STOP_GRACE, on_stopped, g);
}

static int run(struct agent *g, struct err *err)
{
	if (find_name(g, err) || find_address(g, err) || prepare(g, err))
		return -1;
	g->loop = loop_new();
	g->started = loop_now(g->loop);
	if (loop_signal(g->loop, SIGTERM, on_signal, g, err) ||
	    loop_signal(g->loop, SIGINT, on_signal, g, err))
		return -1;
	g->super = supervisor_new(g->loop, &g->dir);
	start_roles(g);
	loop_timer_set(g->loop, &g->timer, LOOK_EVERY, on_look);
	loop_run(g->loop);
	loop_timer_cancel(g->loop, &g->timer);
	supervisor_free(g->super);
	return host_cleanup(&g->dir, CONTAINER_GRACE, err);
}

int agent_main(int argc, char **argv)
{
	struct agent g = {.data_dir = DATADIR_DEFAULT,
			  .server = "",
			  .token = "",
			  .token_file = "",
			  .name = "",
			  .ip = "",
			  .runtime = "auto",
			  .log_level = "info",
			  .cluster_cidr = "10.244.0.0/16",
			  .renew_ns = DAYS_30};
	struct err err = {0};
	enum log_level level;
	int rc;

	if (parse(&g, argc, argv, &err) || log_level_parse(g.log_level, &level)) {
		fprintf(stderr, "plumb agent: %s\n", err.code ? err.msg : "--log-level is unknown");
		return 2;
	}
	log_init("agent", level, NULL);
	prctl(PR_SET_NAME, "plumb-agent", 0, 0, 0);
	rc = run(&g, &err);
	if (rc)
		fprintf(stderr, "plumb agent: %s\n", err.msg);
	loop_free(g.loop);
	arena_release(&g.arena);
	if (g.locked)
		datadir_release(&g.dir);
	return rc ? 1 : 0;
}
