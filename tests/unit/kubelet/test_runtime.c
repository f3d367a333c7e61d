/* Real containers by conmon and crun: created, started, logged, ended, cleared away. */
#include "tests/unit/kubelet/world.h"

#include <limits.h>
#include <signal.h>
#include <sys/mount.h>

#include "kubelet/oci_core.h"
#include "kubelet/runtime/rootfs.h"
#include "kubelet/runtime/runtime.h"
#include "lib/base/timefmt.h"

static const char *runtime_choice = "auto";

struct trial {
	struct world w;
	struct loop *loop;
	struct runtime rt;
	struct arena a;
	char dir[96];
	pid_t pid;
	bool started, failed, ended, gone;
	char message[300];
	struct run_end end;
};

static void on_started(void *arg, pid_t pid)
{
	struct trial *t = arg;

	t->started = true;
	t->pid = pid;
}

static void on_failed(void *arg, bool created, const char *message)
{
	struct trial *t = arg;

	(void)created;
	t->failed = true;
	snprintf(t->message, sizeof(t->message), "%s", message);
}

static void on_ended(void *arg, const struct run_end *end)
{
	struct trial *t = arg;

	t->ended = true;
	t->end = *end;
}

static void on_gone(void *arg)
{
	((struct trial *)arg)->gone = true;
}

static const struct run_ops ops = {on_started, on_failed, on_ended, on_gone};

static void turn_until(struct trial *t, const bool *flag)
{
	int64_t start = loop_now(t->loop);

	while (!*flag && loop_now(t->loop) - start < 120 * NS_PER_S)
		loop_turn(t->loop, 100);
	assert_true(*flag);
}

static void prepare(struct trial *t, const char *pod_json)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};
	struct image img;
	struct pod_spec spec;
	struct env env = {0};

	*t = (struct trial){.loop = loop_new()};
	world_init(&t->w);
	world_image(&t->w);
	snprintf(t->dir, sizeof(t->dir), "%s/c", t->w.dir);
	assert_int_equal(mkdir(t->dir, 0700), 0);
	if (runtime_init(&t->rt, t->loop, runtime_choice, t->w.dir, &err))
		fail_msg("%s", err.msg);
	if (image_find(&t->a, t->w.images, STR("busybox:1"), &img, &err))
		fail_msg("%s", err.msg);
	if (rootfs_mount(t->w.images, &img, t->dir, &err))
		fail_msg("%s", err.msg);
	const struct json *pod = json_parse(&t->a, str_c(pod_json), NULL, &err);
	if (!pod || pod_spec_read(&t->a, pod, &spec, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(env_set(&t->a, &env, STR("PATH"), STR("/bin"), &err), 0);
	struct oci_in in = {.pod = &spec,
			    .c = &spec.c[0],
			    .image = json_at(img.config, "config"),
			    .env = &env,
			    .rootfs = STR("rootfs"),
			    .hostname = STR("trial"),
			    .cgroup = STR("/plumb-test/unit"),
			    .caps = 0x1ffffffffff,
			    .oom_score_adj = INT_MIN};
	struct json *config = oci_config(&t->a, &in, &err);
	if (!config)
		fail_msg("%s", err.msg);
	json_write(config, &out);
	assert_int_equal(runtime_config_put(&t->rt, t->dir, "plumbtest1", buf_view(&out), &err), 0);
}

static struct run *start(struct trial *t)
{
	struct run_opts o = {.dir = t->dir, .id = "plumbtest1", .name = "trial"};
	struct err err = {0};
	struct run *r = run_start(&t->rt, &o, &ops, t, &err);

	if (!r)
		fail_msg("%s", err.msg);
	return r;
}

static void finish(struct trial *t)
{
	turn_until(t, &t->gone);
	static const char *const groups[] = {
		"/sys/fs/cgroup",         "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu",
		"/sys/fs/cgroup/cpuset",  "/sys/fs/cgroup/pids",   "/sys/fs/cgroup/devices",
		"/sys/fs/cgroup/freezer", "/sys/fs/cgroup/blkio",  "/sys/fs/cgroup/cpuacct",
		"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"};
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/plumb-test", groups[i]);
		rmdir(path);
	}
	runtime_release(&t->rt);
	loop_free(t->loop);
	arena_release(&t->a);
	world_release(&t->w);
}

#define POD(command)                                                                               \
	"{\"metadata\":{\"namespace\":\"d\",\"name\":\"p\",\"uid\":\"u\"},\"spec\":{"              \
	"\"containers\":[{"                                                                        \
	"\"name\":\"c\",\"image\":\"busybox:1\",\"command\":" command "}]}}"

static bool log_has(struct trial *t, const char *text)
{
	AUTO(buf) struct buf log = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/log", t->dir);
	assert_int_equal(fs_read(path, 1 << 20, &log, NULL), 0);
	return str_find(buf_view(&log), str_c(text)) >= 0;
}

void test_runtime__a_container_runs_to_its_end(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	prepare(&t, POD("[\"sh\",\"-c\",\"echo out; echo err >&2; exit 3\"]"));
	(void)start(&t);
	turn_until(&t, &t.ended);
	assert_true(t.started);
	assert_int_equal(t.end.exit_code, 3);
	assert_false(t.end.oom);
	assert_true(log_has(&t, "stdout F out\n"));
	assert_true(log_has(&t, "stderr F err\n"));
	finish(&t);
}

void test_runtime__a_missing_program_is_told(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	prepare(&t, POD("[\"nothing-of-the-kind\"]"));
	(void)start(&t);
	turn_until(&t, &t.failed);
	assert_false(t.started);
	assert_non_null(strstr(t.message, "nothing-of-the-kind"));
	finish(&t);
}

void test_runtime__survives_us_and_is_adopted(void **state)
{
	struct trial t;
	struct run *r;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	prepare(&t, POD("[\"sleep\",\"1000\"]"));
	r = start(&t);
	turn_until(&t, &t.started);
	run_forget(r);
	r = run_adopt(&t.rt, t.dir, "plumbtest1", &ops, &t);
	loop_turn(t.loop, 50);
	assert_false(t.ended);
	assert_int_equal(run_pid(r), t.pid);
	run_signal(r, SIGKILL);
	turn_until(&t, &t.ended);
	assert_int_equal(t.end.exit_code, 137);
	finish(&t);
}

void test_runtime__its_end_while_nobody_looked_is_found(void **state)
{
	struct trial t;
	struct run *r;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	prepare(&t, POD("[\"sh\",\"-c\",\"sleep 0.05; exit 9\"]"));
	r = start(&t);
	turn_until(&t, &t.started);
	run_forget(r);
	usleep(400000);
	(void)run_adopt(&t.rt, t.dir, "plumbtest1", &ops, &t);
	turn_until(&t, &t.ended);
	assert_int_equal(t.end.exit_code, 9);
	finish(&t);
}

void test_runtime__runc_too(void **state)
{
	struct trial t;

	(void)state;
	WORLD_NEEDS_CONTAINERS();
	if (access("/usr/sbin/runc", X_OK) && access("/usr/bin/runc", X_OK)) {
		fprintf(stderr, "skipped: needs runc\n");
		skip();
	}
	runtime_choice = "runc";
	prepare(&t, POD("[\"sh\",\"-c\",\"echo out; exit 5\"]"));
	(void)start(&t);
	turn_until(&t, &t.ended);
	assert_int_equal(t.end.exit_code, 5);
	assert_true(log_has(&t, "stdout F out\n"));
	finish(&t);
	runtime_choice = "auto";
}
