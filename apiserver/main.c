/*
 * `plumb apiserver`: opens the store, makes what must exist, listens, and says that it is ready.
 * The main thread owns loop, core and store; the HTTP server has threads of its own. Killed at any
 * instruction nothing acknowledged is lost: the store commits before answers go out.
 */
#include "apiserver/main.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "apiserver/admin.h"
#include "apiserver/authn_setup.h"
#include "apiserver/bootstrap.h"
#include "apiserver/front.h"
#include "apiserver/rootkey.h"
#include "apiserver/webhook_call.h"
#include "lib/base/codec.h"
#include "lib/base/flags.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/loop.h"
#include "lib/os/net.h"
#include "lib/os/ready.h"
#include "lib/os/secrecy.h"

#define PEM_MAX 65536

struct apiserver {
	/* options */
	const char *root_key;
	struct flag_list encrypt;
	const char *data_dir, *log_level, *log_format, *advertise, *service_cidr;
	struct flag_list listen;
	/* what runs */
	struct loop *loop;
	struct rootkey rootkey;
	struct atrest *atrest;
	struct store *store;
	struct core *core;
	struct tidy *tidy;
	struct bootstrap_keeper *keeper;
	struct admin *admin;
	struct tokens *tokens;
	struct authn_setup authn;
	struct tls_ctx *tls, *kubelet_tls;
	struct tls_reload *reloads[3];
	struct front *front;
	struct webhook_calls *calls;
	struct arena arena;
	struct buf ca; /* PEM, for extension API servers */
	char service_ip[16], address[80];
	int port;
};

static const char usage[] =
	"plumb apiserver --data-dir DIR [--listen ADDR:PORT]...\n\n"
	"Serves the Kubernetes API from DIR/store.db, with the keys in DIR/pki.";

static int parse(struct apiserver *s, int argc, char **argv, struct err *err)
{
	int nargs;
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &s->data_dir, "DIR", "where all state lives"},
		{"listen", 0, FLAG_STRINGS, &s->listen, "ADDR:PORT",
		 "where the API answers (127.0.0.1:6443)"},
		{"advertise-address", 0, FLAG_STRING, &s->advertise, "IP",
		 "where pods reach the API: the kubernetes Service's endpoint"},
		{"service-cidr", 0, FLAG_STRING, &s->service_cidr, "CIDR", "service network"},
		{"root-key", 0, FLAG_STRING, &s->root_key, "SOURCE",
		 "file:PATH, credential:NAME or command:PROGRAM ARG…: 32 bytes a key, raw or "
		 "base64 (file:DIR/root.key)"},
		{"encrypt", 0, FLAG_STRINGS, &s->encrypt, "RESOURCE",
		 "encrypt these in the store, too: configmaps, widgets.example.com"},
		{"token-auth-file", 0, FLAG_STRING, &s->authn.token_file, "FILE",
		 "static tokens: lines of token,user,uid,\"group,group\""},
		{"anonymous-auth", 0, FLAG_BOOL, &s->authn.authn.anonymous, NULL,
		 "who shows nothing is system:anonymous"},
		{"requestheader-client-ca-file", 0, FLAG_STRING, &s->authn.proxy_ca, "FILE",
		 "who vouches for proxies that tell in headers who somebody is"},
		{"requestheader-allowed-names", 0, FLAG_STRINGS, &s->authn.proxy_names, "NAME",
		 "such a proxy's certificate (any)"},
		{"requestheader-username-headers", 0, FLAG_STRINGS, &s->authn.proxy_user, "HEADER",
		 "where it names the user (X-Remote-User)"},
		{"requestheader-group-headers", 0, FLAG_STRINGS, &s->authn.proxy_group, "HEADER",
		 "where it names groups (X-Remote-Group)"},
		{"requestheader-extra-headers-prefix", 0, FLAG_STRINGS, &s->authn.proxy_extra,
		 "PREFIX", "how headers begin that say more of the user (X-Remote-Extra-)"},
		{"oidc-issuer-url", 0, FLAG_STRING, &s->authn.oidc.issuer_url, "URL",
		 "whose ID tokens are taken"},
		{"oidc-client-id", 0, FLAG_STRING, &s->authn.oidc.client_id, "ID",
		 "the audience that they must name"},
		{"oidc-ca-file", 0, FLAG_STRING, &s->authn.oidc.ca_file, "FILE",
		 "who vouches for the issuer's server (the system's authorities)"},
		{"oidc-username-claim", 0, FLAG_STRING, &s->authn.oidc.username_claim, "CLAIM",
		 "what names the user (sub)"},
		{"oidc-username-prefix", 0, FLAG_STRING, &s->authn.oidc.username_prefix, "TEXT",
		 "before user names; - for none (the issuer's URL and #)"},
		{"oidc-groups-claim", 0, FLAG_STRING, &s->authn.oidc.groups_claim, "CLAIM",
		 "what names the groups"},
		{"oidc-groups-prefix", 0, FLAG_STRING, &s->authn.oidc.groups_prefix, "TEXT",
		 "before group names"},
		{"oidc-required-claim", 0, FLAG_STRINGS, &s->authn.required, "KEY=VALUE",
		 "a claim that tokens must have"},
		{"oidc-signing-algs", 0, FLAG_STRINGS, &s->authn.algs, "ALG",
		 "how tokens may be signed (RS256)"},
		{"authorization-mode", 0, FLAG_STRING, &s->authn.authorization_mode, "MODES",
		 "Node,RBAC, which are always on, or with ABAC besides"},
		{"authorization-policy-file", 0, FLAG_STRING, &s->authn.authorization_policy_file,
		 "FILE", "ABAC policies, one a line"},
		{"audit-policy-file", 0, FLAG_STRING, &s->authn.audit_policy_file, "FILE",
		 "audit.k8s.io/v1 Policy: what is noted of which requests"},
		{"audit-log-path", 0, FLAG_STRING, &s->authn.audit.path, "FILE",
		 "where it is noted; - for standard output"},
		{"audit-log-maxage", 0, FLAG_INT, &s->authn.audit.max_age_days, "DAYS",
		 "how long old files are kept (for ever)"},
		{"audit-log-maxbackup", 0, FLAG_INT, &s->authn.audit.max_backups, "N",
		 "how many old files are kept (all)"},
		{"audit-log-maxsize", 0, FLAG_INT, &s->authn.audit.max_size_mb, "MB",
		 "when another file is begun (100)"},
		{"audit-log-mode", 0, FLAG_STRING, &s->authn.audit_mode, "MODE",
		 "when the queue is full: blocking waits (default), batch loses and counts"},
		{"log-level", 0, FLAG_STRING, &s->log_level, "LEVEL", "error, warn, info or debug"},
		{"log-format", 0, FLAG_STRING, &s->log_format, "FORMAT", "text or json"},
		{NULL, 0, 0, NULL, NULL, NULL}};

	if (flags_parse(argc, argv, flags, usage, &nargs, err))
		return -1;
	if (nargs)
		return err_set(err, ERR_BAD_REQUEST, "unexpected argument '%s'", argv[0]);
	return 0;
}

