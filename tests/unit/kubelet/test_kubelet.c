/* The whole kubelet against an API in memory: real containers in a network namespace of the test's
 * own. */
#include "tests/unit/kubelet/world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "kubelet/kubelet.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/kube/resources.h"
#include "lib/os/net.h"
#include "tests/unit/kubelet/fakeapi.h"

struct trial {
	struct world w;
	struct loop *loop;
	struct fake api;
	struct kubelet k;
	int old_net;
};

/* A program that ends when it is told to: the first process of a container that says nothing about
 * SIGTERM doesn't, and each test would wait for its grace period to pass. */
#define SLEEPS "\"command\":[\"sh\",\"-c\",\"trap exit TERM; sleep 1000 & wait\"]"

static void start_kubelet(struct trial *t)
{
	struct err err = {0};

	t->k = (struct kubelet){.node_name = "n1",
				.node_ip = "127.0.0.1",
				.instance = "unit",
				.cluster_dns = "",
				.cluster_domain = "cluster.local",
				.runtime_choice = "auto",
				.images_watch.fd = -1,
				.loop = t->loop,
				.client = &t->api.client};
	t->k.role.data_dir = t->w.dir;
	if (kubelet_prepare(&t->k, &err) || kubelet_follow(&t->k, &err))
		fail_msg("%s", err.msg);
}

static void begin(struct trial *t)
{
	*t = (struct trial){0};
	log_init("test", LOG_ERROR, "text");
	t->old_net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	t->loop = loop_new();
	world_init(&t->w);
	world_image(&t->w);
	fake_init(&t->api, t->loop);
	fake_add(&t->api, &res_nodes,
		 "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"podCIDR\":\"10.99.1.0/24\"}}");
	start_kubelet(t);
}

static void end(struct trial *t)
{
	static const char *const groups[] = {"",         "/memory",  "/cpu",     "/cpuset",
					     "/pids",    "/devices", "/freezer", "/blkio",
					     "/cpuacct", "/systemd"};

	AUTO(free) char *trash = xasprintf("%s/nodes/n1/trash", t->w.dir);

	for (int i = 0; i < 3000 && rmdir(trash) && errno == ENOTEMPTY; i++)
		loop_turn(t->loop, 20);
	for (int i = 0; i < 5; i++)
		loop_turn(t->loop, 5); /* whoever emptied it is heard out */
	kubelet_release(&t->k);
	fake_release(&t->api);
	loop_free(t->loop);
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		char path[128];
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/plumb-unit/n1", groups[i]);
		rmdir(path);
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/plumb-unit", groups[i]);
		rmdir(path);
	}
	assert_int_equal(setns(t->old_net, CLONE_NEWNET), 0);
	close(t->old_net);
	world_release(&t->w);
}

static bool pod_has(struct trial *t, const char *name, const char *text)
{
	struct fake_item *it = fake_find(&t->api, &res_pods, "d", name);

	return it && strstr(it->text, text);
}

static void wait_pod(struct trial *t, const char *name, const char *text)
{
	int64_t start = loop_now(t->loop);

	while (!pod_has(t, name, text) && loop_now(t->loop) - start < 120 * NS_PER_S)
		loop_turn(t->loop, 50);
	if (!pod_has(t, name, text)) {
		struct fake_item *it = fake_find(&t->api, &res_pods, "d", name);
		fail_msg("pod %s never had %s: %s", name, text, it ? it->text : "(gone)");
	}
}

static bool event_has(struct trial *t, const char *text)
{
	for (size_t i = 0; i < t->api.n; i++) {
		if (t->api.v[i].r == &res_events && strstr(t->api.v[i].text, text))
			return true;
	}
	return false;
}

static void wait_event(struct trial *t, const char *text)
{
	int64_t start = loop_now(t->loop);

	while (!event_has(t, text) && loop_now(t->loop) - start < 120 * NS_PER_S)
		loop_turn(t->loop, 50);
	assert_true(event_has(t, text));
}

static void add_pod(struct trial *t, const char *name, const char *pod_extra, const char *container)
{
	AUTO(free)
	char *text = xasprintf("{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\"},\"spec\":{"
			       "\"nodeName\":\"n1\",%s"
			       "\"terminationGracePeriodSeconds\":1,\"containers\":[{\"name\":"
			       "\"main\",\"image\":\"busybox:1\",%s}]}}",
			       name, pod_extra, container);

	fake_add(&t->api, &res_pods, text);
}

