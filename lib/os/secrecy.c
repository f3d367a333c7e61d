/*
 * No dumps, no swap: the kernel's switches for processes that hold secrets. What they cannot do
 * (another process of root, hibernation) nobody can. Any thread, best before there are others.
 */
#include "lib/os/secrecy.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

bool secrecy_no_dumps(void)
{
	const struct rlimit none = {0, 0};

	return (setrlimit(RLIMIT_CORE, &none) == 0) & (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

void secrecy_no_swap(void)
{
	struct rlimit lock;

	/* Under a limit a later allocation would fail instead. */
	if (getrlimit(RLIMIT_MEMLOCK, &lock) == 0 && lock.rlim_cur == RLIM_INFINITY &&
	    mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		munlockall();
}
