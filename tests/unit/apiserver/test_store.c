/* The stores: what was committed is there after anything; what was not is not. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/store/store.h"
#include "lib/base/fault.h"
#include "lib/os/fs.h"

static char dir[] = "/tmp/plumb-store-XXXXXX";
static char path[96];

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/plumb-store-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/store.db", dir);
}

static void end(void)
{
	assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

static struct store *reopen(void)
{
	struct err err = {0};
	struct store *s = store_sqlite_open(path, &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

static int put(struct store *s, const char *key, const char *value, uint64_t revision,
	       struct err *err)
{
	struct store_write w = {str_c(key), str_c(value), revision};

	return s->ops->commit(s, &w, 1, revision, err);
}

static int list_row(void *arg, struct str key, struct str value, uint64_t revision)
{
	buf_printf(arg, "%.*s=%.*s@%llu ", STR_ARG(key), STR_ARG(value),
		   (unsigned long long)revision);
	return 0;
}

static void holds(struct store *s, const char *want)
{
	AUTO(buf) struct buf rows = {0};

	assert_int_equal(s->ops->load(s, list_row, &rows, NULL), 0);
	assert_string_equal(buf_cstr(&rows), want);
}

static void play(struct store *s)
{
	struct store_write batch[] = {{STR("/c//x"), STR("1"), 3},
				      {STR("/a//x"), STR_NONE, 4},
				      {STR("/b//x"), STR("2"), 5}};

	assert_int_equal(put(s, "/a//x", "old", 1, NULL), 0);
	assert_int_equal(put(s, "/b//x", "1", 2, NULL), 0);
	assert_int_equal(s->ops->commit(s, batch, 3, 5, NULL), 0);
	assert_int_equal(s->ops->revision(s), 5);
	holds(s, "/b//x=2@5 /c//x=1@3 ");
}

void test_store__memory_and_sqlite_do_the_same(void **state)
{
	struct store *m = store_memory_new(), *s;

	(void)state;
	begin();
	s = reopen();
	play(m);
	play(s);
	store_free(m);
	store_free(s);
	s = reopen();
	assert_int_equal(s->ops->revision(s), 5);
	holds(s, "/b//x=2@5 /c//x=1@3 ");
	store_free(s);
	end();
}

/* Commits one revision after the other and says each on the pipe once it is acknowledged. */
static void write_for_ever(int out)
{
	struct store *s = reopen();

	for (uint64_t i = s->ops->revision(s) + 1;; i++) {
		char key[32];

		snprintf(key, sizeof(key), "/k//%08llu", (unsigned long long)i);
		if (put(s, key, "v", i, NULL) || write(out, &i, sizeof(i)) != sizeof(i))
			_exit(1);
	}
}

static int count_row(void *arg, struct str key, struct str value, uint64_t revision)
{
	(void)key;
	(void)value;
	(void)revision;
	++*(uint64_t *)arg;
	return 0;
}

void test_store__kill_9_loses_nothing_that_was_acknowledged(void **state)
{
	uint64_t acknowledged = 0;

	(void)state;
	begin();
	for (int round = 0; round < 25; round++) {
		uint64_t there = 0, got;
		struct store *s;
		int fds[2];
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (!child)
			write_for_ever(fds[1]);
		close(fds[1]);
		for (int i = 0; i < 1 + round * 3 && read(fds[0], &got, sizeof(got)) == sizeof(got);
		     i++)
			acknowledged = got;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (read(fds[0], &got, sizeof(got)) == sizeof(got))
			acknowledged = got;
		close(fds[0]);
		s = reopen();
		assert_int_equal(s->ops->load(s, count_row, &there, NULL), 0);
		assert_true(s->ops->revision(s) >= acknowledged);
		assert_int_equal(there, s->ops->revision(s)); /* all of it, and no hole */
		store_free(s);
	}
	end();
}

void test_store__a_full_disk_is_an_error_and_changes_nothing(void **state)
{
	struct err err = {0};
	struct store *s;

	(void)state;
	begin();
	s = reopen();
	assert_int_equal(put(s, "/a//x", "1", 1, NULL), 0);
	setenv("PLUMB_FAULT", "store.full=err@1!", 1);
	fault_init();
	assert_int_equal(put(s, "/a//x", "2", 2, &err), -1);
	assert_int_equal(err.code, ERR_NO_SPACE);
	holds(s, "/a//x=1@1 ");
	assert_int_equal(put(s, "/a//x", "3", 2, NULL), 0); /* space returned */
	holds(s, "/a//x=3@2 ");
	unsetenv("PLUMB_FAULT");
	store_free(s);
	end();
}

void test_store__foreign_and_damaged_files_are_refused(void **state)
{
	static const char *const files[] = {"not a database at all, but long enough to be looked "
					    "at as one ........................."
					    "......................................................"
					    "........................................",
					    "SQLite format 3"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct err err = {0};

		begin();
		assert_int_equal(fs_write(path, str_c(files[i]), 0600, NULL), 0);
		assert_null(store_sqlite_open(path, &err));
		assert_true(err.msg[0]);
		end();
	}
}

void test_store__backup_is_a_whole_store_and_never_overwrites(void **state)
{
	struct err err = {0};
	char copy[64];
	struct store *s;

	(void)state;
	begin();
	s = reopen();
	assert_int_equal(put(s, "/a//x", "1", 1, NULL), 0);
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	assert_int_equal(store_copy(s, copy, &err), 0);
	assert_int_equal(store_copy(s, copy, &err), -1);
	store_free(s);
	snprintf(path, sizeof(path), "%s", copy);
	s = reopen();
	holds(s, "/a//x=1@1 ");
	assert_int_equal(s->ops->revision(s), 1);
	store_free(s);
	end();
}
