/* Children and files: what goes in and out, limits, names that lead elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect(const struct proc_opts *o, int status, const char *out)
{
	struct proc_result r = {0};
	struct err err = {0};

	if (proc_run(o, &r, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(r.status, status);
	if (out && !str_is(buf_view(&r.out), out))
		fail_msg("'%s' instead of '%s'", buf_cstr(&r.out), out);
	proc_result_release(&r);
}

void test_proc__input_output_and_status(void **state)
{
	const char *const env[] = {"A=b c", NULL};
	struct proc_result r = {0};
	struct err err = {0};

	(void)state;
	expect(&(struct proc_opts){.argv = ARGV("cat"), .in = STR("hello")}, 0, "hello");
	expect(&(struct proc_opts){.argv = ARGV("cat")}, 0, "");
	expect(&(struct proc_opts){.argv = ARGV("sh", "-c", "exit 7")}, 7, "");
	expect(&(struct proc_opts){.argv = ARGV("sh", "-c", "kill -9 $$")}, 128 + 9, "");
	expect(&(struct proc_opts){.argv = ARGV("/bin/sh", "-c", "echo $A"), .env = env}, 0,
	       "b c\n");
	expect(&(struct proc_opts){.argv = ARGV("pwd"), .cwd = "/"}, 0, "/\n");
	assert_int_equal(
		proc_run(&(struct proc_opts){.argv = ARGV("sh", "-c", "echo x >&2")}, &r, &err), 0);
	assert_true(str_is(buf_view(&r.err), "x\n"));
	proc_result_release(&r);
}

void test_proc__what_cannot_start_is_an_error(void **state)
{
	struct proc_result r = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(proc_run(&(struct proc_opts){.argv = ARGV("/no/such/program")}, &r, &err),
			 -1);
	assert_int_equal(err.sys, ENOENT);
}

void test_proc__a_time_limit_kills(void **state)
{
	struct proc_opts o = {.argv = ARGV("sleep", "60"), .timeout_ns = 50 * NS_PER_MS};
	struct proc_result r = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(proc_run(&o, &r, &err), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	proc_result_release(&r);
}

void test_proc__output_is_cut_and_input_may_be_ignored(void **state)
{
	struct proc_opts o = {.argv = ARGV("sh", "-c", "head -c 300000 /dev/zero; echo e >&2"),
			      .max_output = 1000};
	AUTO(buf) struct buf much = {0};
	struct proc_result r = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(proc_run(&o, &r, &err), 0);
	assert_true(r.cut);
	assert_int_equal(r.out.n, 1000);
	assert_int_equal(r.status, 0);
	proc_result_release(&r);
	buf_reserve(&much, 1 << 20);
	memset(much.p, 'x', 1 << 20);
	much.n = 1 << 20;
	expect(&(struct proc_opts){.argv = ARGV("true"), .in = buf_view(&much)}, 0, "");
	expect(&(struct proc_opts){.argv = ARGV("wc", "-c"), .in = buf_view(&much)}, 0,
	       "1048576\n");
}

/* Nothing of ours but what it is given. */
void test_proc__descriptors_are_those_it_is_given(void **state)
{
	int ours = open("/dev/null", O_RDWR | O_CLOEXEC),
	    file = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	struct proc_fd fds[] = {{file, 5}};

	(void)state;
	expect(&(struct proc_opts){.argv = ARGV("sh", "-c", "ls /proc/self/fd | tr '\n' ' '")}, 0,
	       "0 1 2 3 "); /* 3 is the folder being listed */
	expect(&(struct proc_opts){.argv = ARGV("readlink", "/proc/self/fd/5"),
				   .fds = fds,
				   .nfds = 1},
	       0, "/etc/hostname\n");
	close(ours), close(file);
}

