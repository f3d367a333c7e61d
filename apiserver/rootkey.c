/*
 * The root key's sources. What comes from elsewhere is 32 bytes a key, raw or as base64, the first
 * one seals. Must never make a key where there is a store already, never show what it read, and
 * never fall back from one source to another. At start, blocking; what is read is wiped.
 */
#include "apiserver/rootkey.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"

#define COMMAND_TIMEOUT (30 * NS_PER_S)

enum { KEY = 32, SOURCE_MAX = 8192, ARGS_MAX = 32 };

/* Raw keys, or base64 of such. */
static struct atrest *from_text(struct str text, struct err *err)
{
	struct buf secret = {0};
	struct atrest *a;

	if (base64_decode(str_trim(text), &secret) == 0 && secret.n && secret.n % KEY == 0)
		text = buf_view(&secret);
	a = atrest_from(text, err);
	buf_wipe(&secret);
	return a;
}

static struct atrest *from_credential(const char *name, struct err *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	AUTO(free) char *path = NULL;
	struct atrest *a = NULL;
	struct buf secret = {0};
	struct stat st;

	if (!dir || !*dir) {
		err_set(err, ERR_NOT_FOUND,
			"no CREDENTIALS_DIRECTORY: the unit needs LoadCredential= or "
			"LoadCredentialEncrypted=%s",
			name);
		return NULL;
	}
	if (!*name || strchr(name, '/')) {
		err_set(err, ERR_BAD_REQUEST, "not a credential's name");
		return NULL;
	}
	path = xasprintf("%s/%s", dir, name);
	if (stat(path, &st) != 0)
		err_sys(err, "%s", path);
	else if (st.st_mode & 07)
		err_set(err, ERR_FORBIDDEN, "%s: everybody may read it (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	else if (fs_read(path, SOURCE_MAX, &secret, err) == 0)
		a = from_text(buf_view(&secret), err);
	buf_wipe(&secret);
	return a;
}

/* Words between spaces: no shell. */
static struct atrest *from_command(const char *command, struct err *err)
{
	AUTO(free) char *words = xstrdup(command);
	const char *argv[ARGS_MAX + 1] = {NULL};
	struct proc_opts o = {.argv = argv,
			      .timeout_ns = COMMAND_TIMEOUT,
			      .max_output = SOURCE_MAX,
			      .die_with_us = true};
	struct proc_result r = {.status = 0};
	struct atrest *a = NULL;
	char *rest = words;
	size_t n = 0;

	while (n < ARGS_MAX && (argv[n] = strsep(&rest, " ")) != NULL)
		n += *argv[n] != '\0';
	argv[n] = NULL;
	if (!n || rest) {
		err_set(err, ERR_BAD_REQUEST, "command: which program, with at most %d words?",
			ARGS_MAX);
		return NULL;
	}
	if (proc_run(&o, &r, err) == 0) {
		if (r.status)
			err_set(err, ERR_UNAVAILABLE, "it ended with %d: %.200s", r.status,
				buf_cstr(&r.err));
		else
			a = from_text(buf_view(&r.out), err);
	}
	buf_wipe(&r.out);
	proc_result_release(&r);
	return a;
}

/* The file's path, or NULL for another source. */
static const char *file_of(const struct rootkey *k)
{
	if (!k->source || !*k->source)
		return k->usual;
	return str_starts(str_c(k->source), STR("file:")) ? k->source + 5 : NULL;
}

static struct atrest *from_file(const struct rootkey *k, const char *path, struct err *err)
{
	if (!k->create && !fs_exists(path)) {
		err_set(err, ERR_NOT_FOUND,
			"%s isn't there, and the store is encrypted under it: put it back (a copy "
			"of root.key, or FILE.root-key of a backup); without it the Secrets are "
			"lost",
			path);
		return NULL;
	}
	return atrest_load(path, k->create, err);
}

struct atrest *rootkey_load(const struct rootkey *k, struct err *err)
{
	const char *path = file_of(k);
	struct str s = str_c(k->source ? k->source : "");
	struct atrest *a = NULL;

	if (path)
		a = from_file(k, path, err);
	else if (str_starts(s, STR("credential:")))
		a = from_credential(k->source + 11, err);
	else if (str_starts(s, STR("command:")))
		a = from_command(k->source + 8, err);
	else
		err_set(err, ERR_BAD_REQUEST,
			"must be file:PATH, credential:NAME or command:PROGRAM ARG…");
	if (!a && !path)
		err_wrap(err, "root key %s", k->source);
	return a;
}

int rootkey_rotate(const struct rootkey *k, struct err *err)
{
	const char *path = file_of(k);

	if (!path)
		return err_set(err, ERR_UNSUPPORTED,
			       "the root key comes from %s: put a new one in front of it there and "
			       "start again",
			       k->source);
	return atrest_rotate(path, err);
}
