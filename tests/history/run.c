/*
 * history [--kills N] [--seed N] [--plumb FILE]: `plumb apiserver`, killed at random and at the
 * store's own worst moments while clients write, read and watch over TLS; then the judgement over
 * all that they were shown. Prints TAP. Must leave no process and no file behind. One thread.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/flags.h"
#include "lib/base/timefmt.h"
#include "lib/kube/client.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "tests/history/run.h"

#define SPARED (60 * NS_PER_S)

struct server {
	struct run *run;
	const char *plumb;
	char dir[64], data[80], listen[32];
	int port;
	struct proc *proc;
	struct loop_timer kill, poll;
	struct http_client *http;
	struct http_running *asked;
	int64_t kills, killed;
	int64_t spared_until; /* as long as it has done too little */
	bool lasts;           /* the life that isn't ended */
	int deaths;           /* by itself, without being asked to */
};

/* ---- writing down ---- */

struct history_op *run_op(struct run *r, int client, enum history_verb verb, int key)
{
	struct history *h = &r->h;

	if (h->nops == r->cap_ops) {
		r->cap_ops = r->cap_ops ? 2 * r->cap_ops : 4096;
		h->ops = xreallocarray(h->ops, r->cap_ops, sizeof(*h->ops));
	}
	h->ops[h->nops] = (struct history_op){.verb = verb,
					      .end = H_UNKNOWN,
					      .client = client,
					      .from_ns = loop_now(r->loop),
					      .to_ns = INT64_MAX,
					      .key = key,
					      .got = {.key = key}};
	return &h->ops[h->nops++];
}

bool run_item(struct run *r, const struct json *o, struct history_item *ret)
{
	struct str name = json_str(json_at(o, "metadata", "name")),
		   uid = json_str(json_at(o, "metadata", "uid"));
	struct str a = json_str(json_at(o, "data", "a")), b = json_str(json_at(o, "data", "b"));
	int64_t key;

	(void)r;
	if (name.n != 3 || name.p[0] != 'k' || str_to_i64(str_sub(name, 1, 2), &key) || key < 0 ||
	    key >= KEYS)
		return false;
	*ret = (struct history_item){.key = (int)key};
	if (str_to_u64(json_str(json_at(o, "metadata", "resourceVersion")), &ret->revision))
		ret->revision = 0;
	if (!str_eq(a, b) || str_to_i64(a, &ret->value))
		ret->value = -1;
	ret->uid = UINT64_C(14695981039346656037);
	for (size_t i = 0; i < uid.n; i++)
		ret->uid = (ret->uid ^ (uint8_t)uid.p[i]) * UINT64_C(1099511628211);
	return true;
}

enum history_end run_end_of(int status)
{
	if (status / 100 == 2)
		return H_OK;
	return status / 100 == 4 ? H_REFUSED : H_UNKNOWN;
}

/* ---- the server's lives ---- */

static void start_server(struct server *s);

/* A history of little more than starts tells nothing: twenty writes a life. */
static bool enough(const struct run *r, int64_t lives)
{
	return r->acknowledged >= (size_t)lives * 20;
}

/* Where a life gets little done in its time it has more: the machine may be busy. */
static void on_kill(struct loop *l, struct loop_timer *t)
{
	struct server *s = CONTAINER_OF(t, struct server, kill);

	if (!enough(s->run, s->killed + 1) && loop_now(l) < s->spared_until) {
		loop_timer_set(l, t, 50 * NS_PER_MS, on_kill);
		return;
	}
	if (s->proc)
		proc_signal(s->proc, SIGKILL);
}

static void on_dead(void *arg, struct proc_result *p)
{
	struct server *s = arg;

	s->proc = NULL;
	s->run->up = false;
	loop_timer_cancel(s->run->loop, &s->kill);
	loop_timer_cancel(s->run->loop, &s->poll);
	s->killed++;
	if (p->status != 137) {
		s->deaths++;
		printf("# the server ended by itself (%d): %.*s\n", p->status,
		       STR_ARG(buf_view(&p->err)));
	}
	if (!s->run->ending)
		start_server(s);
}

/* Some lives last until the server has looked at its watches' time-outs and bookmarks. */
static bool is_long(const struct server *s)
{
	return s->killed % 25 == 12;
}

static void poll_ready(struct loop *l, struct loop_timer *t);

static void on_ready(void *arg, const struct http_answer *a)
{
	struct server *s = arg;
	struct run *r = s->run;

	s->asked = NULL;
	if (!s->proc)
		return;
	if (a->status != 200) {
		loop_timer_set(r->loop, &s->poll, 5 * NS_PER_MS, poll_ready);
		return;
	}
	r->up = true;
	s->spared_until = loop_now(r->loop) + SPARED;
	if (s->killed < s->kills)
		loop_timer_set(r->loop, &s->kill,
			       (int64_t)((is_long(s) ? 5500 : 50) + rng_below(&r->rng, 450)) *
				       NS_PER_MS,
			       on_kill);
	else
		s->lasts = true;
}