void test_proc__signals_are_not_blocked_in_children(void **state)
{
	sigset_t all, old;

	(void)state;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	expect(&(struct proc_opts){.argv = ARGV("sh", "-c",
						"grep SigBlk /proc/self/status | tr -d '\t'")},
	       0, "SigBlk:0000000000000000\n");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct ended {
	struct loop *l;
	int status, calls;
};

static void on_end(void *arg, struct proc_result *r)
{
	struct ended *e = arg;

	e->status = r->status;
	e->calls++;
	loop_stop(e->l);
}

void test_proc__on_a_loop(void **state)
{
	struct ended e = {.l = loop_new()};
	struct err err = {0};
	struct proc *p =
		proc_start(e.l, &(struct proc_opts){.argv = ARGV("sleep", "60")}, on_end, &e, &err);
	pid_t pid;

	(void)state;
	assert_non_null(p);
	proc_signal(p, SIGTERM);
	loop_run(e.l);
	assert_int_equal(e.status, 128 + SIGTERM);
	assert_int_equal(e.calls, 1);
	p = proc_start(e.l, &(struct proc_opts){.argv = ARGV("sleep", "60")}, on_end, &e, &err);
	pid = proc_pid(p);
	proc_cancel(p, true);
	for (int i = 0; i < 3000 && !kill(pid, 0); i++) {
		loop_turn(e.l, 20);
		waitpid(pid, NULL, WNOHANG);
	}
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(e.calls, 1);
	loop_free(e.l);
}

/* ---- files ---- */

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/plumb-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static char *at(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void remove_dir(void)
{
	struct err err = {0};

	assert_int_equal(fs_remove_tree(dir, &err), 0);
	assert_false(fs_exists(dir));
	assert_int_equal(fs_remove_tree(dir, &err), 0); /* absent is fine */
}

void test_fs__written_whole_or_not_at_all(void **state)
{
	AUTO(buf) struct buf b = {0};
	struct err err = {0};
	struct stat st;

	(void)state;
	make_dir();
	assert_int_equal(fs_write(at("f"), STR("one"), 0600, &err), 0);
	assert_int_equal(fs_write(at("f"), STR("two\0x"), 0640, &err), 0);
	assert_int_equal(stat(at("f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(fs_read(at("f"), 5, &b, &err), 0);
	assert_true(str_eq(buf_view(&b), STR("two\0x")));
	assert_int_equal(fs_read(at("f"), 4, &b, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(fs_read(at("none"), 4, &b, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_int_equal(fs_write(at("no/dir"), STR("x"), 0600, &err), -1);
	remove_dir();
}

void test_fs__trees_are_removed_without_following_links(void **state)
{
	struct err err = {0};
	char outside[] = "/tmp/plumb-test-outside-XXXXXX";
	char path[300];

	(void)state;
	make_dir();
	assert_non_null(mkdtemp(outside));
	snprintf(path, sizeof(path), "%s/kept", outside);
	assert_int_equal(fs_write(path, STR("x"), 0600, &err), 0);
	assert_int_equal(fs_mkdirs(at("a/b/c"), 0700, &err), 0);
	assert_int_equal(fs_mkdirs(at("a/b/c"), 0700, &err), 0);
	assert_int_equal(symlink(outside, at("a/link")), 0);
	assert_int_equal(fs_write(at("a/b/f"), STR("x"), 0000, &err), 0);
	remove_dir();
	assert_true(fs_exists(path));
	assert_int_equal(fs_remove_tree(outside, &err), 0);
}

void test_fs__no_name_leads_out_of_a_root(void **state)
{
	static const char *const bad[] = {"..", "../x", "a/../..", "/etc", "", "a//b", "."};
	struct err err = {0};
	int root, fd;
	struct stat in, out;

	(void)state;
	make_dir();
	assert_int_equal(symlink("/etc/passwd", at("absolute")), 0);
	assert_int_equal(symlink("../../../../etc/passwd", at("relative")), 0);
	root = open(dir, O_DIRECTORY | O_CLOEXEC);
	assert_true(root >= 0);
	assert_int_equal(fs_open_in(root, "absolute", O_RDONLY, 0, &err), -1);
	assert_int_equal(fs_open_in(root, "relative", O_RDONLY, 0, &err), -1);
	fd = fs_open_in(root, "../../etc/../..", O_RDONLY | O_DIRECTORY, 0, &err);
	if (fd >= 0) { /* the root is all there is above */
		assert_int_equal(fstat(fd, &in), 0);
		assert_int_equal(stat(dir, &out), 0);
		assert_int_equal(in.st_ino, out.st_ino);
		close(fd);
	}
	assert_int_equal(fs_mkdirs_in(root, "x/y", 0700, &err), 0);
	assert_true(fs_exists(at("x/y")));
	close(root);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char *joined = fs_join(dir, str_c(bad[i]), &err);

		if (joined)
			fail_msg("'%s' became '%s'", bad[i], joined);
	}
	char *fine = fs_join(dir, STR("a/b..c"), &err);
	assert_non_null(fine);
	free(fine);
	remove_dir();
}
