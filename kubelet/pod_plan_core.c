/*
 * Plans as text, for logs and golden tests. Pure; owns nothing.
 */
#include "kubelet/pod_core.h"

#include "lib/base/pure.h"

static const char *const act_names[ACT_MAX] = {
	[ACT_SANDBOX] = "sandbox", [ACT_VOLUMES] = "volumes",   [ACT_IMAGE] = "image",
	[ACT_START] = "start",     [ACT_PRE_STOP] = "pre-stop", [ACT_TERM] = "term",
	[ACT_KILL] = "kill",       [ACT_TEARDOWN] = "teardown", [ACT_CONFIRM] = "confirm",
	[ACT_REMOVE] = "remove",
};

const char *pod_act_name(enum pod_act act)
{
	return act < ACT_MAX ? act_names[act] : "?";
}

void pod_plan_write(const struct pod_spec *s, const struct pod_plan *p, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		buf_puts(out, pod_act_name(p->v[i].act));
		if (p->v[i].act >= ACT_IMAGE && p->v[i].act <= ACT_KILL)
			buf_printf(out, " %.*s", STR_ARG(s->c[p->v[i].c].name));
		buf_putc(out, '\n');
	}
}
