/*
 * `plumb backup FILE`: everything the API server stores, in one SQLite file: from the running
 * server over its API, or from the data directory of one that is stopped. The file appears under
 * its name once it is whole, durable and checked. Secrets in it stay encrypted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "apiserver/main.h"
#include "cli/datadir.h"
#include "cli/sealkey.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/base/timefmt.h"
#include "lib/kube/client-http.h"
#include "lib/os/fs.h"

#define HOURS_MAX 6 /* for the whole download */

struct backup {
	struct sealkey_opts where;
	bool with_key;
	const char *file;
	char *part; /* until it is whole */
	/* the download */
	struct loop *loop;
	int fd;
	int64_t size, got;
	struct err err;
};

/* ---- from the running server ---- */

static void on_head(void *arg, const struct http_answer *a)
{
	struct backup *b = arg;

	if (str_to_i64(http_header(&a->headers, "X-Plumb-Size"), &b->size))
		b->size = -1;
}

static void on_data(void *arg, struct str bytes)
{
	struct backup *b = arg;

	for (size_t done = 0; done < bytes.n && !b->err.code;) {
		ssize_t n = write(b->fd, bytes.p + done, bytes.n - done);
		if (n < 0 && errno != EINTR)
			err_sys(&b->err, "write %s", b->part);
		done += n > 0 ? (size_t)n : 0;
	}
	b->got += (int64_t)bytes.n;
}

static void on_done(void *arg, const struct http_answer *a)
{
	struct backup *b = arg;

	if (!b->err.code) {
		if (a->err && a->err->code)
			b->err = *a->err;
		else if (a->status / 100 != 2)
			err_set(&b->err, err_from_http(a->status, NULL), "the server says %d: %.*s",
				a->status, (int)MIN(a->body.n, 300), a->body.p ? a->body.p : "");
		else if (b->got != b->size)
			err_set(&b->err, ERR_IO,
				"%lld of %lld bytes came: the server's log says why",
				(long long)b->got, (long long)b->size);
	}
	loop_stop(b->loop);
}

static int download(struct backup *b, struct err *err)
{
	struct client *c = admin_client(&b->where, &b->loop, err);
	struct http_header headers[4];

	if (!c) {
		if (b->loop)
			loop_free(b->loop);
		return -1;
	}
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);
	b->fd = open(b->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd < 0) {
		err_sys(&b->err, "%s", b->part);
	} else {
		http_client_call(h->http,
				 &(struct http_call){
					 .method = "GET",
					 .path = STR("/plumb/v1/backup"),
					 .headers = headers,
					 .nheaders = client_http_headers(h, "*/*", NULL, headers),
					 .timeout_ns = HOURS_MAX * 3600 * NS_PER_S,
					 .head = on_head,
					 .data = on_data,
					 .done = on_done,
					 .arg = b});
		loop_run(b->loop);
		if (!b->err.code && fsync(b->fd))
			err_sys(&b->err, "sync %s", b->part);
		close(b->fd);
	}
	client_free(c);
	loop_free(b->loop);
	if (b->err.code && err)
		*err = b->err;
	return b->err.code ? -1 : 0;
}

/* ---- which way, and what is told ---- */

static int take(struct backup *b, struct datadir *d, struct err *err)
{
	int rc;

	if (*b->where.kubeconfig || datadir_owner(d))
		return download(b, err);
	if (datadir_lock(d, err))
		return -1;
	rc = backup_stopped(d->path, b->part, err);
	datadir_release(d);
	return rc;
}

/* Under its own name, in nobody's place. */
static int publish(const char *from, const char *to, struct err *err)
{
	AUTO(free) char *dir = xstrdup(to);
	char *slash = strrchr(dir, '/');

	if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1 /* RENAME_NOREPLACE */))
		return err_sys(err, "%s", to);
	if (slash)
		slash[slash == dir] = 0;
	AUTO(fd) int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? err_sys(err, "sync %s", to) : 0;
}

static int copy_key(struct backup *b, struct datadir *d, struct err *err)
{
	AUTO(free) char *to = xasprintf("%s.root-key", b->file);
	struct buf key = {0};
	int rc = fs_read(datadir_path(d, "root.key"), 4096, &key, err);

	if (!rc && fs_exists(to))
		rc = err_set(err, ERR_EXISTS, "%s exists", to);
	if (!rc)
		rc = fs_write(to, buf_view(&key), 0600, err);
	buf_wipe(&key);
	if (!rc)
		fprintf(stderr,
			"plumb backup: %s opens every Secret in the backup: keep it apart from "
			"it\n",
			to);
	return rc;
}

static int run(struct backup *b, struct err *err)
{
	struct datadir d = {.lock = -1};
	struct backup_facts facts;
	bool local = !datadir_open(&d, b->where.data_dir, false, err);

	if (!local && (!*b->where.kubeconfig || b->with_key))
		return -1;
	if (fs_exists(b->file))
		return err_set(err, ERR_EXISTS, "%s exists", b->file);
	if (take(b, &d, err) || backup_verify(b->part, &facts, err) ||
	    publish(b->part, b->file, err)) {
		(void)unlink(b->part);
		return -1;
	}
	printf("%s: %zu objects at revision %llu, %zu of them encrypted\n", b->file, facts.objects,
	       (unsigned long long)facts.revision, facts.secrets);
	if (b->with_key)
		return copy_key(b, &d, err);
	if (facts.secrets)
		printf("What is encrypted opens with the instance's root.key only, which is not in "
		       "it: keep a copy of that in another place (--with-root-key makes one).\n");
	return 0;
}

static int backup_main(int argc, char **argv)
{
	struct backup b = {.where = {"", "", DATADIR_DEFAULT}};
	const struct flag flags[] = {{"data-dir", 0, FLAG_STRING, &b.where.data_dir, "DIR",
				      "the instance's data directory"},
				     {"kubeconfig", 0, FLAG_STRING, &b.where.kubeconfig, "FILE",
				      "ask this server, as a member of system:masters"},
				     {"with-root-key", 0, FLAG_BOOL, &b.with_key, NULL,
				      "also write FILE.root-key, which opens the Secrets"},
				     {0}};
	struct err err = {0};
	int nargs, rc;

	if (flags_parse(
		    argc, argv, flags,
		    "plumb backup FILE\n\nWrites everything that the API server stores into one "
		    "file, while it runs or not. The keys in DIR/pki are not part of it.",
		    &nargs, &err) ||
	    (nargs != 1 && err_set(&err, ERR_BAD_REQUEST, "into which file?"))) {
		fprintf(stderr, "plumb backup: %s\n", err.msg);
		return 2;
	}
	b.file = argv[0];
	b.part = xasprintf("%s.part", b.file);
	rc = run(&b, &err);
	if (rc)
		fprintf(stderr, "plumb backup: %s\n", err.msg);
	free(b.part);
	return rc ? 1 : 0;
}

const struct verb verb_backup = {
	.name = "backup", .help = "write the API server's store into a file", .main = backup_main};
