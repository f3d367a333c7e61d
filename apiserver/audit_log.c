/*
 * The audit log's file: a bounded queue of lines, and a thread that writes them, begins another
 * file when one is full, and removes old ones. Must never let a full disk stop the server: what
 * cannot be written is counted and gone. Whoever puts lines waits only when told so, and then for
 * the disk. Lines are the queue's own copies.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "apiserver/audit.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"

#define QUEUE_MAX (8 << 20)
#define SIZE_MB 100
#define WAIT_S 5 /* at most, for room */

struct audit_log {
	struct audit_log_opts o;
	char *path;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled, emptied;
	struct buf queue;
	size_t nqueued;
	bool stop;
	/* the thread's */
	int fd;
	int64_t size;
	bool failing;
	struct metric_value *events, *errors;
};

/* ---- files ---- */

static int open_file(struct audit_log *l, struct err *err)
{
	struct stat st;

	if (!strcmp(l->path, "-")) {
		l->fd = STDOUT_FILENO;
		return 0;
	}
	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0)
		return err_sys(err, "open %s", l->path);
	l->size = fstat(l->fd, &st) ? 0 : st.st_size;
	return 0;
}

/* "audit.log" → "audit-2026-01-02T15-04-05.000000.log", as others' tools look for them. */
static void split_name(const char *path, struct str *dir, struct str *stem, struct str *ext)
{
	struct str name = str_c(path);

	*dir = STR(".");
	if (strchr(path, '/')) {
		str_rcut(str_c(path), '/', dir, &name);
		if (!dir->n)
			*dir = STR("/");
	}
	if (str_rcut(name, '.', stem, ext))
		return;
	*stem = name;
	*ext = STR_NONE;
}

static bool is_backup(struct str name, struct str stem, struct str ext)
{
	if (!str_starts(name, stem) || name.n < stem.n + 21 || name.p[stem.n] != '-')
		return false;
	return !ext.n || str_ends(name, ext);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool too_old(const struct audit_log *l, int dir, const char *name)
{
	struct stat st;

	return l->o.max_age_days && !fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       time(NULL) - st.st_mtime > l->o.max_age_days * 24 * 3600;
}

static void remove_old(struct audit_log *l)
{
	struct str dir, stem, ext;
	char **names = NULL;
	size_t n = 0;

	split_name(l->path, &dir, &stem, &ext);
	char *where = xstrndup(dir.p, dir.n);
	DIR *d = opendir(where);
	free(where);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (!is_backup(str_c(e->d_name), stem, ext))
			continue;
		names = xreallocarray(names, n + 1, sizeof(*names));
		names[n++] = xstrdup(e->d_name);
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name); /* oldest first */
	for (size_t i = 0; i < n; i++) {
		bool over = l->o.max_backups && n - i > (size_t)l->o.max_backups;
		if (over || too_old(l, dirfd(d), names[i]))
			unlinkat(dirfd(d), names[i], 0);
		free(names[i]);
	}
	free(names);
	closedir(d);
}

static void rotate(struct audit_log *l)
{
	struct timespec ts;
	char now[TIME_TEXT_MAX];
	struct str dir, stem, ext;

	clock_gettime(CLOCK_REALTIME, &ts);
	struct str at = time_format_micro(ts.tv_sec * NS_PER_S + ts.tv_nsec, now);
	for (size_t i = 0; i < at.n; i++)
		if (now[i] == ':')
			now[i] = '-';
	at.n -= 1; /* Z */
	split_name(l->path, &dir, &stem, &ext);
	char *to = xasprintf("%.*s/%.*s-%.*s%s%.*s", STR_ARG(dir), STR_ARG(stem), STR_ARG(at),
			     ext.n ? "." : "", STR_ARG(ext));
	close(l->fd);
	l->fd = -1;
	if (rename(l->path, to))
		log_warn("audit log not rotated", "error", strerrordesc_np(errno));
	free(to);
	remove_old(l);
}

/* ---- the thread ---- */

static int write_all(struct audit_log *l, struct str text)
{
	while (text.n) {
		ssize_t n = write(l->fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text = str_sub(text, (size_t)n, text.n);
		l->size += n;
	}
	return 0;
}

static void write_lines(struct audit_log *l, struct str text, size_t lines)
{
	struct err err = {0};
	bool file = strcmp(l->path, "-") != 0;

	if (file && l->fd >= 0 && l->size + (int64_t)text.n > l->o.max_size_mb << 20 && l->size)
		rotate(l);
	bool bad = (l->fd < 0 && open_file(l, &err)) || write_all(l, text);
	metric_add(bad ? l->errors : l->events, (double)lines);
	if (bad && !l->failing)
		log_error("audit log not written", "error",
			  err.code ? err.msg : strerrordesc_np(errno));
	l->failing = bad;
}

static void *run(void *arg)
{
	struct audit_log *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stop || l->queue.n) {
		if (!l->queue.n) {
			pthread_cond_wait(&l->filled, &l->lock);
			continue;
		}
		struct buf text = l->queue;
		size_t lines = l->nqueued;
		l->queue = (struct buf){0};
		l->nqueued = 0;
		pthread_cond_broadcast(&l->emptied);
		pthread_mutex_unlock(&l->lock);
		write_lines(l, buf_view(&text), lines);
		buf_release(&text);
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- from outside ---- */

static bool wait_for_room(struct audit_log *l, size_t n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	while (l->o.blocking && l->queue.n && l->queue.n + n > QUEUE_MAX) {
		if (pthread_cond_timedwait(&l->emptied, &l->lock, &until) == ETIMEDOUT)
			break;
	}
	return !l->queue.n || l->queue.n + n <= QUEUE_MAX;
}

void audit_log_put(struct audit_log *l, struct str lines)
{
	pthread_mutex_lock(&l->lock);
	bool room = wait_for_room(l, lines.n);
	if (room) {
		buf_str(&l->queue, lines);
		l->nqueued++;
		pthread_cond_signal(&l->filled);
	}
	pthread_mutex_unlock(&l->lock);
	if (!room)
		metric_add(l->errors, 1);
}

struct audit_log *audit_log_new(const struct audit_log_opts *o, struct err *err)
{
	struct audit_log *l = xalloc(sizeof(*l));
	sigset_t all, old;

	l->o = *o;
	l->o.max_size_mb = o->max_size_mb > 0 ? o->max_size_mb : SIZE_MB;
	l->path = xstrdup(o->path);
	l->events = metric_with(metric_new(METRIC_COUNTER, "apiserver_audit_event_total",
					   "Audit events that were written.", NULL, NULL),
				(char *)NULL);
	l->errors = metric_with(metric_new(METRIC_COUNTER, "apiserver_audit_error_total",
					   "Audit events that were lost.", "plugin", NULL),
				"log", (char *)NULL);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->filled, NULL);
	pthread_cond_init(&l->emptied, NULL);
	if (open_file(l, err)) {
		free(l->path);
		free(l);
		return NULL;
	}
	remove_old(l);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&l->thread, NULL, run, l))
		panic("audit log: no thread");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return l;
}

void audit_log_free(struct audit_log *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->filled);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	if (l->fd > STDERR_FILENO)
		close(l->fd);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->filled);
	pthread_cond_destroy(&l->emptied);
	buf_release(&l->queue);
	free(l->path);
	free(l);
}
