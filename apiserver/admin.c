/*
 * Backups and the root key, over the API: only for the group system:masters, whatever RBAC says,
 * since a backup is everybody's data. A backup is made in slices between turns into a file that
 * has no name any more when the first byte leaves; a client that stops reading holds up nobody.
 * The core's thread.
 */
#include "apiserver/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/front-internal.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"

#define CHUNK (128 << 10)
#define WAIT (2 * NS_PER_MS) /* for a client that reads more slowly than we do */

struct admin {
	struct admin_opts o;
	/* the backup that runs */
	struct front_req *req; /* NULL = none */
	struct store_backup *copy;
	char *path; /* until it has no name any more */
	int fd;
	uint64_t revision;
	struct loop_timer timer;
};

static bool is_master(const struct front_req *r)
{
	return user_in_group(&r->who.user, "system:masters");
}

/* ---- backup ---- */

static void backup_clean(struct admin *a)
{
	loop_timer_cancel(a->o.loop, &a->timer);
	if (a->copy)
		a->o.store->ops->backup_end(a->copy);
	a->copy = NULL;
	if (a->path)
		(void)unlink(a->path);
	free(a->path);
	a->path = NULL;
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->req = NULL;
}

static void backup_fail(struct admin *a, const struct err *err)
{
	struct front_req *r = a->req;

	backup_clean(a);
	log_error("backup failed", "error", err->msg);
	front_fail(r, err);
}

/* Too short for what the head said: the client knows that it isn't whole. */
static void backup_break(struct admin *a)
{
	struct front_req *r = a->req;

	backup_clean(a);
	if (r->streaming)
		http_stream_end(r->http);
	front_done(r, 200);
}

static void on_send(struct loop *l, struct loop_timer *t)
{
	struct admin *a = CONTAINER_OF(t, struct admin, timer);
	struct front_req *r = a->req;
	struct buf bytes = {0};
	struct block *b;
	ssize_t n;

	if (http_stream_backlog(r->http) > HTTP_BACKLOG_HIGH) {
		loop_timer_set(l, t, WAIT, on_send);
		return;
	}
	n = read(a->fd, buf_reserve(&bytes, CHUNK), CHUNK);
	if (n < 0) {
		buf_release(&bytes);
		log_error("backup failed", "error", log_fmt("errno %d", errno));
		backup_break(a);
		return;
	}
	if (!n) {
		buf_release(&bytes);
		log_info("backup sent", "revision", log_i64((int64_t)a->revision));
		backup_clean(a);
		http_stream_end(r->http);
		front_done(r, 200);
		return;
	}
	bytes.n = (size_t)n;
	b = block_take(&bytes);
	int gone = http_stream_write(r->http, &b, 1);
	block_unref(b);
	if (gone)
		backup_break(a);
	else
		loop_timer_set(l, t, 0, on_send);
}

static void begin_sending(struct admin *a)
{
	struct err err = {0};
	char size[24];
	struct http_header heads[] = {{STR("Cache-Control"), STR("no-store")},
				      {STR("X-Plumb-Size"), STR_NONE}};
	struct stat st;

	a->fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (a->fd < 0 || fstat(a->fd, &st)) {
		err_sys(&err, "open the copy");
		backup_fail(a, &err);
		return;
	}
	(void)unlink(a->path);
	free(a->path);
	a->path = NULL;
	snprintf(size, sizeof(size), "%lld", (long long)st.st_size);
	heads[1].value = str_c(size);
	a->req->streaming = true;
	front_uncount(a->req);
	http_stream_begin(a->req->http,
			  &(struct http_reply){.status = 200,
					       .content_type = "application/vnd.sqlite3",
					       .headers = heads,
					       .nheaders = ARRAY_LEN(heads)});
	loop_timer_set(a->o.loop, &a->timer, 0, on_send);
}

static void on_step(struct loop *l, struct loop_timer *t)
{
	struct admin *a = CONTAINER_OF(t, struct admin, timer);
	struct err err = {0};
	int more = a->o.store->ops->backup_step(a->copy, &err);

	if (more > 0) {
		loop_timer_set(l, t, 0, on_step);
		return;
	}
	if (more < 0) {
		backup_fail(a, &err);
		return;
	}
	a->o.store->ops->backup_end(a->copy);
	a->copy = NULL;
	a->revision = a->o.store->ops->revision(a->o.store);
	begin_sending(a);
}

static void serve_backup(struct admin *a, struct front_req *r)
{
	struct err err = {0};
	uint64_t random;

	if (a->req) {
		err_set(&err, ERR_TOO_MANY, "another backup is being made");
		err.retry_after_s = 5;
		front_fail(r, &err);
		return;
	}
	random_bytes(&random, sizeof(random));
	a->path = xasprintf("%s/backup-%016llx.tmp", a->o.data_dir, (unsigned long long)random);
	a->copy = a->o.store->ops->backup(a->o.store, a->path, &err);
	a->req = r;
	r->state = FRONT_ELSEWHERE;
	if (a->copy)
		loop_timer_set(a->o.loop, &a->timer, 0, on_step);
	else
		backup_fail(a, &err);
}

/* ---- the root key ---- */

static void serve_rotation(struct admin *a, struct front_req *r)
{
	struct err err = {0};
	struct atrest *next = NULL;

	if (!rootkey_rotate(a->o.rootkey, &err))
		next = rootkey_load(a->o.rootkey, &err);
	if (!next) {
		front_fail(r, &err);
		return;
	}
	core_reseal_start(a->o.core, next);
	atrest_free(*a->o.atrest);
	*a->o.atrest = next;
	tidy_wake(a->o.tidy);
	log_info("new root key: what is encrypted is being written again under it");
	front_json(r, 200, json_build(&r->http->arena, "{s:s}", "status", "rotated"));
}

/* ---- which ---- */

bool admin_serve(struct admin *a, struct front_req *r)
{
	static const struct {
		const char *path, *method;
		void (*serve)(struct admin *a, struct front_req *r);
	} rows[] = {{"/plumb/v1/backup", "GET", serve_backup},
		    {"/plumb/v1/root-key", "POST", serve_rotation}};
	struct err err = {0};

	for (size_t i = 0; a && i < ARRAY_LEN(rows); i++) {
		if (!str_is(r->http->path, rows[i].path))
			continue;
		if (!is_master(r))
			err_set(&err, ERR_FORBIDDEN,
				"forbidden: only the group system:masters may ask for this");
		else if (!str_is(r->http->method, rows[i].method))
			err_set(&err, ERR_METHOD_NOT_ALLOWED, "only %s is allowed here",
				rows[i].method);
		if (err.code)
			front_fail(r, &err);
		else
			rows[i].serve(a, r);
		return true;
	}
	return false;
}

struct admin *admin_new(const struct admin_opts *o)
{
	struct admin *a = xalloc(sizeof(*a));

	a->o = *o;
	a->fd = -1;
	return a;
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	if (a->req)
		backup_break(a);
	free(a);
}