static bool knows(struct trial *t, const char *name)
{
	struct map_iter it = {0};

	while (map_next(&t->k.by_uid, &it)) {
		if (str_is(((struct pod *)it.value)->spec.name, name))
			return true;
	}
	return false;
}

static void delete_pod(struct trial *t, const char *name)
{
	AUTO(arena) struct arena a = {0};
	struct fake_item *it = fake_find(&t->api, &res_pods, "d", name);
	int64_t start = loop_now(t->loop);

	assert_non_null(it);
	struct json *o = json_parse(&a, arena_str(&a, str_c(it->text)), NULL, NULL);
	json_set_str(&a, json_get(o, STR("metadata")), "deletionTimestamp",
		     STR("2024-01-01T00:00:00Z"));
	json_set_int(&a, json_get(o, STR("metadata")), "deletionGracePeriodSeconds", 1);
	fake_put(&t->api, &res_pods, o, &a);
	while (fake_find(&t->api, &res_pods, "d", name) &&
	       loop_now(t->loop) - start < 120 * NS_PER_S)
		loop_turn(t->loop, 50);
	assert_null(fake_find(&t->api, &res_pods, "d", name));
	while (knows(t, name) && loop_now(t->loop) - start < 120 * NS_PER_S)
		loop_turn(t->loop, 50);
}

static char *log_of(struct trial *t, const char *name)
{
	struct map_iter it = {0};
	AUTO(buf) struct buf text = {0};

	while (map_next(&t->k.by_uid, &it)) {
		struct pod *p = it.value;
		if (!str_is(p->spec.name, name))
			continue;
		AUTO(free) char *dir = attempt_dir(p, 0, (unsigned)p->cont[0].log);
		AUTO(free) char *path = xasprintf("%s/log", dir);
		(void)!fs_read(path, 1 << 20, &text, NULL);
	}
	return buf_take(&text);
}

static void log_has(struct trial *t, const char *name, const char *what)
{
	int64_t start = loop_now(t->loop);

	while (loop_now(t->loop) - start < 120 * NS_PER_S) {
		AUTO(free) char *text = log_of(t, name);
		if (strstr(text, what))
			return;
		loop_turn(t->loop, 20);
	}
	AUTO(free) char *text = log_of(t, name);
	fail_msg("log of %s lacks %s: %s", name, what, text);
}

void test_kubelet__a_pod_runs_and_is_deleted(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	int64_t before = loop_now(t.loop);
	add_pod(&t, "web", "", "\"command\":[\"sleep\",\"1000\"]");
	wait_pod(&t, "web", "\"phase\":\"Running\"");
	fprintf(stderr, "bound to Running: %lld ms\n",
		(long long)((loop_now(t.loop) - before) / NS_PER_MS));
	wait_pod(&t, "web", "\"podIP\":\"10.99.1.2\"");
	wait_event(&t, "Started container main");
	delete_pod(&t, "web");
	wait_event(&t, "Stopping container main");
	assert_int_equal(t.k.by_uid.n, 0);
	end(&t);
}

