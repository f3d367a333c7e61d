/* `plumb down`: stops an instance and takes away what it left on the machine, also after a crash.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/cleanup.h"
#include "cli/datadir.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/base/timefmt.h"

/* Asks the running `plumb up` to stop and waits for its end. */
static int stop_owner(int pid, int64_t timeout_ns, struct err *err)
{
	AUTO(fd) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return errno == ESRCH ? 0 : err_sys(err, "process %d", pid);
	if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) && errno != ESRCH)
		return err_sys(err, "stop process %d", pid);
	if (poll(&p, 1, (int)(timeout_ns / NS_PER_MS)) == 1)
		return 0;
	return err_set(err, ERR_TIMEOUT, "process %d does not stop; kill -9 it and run this again",
		       pid);
}

static int down(const char *path, int64_t timeout_ns, struct err *err)
{
	struct datadir d;
	int pid, rc;

	if (datadir_open(&d, path, false, err))
		return -1;
	pid = datadir_owner(&d);
	if (pid && stop_owner(pid, timeout_ns, err))
		return -1;
	if (datadir_lock(&d, err))
		return -1;
	rc = host_cleanup(&d, 2 * NS_PER_S, err);
	datadir_release(&d);
	return rc;
}

static int down_main(int argc, char **argv)
{
	const char *data_dir = DATADIR_DEFAULT;
	int64_t timeout_ns = 60 * NS_PER_S;
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &data_dir, "DIR", "the instance's data directory"},
		{"timeout", 0, FLAG_DURATION, &timeout_ns, "DURATION",
		 "how long the stop may take"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs;

	if (flags_parse(argc, argv, flags,
			"plumb down [--data-dir DIR]\n\nStops an instance; its data stays.", &nargs,
			&err) ||
	    down(data_dir, timeout_ns, &err)) {
		fprintf(stderr, "plumb down: %s\n", err.msg);
		return 1;
	}
	return 0;
}

const struct verb verb_down = {
	.name = "down", .help = "stop an instance and clean the machine", .main = down_main};
