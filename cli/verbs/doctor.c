/*
 * `plumb doctor`: what this machine has of what a node needs, one line each, tried out rather than
 * guessed at. Changes nothing: what is tried is tried in a namespace of its own, or in a file that
 * is gone again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/base/timefmt.h"
#include "lib/json/json.h"
#include "lib/os/fs.h"
#include "lib/os/lazy.h"
#include "lib/os/net.h"
#include "lib/os/proc.h"

enum verdict { GOOD, POOR, BAD };

struct finding {
	enum verdict verdict;
	char text[200];
};

static struct finding say(enum verdict v, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct finding say(enum verdict v, const char *fmt, ...)
{
	struct finding f = {.verdict = v};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	return f;
}

/* ---- programs ---- */

static bool in_path(const char *program, char *ret, size_t n)
{
	struct str dirs = str_c(getenv("PATH") ? getenv("PATH") : "/usr/sbin:/usr/bin:/sbin:/bin"),
		   dir;

	while (dirs.n && str_next(&dirs, ':', &dir)) {
		snprintf(ret, n, "%.*s/%s", STR_ARG(dir), program);
		if (dir.n && !access(ret, X_OK))
			return true;
	}
	return false;
}

static struct finding runtime(const char *dir)
{
	char path[300];

	(void)dir;
	if (in_path("crun", path, sizeof(path)) || in_path("runc", path, sizeof(path)))
		return say(GOOD, "%s", path);
	return say(BAD, "neither crun nor runc: containers can't run");
}

static struct finding conmon(const char *dir)
{
	char path[300];

	(void)dir;
	return in_path("conmon", path, sizeof(path)) ? say(GOOD, "%s", path)
						     : say(BAD, "no conmon: containers can't run");
}

static struct finding gpg(const char *dir)
{
	char path[300];

	(void)dir;
	return in_path("gpg", path, sizeof(path))
		       ? say(GOOD, "%s", path)
		       : say(POOR, "no gpg: OpenPGP signatures of commits can't be verified");
}

/* ---- the kernel ---- */

static struct finding root(const char *dir)
{
	(void)dir;
	return geteuid() ? say(BAD, "not root: nodes and their networks need it")
			 : say(GOOD, "yes");
}

static struct finding cgroups(const char *dir)
{
	bool v2 = fs_exists("/sys/fs/cgroup/cgroup.controllers"),
	     mixed = fs_exists("/sys/fs/cgroup/unified/cgroup.controllers");

	(void)dir;
	if (access("/sys/fs/cgroup", W_OK))
		return say(BAD, "/sys/fs/cgroup can't be written: no limits, no containers");
	return say(GOOD, "%s",
		   v2      ? "version 2"
		   : mixed ? "version 1 beside version 2"
			   : "version 1");
}

static struct finding overlay(const char *dir)
{
	AUTO(buf) struct buf text = {0};

	(void)dir;
	if (!fs_read("/proc/filesystems", 65536, &text, NULL) &&
	    str_find(buf_view(&text), STR("overlay")) >= 0)
		return say(GOOD, "yes");
	return say(BAD, "no overlay file system (modprobe overlay): images can't be mounted");
}

/* Runs fn in a child with namespaces of its own; its exit code is errno-like, 0 = good. */
static int apart(int flags, int (*fn)(struct err *err), struct err *err)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, "pipe");
	pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (!pid) {
		struct err why = {0};

		if (unshare(flags))
			err_sys(&why, "unshare");
		else if (!fn(&why))
			_exit(0);
		(void)!write(fds[1], why.msg, strlen(why.msg));
		_exit(1);
	}
	close(fds[1]);
	char text[200] = "";
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return err_set(err, ERR_INTERNAL, "%.*s", (int)MAX(n, 0), text);
}

static int make_links(struct err *err)
{
	return net_link_up("lo", err) || net_bridge_create("plumbdoctor", err) ||
			       net_veth_create("plumbdoc0", "plumbdoc1", -1, err) ||
			       net_link_set_master("plumbdoc0", "plumbdoctor", true, err)
		       ? -1
		       : 0;
}

static struct finding links(const char *dir)
{
	struct err err = {0};

	(void)dir;
	return apart(CLONE_NEWNET, make_links, &err)
		       ? say(BAD, "%s: no network for pods", err.msg)
		       : say(GOOD, "namespaces, bridges and veth pairs");
}

static int make_table(struct err *err)
{
	if (lazy_load(&lazy_nftables, err))
		return -1;
	return nft_run(STR("add table inet plumb_doctor\n"
			   "add chain inet plumb_doctor c { type nat hook prerouting priority "
			   "dstnat; }\n"
			   "add rule inet plumb_doctor c tcp dport 80 dnat ip to 192.0.2.1:80\n"),
		       err);
}

static struct finding nftables(const char *dir)
{
	struct err err = {0};

	(void)dir;
	return apart(CLONE_NEWNET, make_table, &err) ? say(BAD, "%s: no Services", err.msg)
						     : say(GOOD, "translates addresses");
}

static struct finding forwarding(const char *dir)
{
	AUTO(buf) struct buf text = {0};