void test_kubelet__environment_volumes_and_the_end(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	fake_add(&t.api, &res_configmaps,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"cfg\"},\"data\":{\"colour\":"
		 "\"blue\"}}");
	fake_add(&t.api, &res_secrets,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"key\"},\"data\":{\"token\":"
		 "\"czNjcmV0\"}}");
	fake_add(&t.api, &res_services,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"my-db\"},\"spec\":{\"clusterIP\":"
		 "\"10.96.0.7\",\"ports\":[{\"port\":5432}]}}");
	add_pod(&t, "once",
		"\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"c\",\"configMap\":{\"name\":"
		"\"cfg\"}},"
		"{\"name\":\"s\",\"secret\":{\"secretName\":\"key\"}},{\"name\":\"e\",\"emptyDir\":"
		"{}},"
		"{\"name\":\"t\",\"projected\":{\"sources\":[{\"serviceAccountToken\":{\"path\":"
		"\"token\"}},"
		"{\"downwardAPI\":{\"items\":[{\"path\":\"name\",\"fieldRef\":{\"fieldPath\":"
		"\"metadata.name\"}}]}}]}}],",
		"\"command\":[\"sh\",\"-c\",\"echo $COLOUR $TOKEN $MY_DB_SERVICE_HOST $IP $(cat "
		"/c/colour) $(cat /s/token) "
		"$(cat /t/token) $(cat /t/name); echo x >/e/sub/y && ls /e/sub; cat /etc/hostname; "
		"echo bye >/dev/termination-log; exit 4\"],"
		"\"env\":[{\"name\":\"COLOUR\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":"
		"\"cfg\",\"key\":\"colour\"}}},"
		"{\"name\":\"TOKEN\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"key\",\"key\":"
		"\"token\"}}},"
		"{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}}],"
		"\"volumeMounts\":[{\"name\":\"c\",\"mountPath\":\"/"
		"c\"},{\"name\":\"s\",\"mountPath\":\"/s\"},{\"name\":\"t\",\"mountPath\":\"/t\"},"
		"{\"name\":\"e\",\"mountPath\":\"/e/sub\",\"subPath\":\"a/b\"}]");
	wait_pod(&t, "once", "\"phase\":\"Failed\"");
	wait_pod(&t, "once", "\"exitCode\":4");
	wait_pod(&t, "once", "\"message\":\"bye\\n\"");
	log_has(&t, "once", "blue s3cret 10.96.0.7 10.99.1.2 blue s3cret a.b.c once");
	log_has(&t, "once", "stdout F y\n");
	log_has(&t, "once", "stdout F once\n");
	delete_pod(&t, "once");
	end(&t);
}

void test_kubelet__what_is_missing_is_told_and_heals(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "cfg", "",
		SLEEPS ",\"envFrom\":[{\"configMapRef\":{\"name\":"
		       "\"late\"}}]");
	wait_pod(&t, "cfg", "CreateContainerConfigError");
	wait_pod(&t, "cfg", "configmap \\\"late\\\" not found");
	fake_add(&t.api, &res_configmaps,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"late\"},\"data\":{\"a\":\"b\"}}");
	wait_pod(&t, "cfg", "\"phase\":\"Running\"");
	delete_pod(&t, "cfg");

	add_pod(&t, "vol", "\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"none\"}}],",
		"\"command\":[\"true\"]");
	wait_event(&t, "configmap \\\"none\\\" not found");
	delete_pod(&t, "vol");

	fake_add(&t.api, &res_pods,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"ghost\"},\"spec\":{\"nodeName\":"
		 "\"n1\",\"containers\":"
		 "[{\"name\":\"main\",\"image\":\"no.such/image:1\"}]}}");
	wait_pod(&t, "ghost", "ErrImagePull");
	wait_pod(&t, "ghost", "is not in the image store");
	wait_event(&t, "no.such/image:1");
	delete_pod(&t, "ghost");

	add_pod(&t, "bad", "", "\"command\":[\"/no/such/program\"]");
	wait_pod(&t, "bad", "StartError");
	delete_pod(&t, "bad");
	end(&t);
}

void test_kubelet__crashes_back_off(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "crash", "", "\"command\":[\"sh\",\"-c\",\"exit 3\"]");
	wait_pod(&t, "crash", "CrashLoopBackOff");
	wait_pod(&t, "crash", "\"exitCode\":3");
	wait_pod(&t, "crash", "\"restartCount\":1");
	delete_pod(&t, "crash");
	end(&t);
}

void test_kubelet__probes_and_hooks(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "web", "",
		"\"command\":[\"httpd\",\"-f\",\"-p\",\"8080\",\"-h\",\"/"
		"etc\"],\"ports\":[{\"name\":\"http\",\"containerPort\":8080}],"
		"\"lifecycle\":{\"postStart\":{\"exec\":{\"command\":[\"sh\",\"-c\",\"echo hooked "
		">/tmp/x\"]}},"
		"\"preStop\":{\"sleep\":{\"seconds\":0}}},"
		"\"readinessProbe\":{\"httpGet\":{\"path\":\"/"
		"passwd\",\"port\":\"http\"},\"periodSeconds\":1},"
		"\"startupProbe\":{\"tcpSocket\":{\"port\":8080},\"periodSeconds\":1}");
	wait_pod(&t, "web", "\"ready\":true");
	add_pod(&t, "sick", "",
		SLEEPS ",\"livenessProbe\":{\"exec\":{\"command\":["
		       "\"false\"]},\"periodSeconds\":1,\"failureThreshold\":1}");
	wait_pod(&t, "sick", "\"restartCount\":1");
	wait_event(&t, "Liveness probe failed");
	delete_pod(&t, "sick");
	delete_pod(&t, "web");
	end(&t);
}

