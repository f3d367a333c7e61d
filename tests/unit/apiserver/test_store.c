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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

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

static int ignore_row(void *arg, struct str key, struct str value, uint64_t revision)
{
	(void)arg;
	(void)key;
	(void)value;
	(void)revision;
	return 0;
}

/* Bits that a disk turned, where the database's own checks see nothing wrong. */
void test_store__damage_inside_a_row_is_refused_with_advice(void **state)
{
	AUTO(buf) struct buf file = {0};
	struct err err = {0};
	struct store *s;
	ptrdiff_t at;

	(void)state;
	begin();
	s = reopen();
	assert_int_equal(put(s, "/a//x", "this stands in the row", 1, NULL), 0);
	store_free(s);
	assert_int_equal(fs_read(path, 1 << 20, &file, NULL), 0);
	at = str_find(buf_view(&file), STR("stands in"));
	assert_true(at > 0);
	file.p[at] ^= 1;
	assert_int_equal(fs_write(path, buf_view(&file), 0600, NULL), 0);
	s = reopen();
	assert_int_equal(s->ops->load(s, ignore_row, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_non_null(strstr(err.msg, "/a//x"));
	assert_non_null(strstr(err.msg, "plumb restore"));
	store_free(s);
	end();
}

void test_store__the_first_format_is_taken_over(void **state)
{
	sqlite3 *db;
	struct store *s;

	(void)state;
	begin();
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db,
			     "CREATE TABLE object(key TEXT PRIMARY KEY, revision INTEGER NOT NULL,"
			     "value BLOB NOT NULL) WITHOUT ROWID;"
			     "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) "
			     "WITHOUT ROWID;"
			     "INSERT INTO meta VALUES('revision', 7);"
			     "INSERT INTO object VALUES('/a//x', 7, 'old');"
			     "PRAGMA application_id=1349283170; PRAGMA user_version=1",
			     NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	s = reopen();
	holds(s, "/a//x=old@7 ");
	assert_int_equal(put(s, "/a//y", "new", 8, NULL), 0);
	store_free(s);
	s = reopen();
	holds(s, "/a//x=old@7 /a//y=new@8 ");
	store_free(s);
	end();
}

/* Keys number from … to, all of that value (NULL = deleted), in batches: each commit is a sync. */
static void put_many(struct store *s, uint64_t from, uint64_t to, const char *value,
		     uint64_t revision)
{
	char keys[100][32];
	struct store_write w[100];

	while (from <= to) {
		size_t n = 0;

		for (; n < ARRAY_LEN(w) && from <= to; n++, from++) {
			snprintf(keys[n], sizeof(keys[n]), "/k//%06llu", (unsigned long long)from);
			w[n] = (struct store_write){str_c(keys[n]), str_c(value), ++revision};
		}
		assert_int_equal(s->ops->commit(s, w, n, revision, NULL), 0);
	}
}

/* After a great deletion the file gets smaller, a slice at a time. */
void test_store__freed_space_goes_back(void **state)
{
	static char value[4000];
	struct stat before, after;
	struct store *s;
	int more, rounds = 0;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	begin();
	s = reopen();
	put_many(s, 1, 4000, value, 0);
	while ((more = s->ops->maintain(s, NULL)) > 0)
		;
	assert_int_equal(more, 0);
	assert_int_equal(stat(path, &before), 0);
	put_many(s, 1, 4000, NULL, 4000);
	while ((more = s->ops->maintain(s, NULL)) > 0)
		rounds++;
	assert_int_equal(more, 0);
	assert_true(rounds > 3);
	assert_int_equal(stat(path, &after), 0);
	assert_true(after.st_size < before.st_size / 2);
	store_free(s);
	end();
}

/* What is committed while a copy is being made is in the copy. */
void test_store__a_backup_goes_on_under_writes(void **state)
{
	static char value[4000];
	struct store_backup *b;
	struct store *s;
	char copy[64];
	uint64_t i = 1500, there = 0;
	int more = 1, steps = 0;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	begin();
	s = reopen();
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	put_many(s, 1, i, value, 0);
	b = s->ops->backup(s, copy, NULL);
	assert_non_null(b);
	for (; more > 0; steps++) {
		char key[32];

		snprintf(key, sizeof(key), "/k//%06llu", (unsigned long long)++i);
		assert_int_equal(put(s, key, value, i, NULL), 0);
		more = s->ops->backup_step(b, NULL);
	}
	assert_int_equal(more, 0);
	assert_true(steps > 3);
	s->ops->backup_end(b);
	store_free(s);
	s = store_sqlite_verify(copy, NULL);
	assert_non_null(s);
	assert_int_equal(s->ops->load(s, count_row, &there, NULL), 0);
	assert_int_equal(there, i);
	assert_int_equal(s->ops->revision(s), i);
	store_free(s);
	end();
}

void test_store__a_backup_that_is_given_up_leaves_nothing(void **state)
{
	struct store_backup *b;
	struct store *s;
	char copy[64];

	(void)state;
	begin();
	s = reopen();
	snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	b = s->ops->backup(s, copy, NULL);
	assert_non_null(b);
	s->ops->backup_end(b);
	assert_false(fs_exists(copy));
	assert_int_equal(put(s, "/a//x", "1", 1, NULL), 0);
	store_free(s);
	end();
}