static const char *in_dir(struct apiserver *s, const char *rel)
{
	return arena_printf(&s->arena, "%s/%s", s->data_dir, rel);
}

static int64_t wall(void *arg)
{
	return loop_wall(arg);
}

/* ---- starting ---- */

static void prepare_process(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct rlimit files;

	prctl(PR_SET_NAME, "plumb-apiserver", 0, 0, 0);
	umask(077);
	sigaction(SIGPIPE, &ignore, NULL);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Five threads need not have an arena each, nor keep what a burst took. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static struct tls_files serving_files(struct apiserver *s)
{
	return (struct tls_files){.ca = in_dir(s, "pki/ca.crt"),
				  .cert = in_dir(s, "pki/apiserver.crt"),
				  .key = in_dir(s, "pki/apiserver.key"),
				  .proxy_ca = s->authn.proxy_ca};
}

static struct tls_files calling_files(struct apiserver *s)
{
	return (struct tls_files){.ca = in_dir(s, "pki/ca.crt"),
				  .cert = in_dir(s, "pki/apiserver-kubelet.crt"),
				  .key = in_dir(s, "pki/apiserver-kubelet.key")};
}

static int load_keys(struct apiserver *s, struct err *err)
{
	struct buf pem = {0};
	struct tls_files serve = serving_files(s);
	struct tls_files call = calling_files(s);

	s->tls = tls_server_new(&serve, err);
	if (!s->tls)
		return err_wrap(err, "serving certificate");
	if (fs_exists(call.cert) && !(s->kubelet_tls = tls_client_new(&call, err)))
		return err_wrap(err, "kubelet client certificate");
	if (fs_read(serve.ca, PEM_MAX, &s->ca, err))
		return -1;
	int rc = fs_read(in_dir(s, "pki/sa.key"), PEM_MAX, &pem, err);
	if (!rc && !(s->tokens = tokens_new(buf_view(&pem), err)))
		rc = -1;
	buf_wipe(&pem);
	return rc ? err_wrap(err, "service account key") : 0;
}

static int open_core(struct apiserver *s, struct err *err)
{
	struct core_opts o = {.now = wall,
			      .now_arg = s->loop,
			      .service_cidr = s->service_cidr,
			      .encrypt = s->encrypt.v,
			      .nencrypt = s->encrypt.n};

	/* A lost key is an error, not a reason to make another: it is made with the store. */
	s->rootkey = (struct rootkey){s->root_key, in_dir(s, "root.key"),
				      !fs_exists(in_dir(s, "store.db"))};
	s->atrest = rootkey_load(&s->rootkey, err);
	if (!s->atrest)
		return err_wrap(err, "key of what is encrypted at rest");
	s->rootkey.create = false;
	s->store = store_sqlite_open(in_dir(s, "store.db"), err);
	if (!s->store)
		return -1;
	o.store = s->store;
	o.seal = atrest_seal;
	o.open = atrest_open;
	o.seal_arg = s->atrest;
	o.is_old = atrest_is_old;
	o.is_sealed = atrest_is_sealed;
	random_bytes(&o.seed, sizeof(o.seed));
	s->calls = webhook_calls_new(s->loop, err);
	if (!s->calls)
		return -1;
	o.call = webhook_calls_start;
	o.call_arg = s->calls;
	s->core = core_new(&o, err);
	if (!s->core)
		return -1;
	for (size_t i = 0; i < s->encrypt.n; i++)
		if (!strchr(s->encrypt.v[i], '.') &&
		    !core_kind_find(s->core, STR(""), STR("v1"), str_c(s->encrypt.v[i])))
			return err_set(err, ERR_BAD_REQUEST, "--encrypt %s: no such resource",
				       s->encrypt.v[i]);
	s->tidy = tidy_new(s->loop, s->core, s->store);
	s->admin = admin_new(&(struct admin_opts){.loop = s->loop,
						  .core = s->core,
						  .store = s->store,
						  .tidy = s->tidy,
						  .data_dir = s->data_dir,
						  .rootkey = &s->rootkey,
						  .atrest = &s->atrest});
	return 0;
}

/* The kubernetes Service's address is the first of the network. */
static int parse_addresses(struct apiserver *s, struct err *err)
{
	struct cidr c;
	struct str host, port;
	int64_t n;

	if (cidr_parse(str_c(s->service_cidr), &c) || c.bits > 30)
		return err_set(err, ERR_BAD_REQUEST, "--service-cidr %s: not a network",
			       s->service_cidr);
	uint32_t net = c.bits ? c.addr & ~(uint32_t)((UINT64_C(1) << (32 - c.bits)) - 1) : 0;
	char ip[16];
	struct str text = ip4_format(net + 1, ip);
	snprintf(s->service_ip, sizeof(s->service_ip), "%.*s", STR_ARG(text));

	if (!str_rcut(str_c(s->listen.v[0]), ':', &host, &port) || str_to_i64(port, &n) || n < 0 ||
	    n > 65535)
		return err_set(err, ERR_BAD_REQUEST, "--listen %s: not ADDR:PORT", s->listen.v[0]);
	s->port = (int)n;
	if (!s->advertise && !str_starts(host, STR("127.")) && !str_is(host, "0.0.0.0"))
		s->advertise = arena_cstr(&s->arena, host);
	uint32_t own = !s->advertise && str_is(host, "0.0.0.0") ? net_default_ip() : 0;
	if (own)
		s->advertise = arena_cstr(&s->arena, ip4_format(own, ip));
	return 0;
}

static int listen_all(struct apiserver *s, struct err *err)
{
	for (size_t i = 0; i < s->listen.n; i++) {
		int port = front_listen(s->front, s->listen.v[i], err);
		if (port < 0)
			return err_wrap(err, "listen on %s", s->listen.v[i]);
		if (i == 0)
			s->port = port;
		log_info("listening", "address", s->listen.v[i]);
	}
	return 0;
}

static void on_signal(void *arg, int signo)
{
	struct apiserver *s = arg;

	(void)signo;
	log_info("stopping");
	loop_stop(s->loop);
}

/* How extension API servers know that it is us who tell them of somebody. */
static struct tls_files proxy_files(struct apiserver *s)
{
	struct tls_files f = {.cert = in_dir(s, "pki/front-proxy.crt"),
			      .key = in_dir(s, "pki/front-proxy.key")};

	return fs_exists(f.cert) ? f : (struct tls_files){0};
}

static void turn_front(void *front)
{
	front_turn(front);
}

static int make_what_must_be(struct apiserver *s, struct err *err)
{
	struct bootstrap_opts o = {.service_ip = str_c(s->service_ip),
				   .address = str_c(s->advertise),
				   .public_address =
					   str_c(s->advertise ? s->advertise : "127.0.0.1"),
				   .ca = buf_view(&s->ca),
				   .port = s->port};

	if (bootstrap(s->core, &o, err))
		return -1;
	s->keeper = bootstrap_keep(s->loop, s->core, &o, turn_front, s->front);
	return 0;
}

static void take_serving(void *front, struct tls_ctx *tls)
{
	front_set_tls(front, tls);
}

static void take_kubelet(void *front, struct tls_ctx *tls)
{
	front_set_kubelet_tls(front, tls);
}

static void take_proxy(void *front, struct tls_ctx *tls)
{
	(void)tls; /* each extension has an authority of its own */
	front_renew_proxy(front);
}

/* Certificates are renewed while we run. */
static void watch_files(struct apiserver *s)
{
	struct tls_files proxy = proxy_files(s);
	const struct tls_reload_opts all[] = {
		{s->loop, serving_files(s), "serving certificate", false, take_serving, s->front,
		 0},
		{s->loop, calling_files(s), "kubelet client certificate", true, take_kubelet,
		 s->front, 0},
		{s->loop, proxy, "front proxy's certificate", true, take_proxy, s->front, 0}};

	s->reloads[0] = tls_reload_new(&all[0]);
	if (s->kubelet_tls)
		s->reloads[1] = tls_reload_new(&all[1]);
	if (proxy.cert)
		s->reloads[2] = tls_reload_new(&all[2]);
}

static int start(struct apiserver *s, struct err *err)
{
	if (parse_addresses(s, err) || loop_signal(s->loop, SIGTERM, on_signal, s, err) ||
	    loop_signal(s->loop, SIGINT, on_signal, s, err) || load_keys(s, err) ||
	    authn_setup_open(&s->authn, s->loop, err) || open_core(s, err))
		return -1;
	snprintf(s->address, sizeof(s->address), "%s:%d", s->advertise ? s->advertise : "127.0.0.1",
		 s->port);
	s->front = front_new(&(struct front_opts){.loop = s->loop,
						  .core = s->core,
						  .tokens = s->tokens,
						  .authn = &s->authn.authn,
						  .abac = s->authn.abac,
						  .audit = s->authn.audit_log,
						  .audit_policy = s->authn.audit_policy,
						  .tls = s->tls,
						  .kubelet_tls = s->kubelet_tls,
						  .proxy = proxy_files(s),
						  .admin = s->admin,
						  .turned = tidy_turned,
						  .arg = s->tidy,
						  .ca = buf_view(&s->ca),
						  .address = s->address},
			     err);
	if (s->front)
		webhook_calls_attach(s->calls, s->core, turn_front, s->front);
	if (!s->front || listen_all(s, err) || make_what_must_be(s, err))
		return -1;
	watch_files(s);
	front_ready(s->front);
	front_turn(s->front);
	return 0;
}

static void release(struct apiserver *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->reloads); i++)
		tls_reload_free(s->reloads[i]);
	if (s->front)
		front_stop(s->front);
	webhook_calls_stop(s->calls);
	admin_free(s->admin);
	front_free(s->front);
	tidy_free(s->tidy);
	core_free(s->core);
	bootstrap_keeper_free(s->keeper);
	webhook_calls_free(s->calls);
	store_free(s->store);
	atrest_free(s->atrest);
	tokens_free(s->tokens);
	authn_setup_close(&s->authn);
	tls_unref(&s->tls);
	tls_unref(&s->kubelet_tls);
	loop_free(s->loop);
	buf_release(&s->ca);
	arena_release(&s->arena);
}