void test_kubelet__init_containers_and_sidecars(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "multi",
		"\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"e\",\"emptyDir\":{}}],"
		"\"initContainers\":["
		"{\"name\":\"side\",\"image\":\"busybox:1\",\"restartPolicy\":\"Always\"," SLEEPS
		"},"
		"{\"name\":\"first\",\"image\":\"busybox:1\",\"command\":[\"sh\",\"-c\",\"echo "
		"made >/e/f\"],"
		"\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/e\"}]}],",
		"\"command\":[\"cat\",\"/e/f\"],\"volumeMounts\":[{\"name\":\"e\",\"mountPath\":\"/"
		"e\"}]");
	wait_pod(&t, "multi", "\"phase\":\"Succeeded\"");
	delete_pod(&t, "multi");
	end(&t);
}

void test_kubelet__pods_outlive_it(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "stays", "", SLEEPS);
	add_pod(&t, "goes", "", SLEEPS);
	wait_pod(&t, "stays", "\"phase\":\"Running\"");
	wait_pod(&t, "goes", "\"phase\":\"Running\"");
	struct pod *p = map_get(&t.k.by_uid, STR("uid-2"));
	assert_non_null(p);
	pid_t pid = p->obs.c[0].pid;
	kubelet_release(&t.k);
	fake_remove(&t.api, fake_find(&t.api, &res_pods, "d", "goes"));
	assert_int_equal(kill(pid, 0), 0);
	start_kubelet(&t);
	int64_t start = loop_now(t.loop);
	while (t.k.by_uid.n > 1 && loop_now(t.loop) - start < 120 * NS_PER_S)
		loop_turn(t.loop, 50);
	assert_int_equal(t.k.by_uid.n, 1);
	p = map_get(&t.k.by_uid, STR("uid-2"));
	assert_int_equal(p->obs.c[0].state, CONT_RUNNING);
	assert_int_equal(p->obs.c[0].pid, pid);
	assert_int_equal(p->obs.c[0].restarts, 0);
	assert_true(pod_has(&t, "stays", "\"podIP\":\"10.99.1.2\""));
	delete_pod(&t, "stays");
	assert_int_not_equal(kill(pid, 0), 0);
	end(&t);
}

void test_kubelet__a_start_that_was_cut_off_is_done_again(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "cut", "", SLEEPS);
	struct pod *p = NULL;
	int64_t start = loop_now(t.loop);
	while (loop_now(t.loop) - start < 120 * NS_PER_S) {
		p = map_get(&t.k.by_uid, STR("uid-2"));
		if (p && p->obs.c[0].state == CONT_STARTING)
			break;
		loop_turn(t.loop, 5);
	}
	assert_non_null(p);
	assert_int_equal(p->obs.c[0].state, CONT_STARTING);
	kubelet_release(&t.k);
	usleep(100000); /* conmon and crun go on by themselves */
	start_kubelet(&t);
	wait_pod(&t, "cut", "\"phase\":\"Running\"");
	p = map_get(&t.k.by_uid, STR("uid-2"));
	assert_int_equal(p->obs.c[0].state, CONT_RUNNING);
	assert_int_equal(p->obs.c[0].restarts, 0);
	delete_pod(&t, "cut");
	end(&t);
}

void test_kubelet__a_memory_limit_kills(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	add_pod(&t, "fat", "\"restartPolicy\":\"Never\",",
		"\"resources\":{\"limits\":{\"memory\":\"16Mi\"}},"
		"\"command\":[\"sh\",\"-c\",\"a=xxxxxxxx; while :; do a=$a$a; done\"]");
	wait_pod(&t, "fat", "\"phase\":\"Failed\"");
	wait_pod(&t, "fat", "OOMKilled");
	wait_pod(&t, "fat", "\"exitCode\":137");
	delete_pod(&t, "fat");
	end(&t);
}

