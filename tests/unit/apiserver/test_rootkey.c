/* Where the root key comes from, and what is said when it doesn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "apiserver/rootkey.h"
#include "lib/os/fs.h"

static const char key[] = "0123456789abcdef0123456789abcdef";
static char dir[64], path[100];

static void begin(void)
{
	snprintf(dir, sizeof(dir), "/tmp/plumb-test-rootkey-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/root.key", dir);
}

static void end(void)
{
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* Loads; what was said against it, or NULL. Nothing that was read is in it. */
static const char *load(const char *source, bool create)
{
	static struct err err;
	struct rootkey k = {source, path, create};
	struct atrest *a;

	err = (struct err){0};
	a = rootkey_load(&k, &err);
	atrest_free(a);
	assert_null(strstr(err.msg, key));
	return a ? NULL : err.msg;
}

static void put(const char *text, mode_t mode)
{
	assert_int_equal(fs_write(path, str_c(text), 0600, NULL), 0);
	assert_int_equal(chmod(path, mode), 0);
}

void test_rootkey__a_file(void **state)
{
	(void)state;
	begin();
	assert_non_null(strstr(load(NULL, false), "isn't there"));
	assert_null(load(NULL, true)); /* with the store */
	assert_null(load(NULL, false));
	put(key, 0640);
	assert_non_null(strstr(load(NULL, false), "others may read it (mode 0640): must be 0600"));
	put("short", 0600);
	assert_non_null(strstr(load(NULL, false), "holds 5 bytes"));
	end();
}

void test_rootkey__a_credential(void **state)
{
	(void)state;
	begin();
	assert_non_null(strstr(load("credential:root.key", false), "LoadCredential"));
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_non_null(strstr(load("credential:root.key", false), "root.key"));
	put("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n", 0440);
	assert_null(load("credential:root.key", false));
	put(key, 0444);
	assert_non_null(strstr(load("credential:root.key", false), "everybody may read it"));
	assert_non_null(load("credential:../root.key", false));
	end();
}

void test_rootkey__a_command(void **state)
{
	struct rootkey k = {"command:/bin/true", path, false};
	struct err err = {0};
	char command[200];

	(void)state;
	begin();
	put(key, 0600);
	snprintf(command, sizeof(command), "command:/bin/cat  %s", path);
	assert_null(load(command, false));
	assert_non_null(strstr(load("command:/bin/false", false), "ended with 1"));
	assert_non_null(strstr(load("command:/bin/true", false), "holds 0 bytes"));
	assert_non_null(load("command:/nowhere/at/all", false));
	assert_non_null(load("command:", false));
	assert_int_equal(rootkey_rotate(&k, &err), -1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(load("vault:x", false), "must be file:"));
	end();
}