static void poll_ready(struct loop *l, struct loop_timer *t)
{
	struct server *s = CONTAINER_OF(t, struct server, poll);

	(void)l;
	s->asked = http_client_call(s->http, &(struct http_call){.method = "GET",
								 .path = STR("/readyz"),
								 .timeout_ns = 2 * NS_PER_S,
								 .done = on_ready,
								 .arg = s});
}

/* Half of the lives end between a commit's writes and its end, or between that and the answers. */
static char *fault_of(struct server *s)
{
	static const char *const points[] = {"store.commit", "store.committed"};
	struct rng *rng = &s->run->rng;

	if (s->killed >= s->kills || is_long(s) || rng_below(rng, 2))
		return NULL;
	return xasprintf("PLUMB_FAULT=%s=kill@%llu", points[rng_below(rng, 2)],
			 5 + (unsigned long long)rng_below(rng, 500));
}

static void start_server(struct server *s)
{
	const char *argv[] = {s->plumb,  "apiserver",   "--data-dir", s->data, "--listen",
			      s->listen, "--log-level", "error",      NULL};
	AUTO(free) char *fault = fault_of(s);
	const char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", fault, NULL};
	struct err err = {0};

	s->proc = proc_start(s->run->loop,
			     &(struct proc_opts){.argv = argv, .env = env, .die_with_us = true},
			     on_dead, s, &err);
	if (!s->proc)
		panic("%s: %s", s->plumb, err.msg);
	loop_timer_set(s->run->loop, &s->poll, 20 * NS_PER_MS, poll_ready);
}

/* ---- the frame ---- */

/* Below those that others get without asking for one: it stays free while the server is dead. */
static int free_port(void)
{
	struct rng rng;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	rng_seed(&rng, (uint64_t)getpid());
	for (int i = 0; i < 100; i++) {
		AUTO(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		a.sin_port = htons((uint16_t)(12000 + rng_below(&rng, 16000)));
		if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)))
			return ntohs(a.sin_port);
	}
	panic("no free port: %s", strerror(errno));
}

/* An instance's keys are made by `plumb up`, which then goes away. */
static int make_instance(struct server *s, struct err *err)
{
	const char *up[] = {
		"sh",
		"-c",
		"\"$0\" up --nodes 0 --data-dir \"$1\" --listen \"$2\" >/dev/null 2>&1 & "
		"p=$!; for i in $(seq 2400); do [ -e \"$1/ready\" ] && break; "
		"sleep 0.05; done; kill $p; wait $p; \"$0\" down --data-dir \"$1\" "
		">/dev/null 2>&1; [ -e \"$1/admin.kubeconfig\" ]",
		s->plumb,
		s->data,
		s->listen,
		NULL};
	struct proc_result r;
	int rc = proc_run(&(struct proc_opts){.argv = up, .timeout_ns = 240 * NS_PER_S}, &r, err);

	if (rc)
		return -1;
	rc = r.status ? err_set(err, ERR_INTERNAL, "plumb up: %d", r.status) : 0;
	proc_result_release(&r);
	return rc;
}

static struct http_client *connect_to(struct server *s, struct tls_ctx *tls)
{
	struct err err = {0};
	struct http_client *c = http_client_new(
		s->run->loop,
		&(struct http_client_opts){.host = "127.0.0.1", .port = s->port, .tls = tls}, &err);

	if (!c)
		panic("client: %s", err.msg);
	return c;
}

static struct tls_ctx *identity(struct server *s, struct err *err)
{
	AUTO(free) char *path = xasprintf("%s/admin.kubeconfig", s->data);
	struct kubeconfig k;
	struct tls_ctx *tls;

	if (kubeconfig_load(path, &k, err))
		return NULL;
	tls = tls_client_new(&(struct tls_files){.ca_pem = str_c(k.ca_pem),
						 .cert_pem = str_c(k.cert_pem),
						 .key_pem = str_c(k.key_pem)},
			     err);
	kubeconfig_release(&k);
	return tls;
}

static bool all_told(const struct run *r)
{
	for (int i = 0; i < WATCHERS; i++)
		if (r->watchers[i].last < r->goal)
			return false;
	return true;
}

static bool any_busy(const struct run *r)
{
	for (int i = 0; i < WRITERS; i++)
		if (r->writers[i].busy)
			return true;
	return false;
}

/* One last write that every watcher must be told of: what is missing then is lost, not late. */
static bool finish(struct run *r)
{
	int64_t end = loop_now(r->loop) + 120 * NS_PER_S;
	struct writer *w = &r->writers[0];

	r->ending = true;
	while (any_busy(r) && loop_now(r->loop) < end)
		loop_turn(r->loop, 50);
	/* More than once: its connection may be to a server that is gone. */
	while (!r->goal && loop_now(r->loop) < end) {
		writer_finish(w);
		while (w->busy && loop_now(r->loop) < end)
			loop_turn(r->loop, 50);
		r->goal = r->h.ops[w->op].got.revision;
	}
	while (!all_told(r) && loop_now(r->loop) < end)
		loop_turn(r->loop, 50);
	return r->goal && all_told(r);
}

