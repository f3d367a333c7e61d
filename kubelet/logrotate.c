/*
 * Keeps logs from growing without end: one that has become large is put aside, and conmon is told
 * to begin another; the one put aside before is gone then. Must never wait for conmon. On the
 * kubelet's loop.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/kubelet.h"

#define LOG_LARGE (10 << 20)

/* conmon reads "what height width" from there; 2 is to open its log again. */
static void tell_conmon(const char *dir)
{
	AUTO(free) char *path = xasprintf("%s/ctl", dir);
	AUTO(fd) int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		(void)!write(fd, "2 0 0\n", 6);
}

void logs_rotate(struct pod *p)
{
	for (size_t i = 0; i < p->obs.n; i++) {
		const struct attempt *at = p->cont[i].now;
		struct stat st;
		if (p->obs.c[i].state != CONT_RUNNING || !at)
			continue;
		AUTO(free) char *log = xasprintf("%s/log", at->dir);
		AUTO(free) char *aside = xasprintf("%s/log.1", at->dir);
		if (lstat(log, &st) || !S_ISREG(st.st_mode) || st.st_size < LOG_LARGE)
			continue;
		if (!rename(log, aside))
			tell_conmon(at->dir);
	}
}
