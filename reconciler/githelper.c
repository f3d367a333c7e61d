/*
 * The git helper, both ends of it: the reconciler starts `plumb helper git-…` and reads its answer;
 * the child gives up rights before it looks at anything from outside. A child that hangs is killed
 * at its deadline. The request goes through stdin, so that no credential stands in a command line.
 */
#include "reconciler/githelper.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/os/proc.h"
#include "reconciler/gitremote.h"
#include "reconciler/main.h"
#include "reconciler/oci.h"
#include "reconciler/webcall.h"

#define REQUEST_MAX (80u << 20)
#define ANSWER_MAX (16u << 20)
#ifdef __SANITIZE_ADDRESS__
#define MEMORY_MAX 0 /* its shadow is larger than any limit */
#else
#define MEMORY_MAX (UINT64_C(2) << 30)
#endif

struct githelper {
	struct loop *loop;
	struct proc *proc;
	struct loop_timer failed; /* where the child could not be started */
	struct err err;
	githelper_done *done;
	void *arg;
};

static void finish(struct githelper *h, const struct json *answer, const struct err *err)
{
	githelper_done *done = h->done;
	void *arg = h->arg;

	loop_timer_cancel(h->loop, &h->failed);
	free(h);
	done(arg, answer, err);
}

static void on_end(void *arg, struct proc_result *r)
{
	AUTO(arena) struct arena a = {0};
	struct githelper *h = arg;
	struct err err = {0};
	struct json *answer = NULL;
	struct str why;

	h->proc = NULL;
	if (r->timed_out) {
		err_set(&err, ERR_TIMEOUT, "it took too long");
	} else {
		answer = json_parse(&a, buf_view(&r->out), NULL, &err);
		why = json_str(json_get(answer, STR("error")));
		if (!answer)
			err_set(&err, ERR_INTERNAL, "the helper ended with status %d", r->status);
		else if (why.p)
			err_set(&err,
				(enum err_code)json_int(json_get(answer, STR("code")), ERR_IO),
				"%.*s", STR_ARG(why));
	}
	finish(h, err.code ? NULL : answer, &err);
}

static void on_failed(struct loop *l, struct loop_timer *t)
{
	struct githelper *h = CONTAINER_OF(t, struct githelper, failed);
	struct err err = h->err;

	(void)l;
	finish(h, NULL, &err);
}

struct githelper *githelper_start(struct loop *l, const char *what, const struct json *request,
				  int64_t timeout_ns, githelper_done *done, void *arg)
{
	AUTO(buf) struct buf in = {0};
	struct githelper *h = xalloc(sizeof(*h));
	const char *argv[] = {proc_self(), "helper", what, NULL};
	struct proc_opts o = {.argv = argv,
			      .die_with_us = true,
			      .max_memory = MEMORY_MAX,
			      .max_output = ANSWER_MAX,
			      .timeout_ns = timeout_ns};

	json_write(request, &in);
	o.in = buf_view(&in);
	h->loop = l;
	h->done = done;
	h->arg = arg;
	h->proc = proc_start(l, &o, on_end, h, &h->err);
	if (!h->proc)
		loop_timer_set(l, &h->failed, 0, on_failed);
	return h;
}

void githelper_cancel(struct githelper *h)
{
	if (!h)
		return;
	if (h->proc)
		proc_cancel(h->proc, true);
	loop_timer_cancel(h->loop, &h->failed);
	free(h);
}

/* ---- the child ---- */

/* What is left: reading and writing files as their owner could. */
static void drop_rights(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{0}};
	const uint32_t keep = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (geteuid() == 0)
		caps[0].effective = caps[0].permitted = keep;
	syscall(SYS_capset, &head, caps);
}

static int read_request(struct buf *in)
{
	for (;;) {
		ssize_t n = read(0, buf_reserve(in, 65536), 65536);

		if (n < 0)
			return -1;
		if (n == 0)
			return 0;
		in->n += (size_t)n;
		if (in->n > REQUEST_MAX)
			return -1;
	}
}

int reconciler_helper_main(int argc, char **argv)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf in = {0};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};
	struct json *request, *answer = NULL;
	const char *what = argc > 1 ? argv[1] : "";

	drop_rights();
	if (read_request(&in) || !(request = json_parse(&a, buf_view(&in), NULL, &err)))
		err_set(&err, ERR_BAD_REQUEST, "cannot read the request");
	else if (!strcmp(what, "git-fetch"))
		answer = gitremote_fetch(&a, request, &err);
	else if (!strcmp(what, "git-push"))
		answer = gitremote_push(&a, request, &err);
	else if (!strcmp(what, "git-repack"))
		answer = gitremote_repack(&a, request, &err);
	else if (!strcmp(what, "oci-pull"))
		answer = oci_pull(&a, request, &err);
	else if (!strcmp(what, "web-call"))
		answer = webcall_run(&a, request, &err);
	else
		err_set(&err, ERR_BAD_REQUEST, "no helper '%s'", what);
	if (!answer)
		answer = json_build(&a, "{s:s,s:i}", "error", err.msg, "code", (int)err.code);
	json_write(answer, &out);
	buf_putc(&out, '\n');
	return fwrite(out.p, 1, out.n, stdout) == out.n && !fflush(stdout) ? 0 : 1;
}
