/* Readiness, told instead of polled. Called on a role's main thread, once, at the end of its start.
 */
#include "lib/os/ready.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/str.h"

void ready_notify(void)
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