void test_kubelet__users_roots_and_the_host(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	AUTO(free) char *shared = xasprintf("%s/shared", t.w.dir);
	AUTO(free)
	char *extra = xasprintf(
		"\"restartPolicy\":\"Never\",\"hostNetwork\":true,\"securityContext\":{"
		"\"runAsUser\":7,\"fsGroup\":77},"
		"\"volumes\":[{\"name\":\"h\",\"hostPath\":{\"path\":\"%s\",\"type\":"
		"\"DirectoryOrCreate\"}},"
		"{\"name\":\"m\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1Mi\"}}],",
		shared);
	add_pod(&t, "strict", extra,
		"\"securityContext\":{\"readOnlyRootFilesystem\":true,\"capabilities\":{\"drop\":["
		"\"ALL\"]}},"
		"\"command\":[\"sh\",\"-c\",\"id -u; id -G; (echo x >/root-is-writable) "
		"2>/dev/null || echo read-only; "
		"echo y >/m/f && echo memory; cat /h/greeting; ls /sys/class/net | cat\"],"
		"\"volumeMounts\":[{\"name\":\"h\",\"mountPath\":\"/"
		"h\",\"readOnly\":true},{\"name\":\"m\",\"mountPath\":\"/m\"}]");
	AUTO(free) char *file = xasprintf("%s/greeting", shared);
	assert_int_equal(mkdir(shared, 0755), 0);
	assert_int_equal(fs_write(file, STR("hello from the host\n"), 0644, NULL), 0);
	wait_pod(&t, "strict", "\"phase\":\"Succeeded\"");
	wait_pod(&t, "strict", "\"podIP\":\"127.0.0.1\"");
	log_has(&t, "strict", "stdout F 7\n");
	log_has(&t, "strict", "77");
	log_has(&t, "strict", "read-only");
	log_has(&t, "strict", "memory");
	log_has(&t, "strict", "hello from the host");
	log_has(&t, "strict", "plumb0");
	delete_pod(&t, "strict");
	assert_true(fs_exists(file)); /* the host's files stay */
	end(&t);
}

void test_kubelet__volumes_follow_their_objects(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	fake_add(&t.api, &res_configmaps,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"page\"},\"data\":{\"text\":"
		 "\"first\"}}");
	add_pod(&t, "reads", "\"volumes\":[{\"name\":\"c\",\"configMap\":{\"name\":\"page\"}}],",
		"\"command\":[\"sh\",\"-c\",\"while :; do cat /c/text; echo; sleep 0.1; done\"],"
		"\"volumeMounts\":[{\"name\":\"c\",\"mountPath\":\"/c\"}]");
	wait_pod(&t, "reads", "\"phase\":\"Running\"");
	log_has(&t, "reads", "stdout P first");
	fake_add(&t.api, &res_configmaps,
		 "{\"metadata\":{\"namespace\":\"d\",\"name\":\"page\"},\"data\":{\"text\":"
		 "\"second\"}}");
	log_has(&t, "reads", "stdout P second");
	delete_pod(&t, "reads");
	end(&t);
}

/* ---- the kubelet's own port ---- */

struct asked {
	int status;
	bool done;
	struct buf body;
};

static void on_answer(void *arg, const struct http_answer *a)
{
	struct asked *q = arg;

	q->status = a->status;
	buf_str(&q->body, a->body);
	q->done = true;
}

static int ask(struct trial *t, struct tls_ctx *tls, const char *path, struct asked *q)
{
	struct http_client_opts o = {.host = "127.0.0.1", .port = 10250, .tls = tls};
	struct http_call call = {.method = "GET", .path = str_c(path), .done = on_answer, .arg = q};
	struct err err = {0};
	struct http_client *c = http_client_new(t->loop, &o, &err);

	buf_reset(&q->body);
	q->done = false;
	http_client_call(c, &call);
	for (int i = 0; i < 2400 && !q->done; i++)
		loop_turn(t->loop, 50);
	http_client_free(c);
	assert_true(q->done);
	return q->status;
}

struct authority {
	struct buf cert, key;
	char ca[96], crt[96], pem[96];
};

static struct tls_ctx *client_of(struct authority *a, const char *org)
{
	AUTO(buf) struct buf cert = {0}, key = {0};
	const char *orgs[] = {org, NULL};
	struct cert_request r = {.common_name = "x",
				 .organizations = orgs,
				 .client = true,
				 .lifetime_s = 3600,
				 .now_ns = (int64_t)time(NULL) * NS_PER_S};
	struct tls_files f = {.ca_pem = buf_view(&a->cert)};
	struct err err = {0};