int apiserver_main(int argc, char **argv)
{
	static const char *default_listen = "127.0.0.1:6443";
	struct apiserver s = {
		.data_dir = "/var/lib/plumb", .log_level = "info", .service_cidr = "10.96.0.0/16"};
	struct err err = {0};
	enum log_level level;

	if (parse(&s, argc, argv, &err) || log_level_parse(s.log_level, &level)) {
		fprintf(stderr, "plumb apiserver: %s\n", err.code ? err.msg : "unknown log level");
		return 2;
	}
	if (!s.listen.n)
		s.listen = (struct flag_list){&default_listen, 1};
	log_init("apiserver", level, s.log_format);
	prepare_process();
	if (!secrecy_no_dumps())
		log_warn("a crash could leave keys in a core file");
	s.loop = loop_new();
	int64_t began = loop_now(s.loop);
	int rc = start(&s, &err);
	if (rc) {
		log_error("cannot start", "error", err.msg);
	} else {
		loop_turn(s.loop, 0);
		log_info("ready", "after",
			 log_fmt("%.3f s", (double)(loop_now(s.loop) - began) / 1e9), "revision",
			 log_i64((int64_t)core_revision(s.core)));
		ready_notify(s.loop);
		loop_run(s.loop);
	}
	release(&s);
	if (s.listen.v != &default_listen)
		free(s.listen.v);
	return rc ? 1 : 0;
}