static int judge(struct server *s, bool told)
{
	struct run *r = s->run;
	struct history_verdict v;
	bool judged = enough(r, s->kills);

	history_check(&r->h, &v);
	printf("# %lld kills, %zu calls, %zu writes acknowledged, %zu watches (%zu told to list "
	       "again), %zu events\n",
	       (long long)s->kills, r->h.nops, r->acknowledged, r->h.nwatches, r->gone, r->events);
	printf("%sok 1 - history holds what the API promises\n", v.total ? "not " : "");
	if (v.total)
		printf("# %zu flaws\n# %s\n", v.total, buf_cstr(&v.why));
	printf("%sok 2 - each watcher was told of the last write\n", told ? "" : "not ");
	printf("%sok 3 - there was enough to judge\n", judged ? "" : "not ");
	printf("%sok 4 - the server never ended by itself\n1..4\n", s->deaths ? "not " : "");
	buf_release(&v.why);
	return v.total || !told || !judged || s->deaths;
}

static int play(struct server *s, struct tls_ctx *tls)
{
	struct run *r = s->run;
	bool told;

	s->http = connect_to(s, tls);
	for (int i = 0; i < WRITERS; i++) {
		r->writers[i] = (struct writer){.run = r, .number = i, .http = connect_to(s, tls)};
		writer_start(&r->writers[i]);
	}
	for (int i = 0; i < WATCHERS; i++) {
		r->watchers[i] =
			(struct watcher){.run = r, .number = i, .http = connect_to(s, tls)};
		watcher_start(&r->watchers[i]);
	}
	start_server(s);
	while (!s->lasts || (!enough(r, s->kills) && loop_now(r->loop) < s->spared_until))
		loop_turn(r->loop, 100);
	told = finish(r);
	if (s->proc)
		proc_signal(s->proc, SIGKILL);
	while (s->proc)
		loop_turn(r->loop, 100);
	for (int i = 0; i < WRITERS; i++)
		writer_release(&r->writers[i]);
	for (int i = 0; i < WATCHERS; i++)
		watcher_release(&r->watchers[i]);
	http_client_free(s->http);
	return judge(s, told);
}

static void release(struct run *r)
{
	for (size_t i = 0; i < r->h.nops; i++)
		free(r->h.ops[i].items);
	for (size_t i = 0; i < r->h.nwatches; i++)
		free(r->h.watches[i].events);
	free(r->h.ops);
	free(r->h.watches);
	loop_free(r->loop);
}

static int run_all(struct server *s, uint64_t seed)
{
	struct run *r = s->run;
	struct tls_ctx *tls = NULL;
	struct err err = {0};
	int rc = 1;

	rng_seed(&r->rng, seed);
	r->loop = loop_new();
	s->port = free_port();
	snprintf(s->listen, sizeof(s->listen), "127.0.0.1:%d", s->port);
	snprintf(s->dir, sizeof(s->dir), "/tmp/plumb-history.XXXXXX");
	if (!mkdtemp(s->dir))
		panic("%s: %s", s->dir, strerror(errno));
	snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
	if (!make_instance(s, &err))
		tls = identity(s, &err);
	if (tls)
		rc = play(s, tls);
	else
		printf("not ok 1 - an instance to try: %s\n1..1\n", err.msg);
	tls_unref(&tls);
	release(r);
	if (!rc || !getenv("KEEP_WORK"))
		rc |= fs_remove_tree(s->dir, &err) != 0;
	return rc;
}

int main(int argc, char **argv)
{
	AUTO(free) char *self = xstrdup(argv[0]);
	char *slash = strrchr(self, '/');
	AUTO(free) char *beside = xasprintf("%.*splumb", slash ? (int)(slash - self) + 1 : 0, self);
	int64_t kills = 25, seed = (int64_t)getpid();
	const char *plumb = beside;
	const struct flag flags[] = {
		{"kills", 0, FLAG_INT, &kills, "N", "how often the server is killed"},
		{"seed", 0, FLAG_INT, &seed, "N", "of the choices"},
		{"plumb", 0, FLAG_STRING, &plumb, "FILE", "the program"},
		{0}};
	struct run r = {0};
	struct server s = {.run = &r};
	struct err err = {0};
	int nargs;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (flags_parse(argc, argv, flags, "history: kills the API server and judges it", &nargs,
			&err)) {
		fprintf(stderr, "history: %s\n", err.msg);
		return 2;
	}
	s.plumb = plumb;
	s.kills = kills;
	printf("# seed %lld\n", (long long)seed);
	return run_all(&s, (uint64_t)seed);
}