	if (org) {
		assert_int_equal(
			ca_issue(buf_view(&a->cert), buf_view(&a->key), &r, &cert, &key, &err), 0);
		f.cert_pem = buf_view(&cert);
		f.key_pem = buf_view(&key);
	}
	return tls_client_new(&f, &err);
}

static void serve(struct trial *t, struct authority *a)
{
	AUTO(buf) struct buf cert = {0}, key = {0};
	const char *sans[] = {"IP:127.0.0.1", NULL};
	struct cert_request r = {.common_name = "n1",
				 .sans = sans,
				 .server = true,
				 .lifetime_s = 3600,
				 .now_ns = (int64_t)time(NULL) * NS_PER_S};
	struct err err = {0};

	assert_int_equal(ca_create("ca", r.now_ns, 3600, &a->cert, &a->key, &err), 0);
	assert_int_equal(ca_issue(buf_view(&a->cert), buf_view(&a->key), &r, &cert, &key, &err), 0);
	snprintf(a->ca, sizeof(a->ca), "%s/ca", t->w.dir);
	snprintf(a->crt, sizeof(a->crt), "%s/crt", t->w.dir);
	snprintf(a->pem, sizeof(a->pem), "%s/key", t->w.dir);
	assert_int_equal(fs_write(a->ca, buf_view(&a->cert), 0600, NULL), 0);
	assert_int_equal(fs_write(a->crt, buf_view(&cert), 0600, NULL), 0);
	assert_int_equal(fs_write(a->pem, buf_view(&key), 0600, NULL), 0);
	assert_int_equal(net_link_up("lo", NULL), 0);
	t->k.client_ca = a->ca;
	t->k.tls_cert = a->crt;
	t->k.tls_key = a->pem;
	if (server_start(&t->k, &err))
		fail_msg("%s", err.msg);
}

void test_kubelet__logs_go_to_the_api_server_alone(void **state)
{
	struct trial t;
	struct authority a = {0};
	struct asked q = {0};

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	begin(&t);
	serve(&t, &a);
	struct tls_ctx *nobody = client_of(&a, NULL), *node = client_of(&a, "system:nodes"),
		       *api = client_of(&a, "plumb:apiserver");
	add_pod(&t, "talks", "",
		"\"command\":[\"sh\",\"-c\",\"echo one; echo two; echo three; trap exit TERM; "
		"sleep 1000 & wait\"]");
	wait_pod(&t, "talks", "\"phase\":\"Running\"");
	log_has(&t, "talks", "three");
	assert_int_equal(ask(&t, nobody, "/healthz", &q), 200);
	assert_int_equal(ask(&t, nobody, "/containerLogs/d/talks/main", &q), 401);
	assert_int_equal(ask(&t, node, "/containerLogs/d/talks/main", &q), 403);
	assert_int_equal(ask(&t, api, "/containerLogs/d/talks/main", &q), 200);
	assert_string_equal(buf_cstr(&q.body), "one\ntwo\nthree\n");
	assert_int_equal(ask(&t, api, "/containerLogs/d/talks/main?tailLines=1", &q), 200);
	assert_string_equal(buf_cstr(&q.body), "three\n");
	assert_int_equal(ask(&t, api, "/containerLogs/d/talks/main?limitBytes=5", &q), 200);
	assert_string_equal(buf_cstr(&q.body), "one\nt");
	assert_int_equal(ask(&t, api, "/containerLogs/d/talks/main?previous=true", &q), 400);
	assert_int_equal(ask(&t, api, "/containerLogs/d/talks/other", &q), 400);
	assert_int_equal(ask(&t, api, "/containerLogs/d/none/main", &q), 404);
	assert_int_equal(ask(&t, api, "/pods", &q), 200);
	assert_non_null(strstr(buf_cstr(&q.body), "\"talks\""));
	delete_pod(&t, "talks");
	tls_unref(&nobody);
	tls_unref(&node);
	tls_unref(&api);
	buf_release(&q.body);
	buf_release(&a.cert);
	buf_release(&a.key);
	end(&t);
}
