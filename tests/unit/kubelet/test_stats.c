/* What is read from cgroups, of both kinds, and of the machine. */
#include "world.h"

#include "kubelet/stats.h"
#include "lib/os/fs.h"

static void put(struct world *w, const char *path, const char *text)
{
	AUTO(free) char *at = xasprintf("%s/%s", w->dir, path);
	AUTO(free) char *folder = xstrdup(at);
	struct err err = {0};

	*strrchr(folder, '/') = 0;
	assert_int_equal(fs_mkdirs(folder, 0700, &err), 0);
	assert_int_equal(fs_write(at, str_c(text), 0600, &err), 0);
}

void test_stats__cgroup_v2(void **state)
{
	struct world w;
	struct usage u = {0};

	(void)state;
	world_init(&w);
	put(&w, "a/b/cpu.stat",
	    "usage_usec 1500\nuser_usec 1000\nnr_periods 9\nnr_throttled 2\nthrottled_usec 5\n");
	put(&w, "a/b/memory.current", "8192\n");
	put(&w, "a/b/memory.stat", "anon 1\nfile 2\ninactive_file 4096\n");
	put(&w, "a/b/memory.swap.current", "5\n");
	put(&w, "a/b/memory.peak", "9000\n");
	put(&w, "a/b/memory.events", "low 0\noom 4\noom_kill 3\n");
	put(&w, "a/b/pids.current", "6\n");
	put(&w, "a/b/io.stat",
	    "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
	    "8:16 rbytes=10 wbytes=x rios=30\nodd\n");
	assert_int_equal(usage_read(w.dir, "a/b", true, &u), 0);
	assert_int_equal(u.swap, 5);
	assert_int_equal(u.peak, 9000);
	assert_int_equal(u.oom_kills, 3);
	assert_int_equal(u.processes, 6);
	assert_int_equal(u.read_bytes, 11);
	assert_int_equal(u.written_bytes, 2);
	assert_int_equal(u.reads, 33);
	assert_int_equal(u.writes, 4);
	assert_int_equal(u.cpu_ns, 1500000);
	assert_int_equal(u.memory, 8192);
	assert_int_equal(u.working, 4096);
	assert_int_equal(u.rss, 1);
	assert_int_equal(u.cache, 2);
	assert_int_equal(u.periods, 9);
	assert_int_equal(u.throttled, 2);
	assert_int_equal(u.throttled_ns, 5000);
	put(&w, "a/b/memory.stat", "inactive_file 9000\n");
	assert_int_equal(usage_read(w.dir, "a/b", true, &u), 0);
	assert_int_equal(u.working, 0);
	put(&w, "a/b/cpu.stat", "usage_usec many\n");
	assert_int_equal(usage_read(w.dir, "a/b", true, &u), -1);
	assert_int_equal(usage_read(w.dir, "a/c", true, &u), -1);
	world_release(&w);
}

void test_stats__cgroup_v1(void **state)
{
	struct world w;
	struct usage u = {0};

	(void)state;
	world_init(&w);
	put(&w, "cpuacct/a/cpuacct.usage", "77\n");
	put(&w, "memory/a/memory.usage_in_bytes", "8192\n");
	put(&w, "memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 2\ntotal_rss 3\n");
	put(&w, "cpu/a/cpu.stat", "nr_periods 4\nthrottled_time 6\n");
	put(&w, "blkio/a/blkio.throttle.io_service_bytes",
	    "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n");
	put(&w, "blkio/a/blkio.throttle.io_serviced", "8:0 Read 3\n8:0 Write 4\n");
	put(&w, "pids/a/pids.current", "2\n");
	assert_int_equal(usage_read(w.dir, "a", false, &u), 0);
	assert_int_equal(u.read_bytes, 11);
	assert_int_equal(u.written_bytes, 20);
	assert_int_equal(u.reads, 3);
	assert_int_equal(u.writes, 4);
	assert_int_equal(u.processes, 2);
	assert_int_equal(u.cpu_ns, 77);
	assert_int_equal(u.working, 8190);
	assert_int_equal(u.rss, 3);
	assert_int_equal(u.periods, 4);
	assert_int_equal(u.throttled_ns, 6);
	assert_int_equal(usage_read(w.dir, "b", false, &u), -1);
	world_release(&w);
}

void test_stats__machine(void **state)
{
	struct world w;
	struct usage u = {0};

	(void)state;
	world_init(&w);
	put(&w, "stat", "cpu  10 1 2 1000 500 1 1 5 7 0\ncpu0 1 2 3\n");
	put(&w, "meminfo",
	    "MemTotal:       2048 kB\nMemFree: 5 kB\nMemAvailable:    1024 kB\nAnonPages: 3 kB\n");
	assert_int_equal(usage_read_machine(w.dir, &u), 0);
	assert_int_equal(u.cpu_ns, 20 * (1000000000 / sysconf(_SC_CLK_TCK)));
	assert_int_equal(u.working, 1024 * 1024);
	assert_int_equal(u.rss, 3 * 1024);
	put(&w, "stat", "intr 5\n");
	assert_int_equal(usage_read_machine(w.dir, &u), -1);
	world_release(&w);
}

void test_stats__traffic(void **state)
{
	static const char text[] = "Inter-|   Receive                       |  Transmit\n"
				   " face |bytes    packets errs drop fifo frame compressed "
				   "multicast|bytes    packets\n"
				   "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
				   "vethab:   100      7    3    2    0     0          0         0 "
				   "     90       6    5    4"
				   "    0     0       0          0\n"
				   "short: 1 2 3\nodd: a b c d e f g h i j k l m\n";
	struct traffic t[2];

	(void)state;
	assert_true(traffic_of(STR(text), "vethab", t));
	assert_int_equal(t[0].bytes, 100);
	assert_int_equal(t[0].packets, 7);
	assert_int_equal(t[0].errors, 3);
	assert_int_equal(t[0].dropped, 2);
	assert_int_equal(t[1].bytes, 90);
	assert_int_equal(t[1].dropped, 4);
	assert_false(traffic_of(STR(text), "veth", t));
	assert_false(traffic_of(STR(text), "short", t));
	assert_false(traffic_of(STR(text), "odd", t));
	assert_false(traffic_of(STR(""), "lo", t));
}
