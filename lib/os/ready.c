/*
 * Readiness, told instead of polled; and what starting took, given back. Called on a role's main
 * thread, at the end of its start. Must never touch pages that were written to: of what is mapped
 * only segments that the program can't write are let go.
 */
#include "lib/os/ready.h"

#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/str.h"
#include "lib/base/timefmt.h"

#define SETTLED (2 * NS_PER_S) /* by then the first work after the start is done, too */

static int let_go(struct dl_phdr_info *object, size_t size UNUSED, void *arg)
{
	size_t page = *(const size_t *)arg;

	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		/* Relocated data lie in a segment that is writable in the file's eyes. */
		if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		uintptr_t from = (object->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t to = (object->dlpi_addr + p->p_vaddr + p->p_memsz) & ~(page - 1);

		/* That it can't be done costs memory only. */
		if (to > from)
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

static void settle(struct loop *l UNUSED, struct loop_timer *t UNUSED)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	malloc_trim(0);
	dl_iterate_phdr(let_go, &page);
}

static void tell_supervisor(void)
{
	int64_t fd;
	const char *text = getenv("PLUMB_READY_FD");

	if (!text || str_to_i64(str_c(text), &fd) || fd < 3 || fd > 1 << 20)
		return;
	/* Nothing to do about a supervisor that is gone: it kills us, or a new one asks anew. */
	ssize_t n = write((int)fd, "r", 1);
	(void)n;
	close((int)fd);
	unsetenv("PLUMB_READY_FD");
}

void ready_notify(struct loop *l)
{
	static struct loop_timer timer;

	tell_supervisor();
	loop_timer_set(l, &timer, SETTLED, settle);
}
