/*
 * Watching the references of a repository on this machine, so that a push to it is seen at once.
 * What cannot be watched is polled. On the role's loop.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "reconciler/engine.h"

static void on_inotify(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct source *s = CONTAINER_OF(w, struct source, inotify);
	char buf[4096];

	(void)l;
	(void)ready;
	while (read(w->fd, buf, sizeof(buf)) > 0)
		;
	source_poll(s);
}

void source_unwatch_files(struct source *s)
{
	if (s->inotify.fd < 0)
		return;
	loop_fd_del(s->r->loop, &s->inotify);
	close(s->inotify.fd);
	s->inotify.fd = -1;
}

/* git writes a reference beside it and renames; packed-refs stands in the repository itself. */
void source_watch_files(struct source *s)
{
	static const char *const dirs[] = {"",      "/refs/heads",      "/refs/tags",
					   "/.git", "/.git/refs/heads", "/.git/refs/tags"};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	if (!s->url || strncmp(s->url, "file://", 7) != 0)
		return;
	s->inotify.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	s->inotify.fn = on_inotify;
	if (s->inotify.fd < 0)
		return;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		inotify_add_watch(s->inotify.fd, arena_printf(&a, "%s%s", s->url + 7, dirs[i]),
				  IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
	if (loop_fd_set(s->r->loop, &s->inotify, EPOLLIN, &err)) {
		log_warn("cannot watch the repository, polling only", "source", s->key, "error",
			 err.msg);
		source_unwatch_files(s);
	}
}