	(void)dir;
	if (!fs_read("/proc/sys/net/ipv4/ip_forward", 16, &text, NULL) && text.n &&
	    text.p[0] == '1')
		return say(GOOD, "on");
	return access("/proc/sys/net/ipv4/ip_forward", W_OK)
		       ? say(BAD, "off, and can't be switched on: pods reach nobody")
		       : say(GOOD, "off; plumb up switches it on");
}

static struct finding bridges(const char *dir)
{
	const char *const argv[] = {"modprobe", "-q", "--dry-run", "br_netfilter", NULL};
	struct proc_opts o = {.argv = argv, .timeout_ns = 10 * NS_PER_S};
	struct proc_result r = {0};
	bool loads;

	(void)dir;
	if (fs_exists("/proc/sys/net/bridge"))
		return say(GOOD, "filtered");
	loads = !proc_run(&o, &r, NULL) && !r.status;
	proc_result_release(&r);
	return loads ? say(GOOD, "not filtered yet; br_netfilter is there")
		     : say(POOR,
			   "no br_netfilter in this kernel: Services fail between pods of one "
			   "node, and policies don't hold there");
}

static struct finding seccomp(const char *dir)
{
	(void)dir;
	return fs_exists("/proc/sys/kernel/seccomp")
		       ? say(GOOD, "yes")
		       : say(POOR, "no seccomp: containers run without that fence");
}

/* ---- the disk ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The data directory's own file system, or of what is nearest above it. */
static int open_beside(const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s", dir);
	for (;;) {
		int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		char *slash = strrchr(path, '/');

		if (fd >= 0 || errno != ENOENT || !slash || slash == path)
			return fd;
		*slash = 0;
	}
}

static struct finding disk(const char *dir)
{
	enum { TIMES = 31 };
	int64_t took[TIMES];
	char page[4096] = {0};
	int fd = open_beside(dir);

	if (fd < 0)
		return say(BAD, "%s: %s", dir, strerror(errno));
	for (int i = 0; i < TIMES; i++) {
		int64_t from = now_ns();

		if (pwrite(fd, page, sizeof(page), (off_t)i * 4096) < 0 || fdatasync(fd)) {
			close(fd);
			return say(BAD, "%s: %s", dir, strerror(errno));
		}
		took[i] = now_ns() - from;
	}
	close(fd);
	qsort(took, TIMES, sizeof(took[0]), by_size);
	double ms = (double)took[TIMES / 2] / 1e6;
	return say(ms > 20 ? POOR : GOOD, "a write is safe after %.2f ms%s", ms,
		   ms > 20 ? ": the API will be slow" : "");
}

static struct finding names(const char *dir)
{
	AUTO(buf) struct buf text = {0};
	struct str rest, line;

	(void)dir;
	if (fs_read("/etc/resolv.conf", 65536, &text, NULL))
		return say(POOR, "no /etc/resolv.conf: pods know no names outside the cluster");
	for (rest = buf_view(&text); rest.n && str_next(&rest, '\n', &line);) {
		if (str_starts(line, STR("nameserver ")) &&
		    !str_starts(line, STR("nameserver 127.")) &&
		    !str_starts(line, STR("nameserver ::1")))
			return say(GOOD, "%.*s", STR_ARG(line));
	}
	return say(POOR, "no name server that a node's namespace reaches (all on loopback): pods "
			 "know no names outside the cluster");
}

/* ---- the list ---- */

static const struct {
	const char *name;
	struct finding (*look)(const char *dir);
} checks[] = {
	{"root", root},         {"OCI runtime", runtime},   {"conmon", conmon},
	{"cgroups", cgroups},   {"overlay", overlay},       {"links", links},
	{"nftables", nftables}, {"forwarding", forwarding}, {"bridges", bridges},
	{"seccomp", seccomp},   {"data directory", disk},   {"name servers", names},
	{"gpg", gpg},
};

static const char *const words[] = {[GOOD] = "ok", [POOR] = "lacking", [BAD] = "missing"};

static int doctor_main(int argc, char **argv)
{
	const char *dir = "/var/lib/plumb", *output = "";
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &dir, "DIR", "where all state shall live"},
		{"output", 'o', FLAG_STRING, &output, "FORMAT", "json"},
		{0}};
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct json *all = json_new(&a, JSON_ARRAY);
	struct err err = {0};
	int nargs, bad = 0;

	if (flags_parse(argc, argv, flags,
			"plumb doctor [OPTION]…\n\nSays what this machine lacks. Exit code 1 when "
			"a node can't run on it.",
			&nargs, &err)) {
		fprintf(stderr, "plumb doctor: %s\n", err.msg);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		struct finding f = checks[i].look(dir);

		bad += f.verdict == BAD;
		json_append(&a, all,
			    json_build(&a, "{s:s, s:s, s:s}", "name", checks[i].name, "verdict",
				       words[f.verdict], "text", f.text));
		if (strcmp(output, "json"))
			printf("%-8s %-15s %s\n", words[f.verdict], checks[i].name, f.text);
	}
	if (!strcmp(output, "json")) {
		json_write_pretty(all, 2, &text);
		printf("%s\n", buf_cstr(&text));
	}
	return bad ? 1 : 0;
}

const struct verb verb_doctor = {
	.name = "doctor", .help = "what this machine lacks to be a node", .main = doctor_main};
