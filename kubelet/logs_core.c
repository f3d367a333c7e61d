/* Reads what conmon wrote. A line that isn't in its form is left out. Pure; owns nothing. */
#include "kubelet/logs_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

static void put(struct log_opts *o, struct log_state *s, struct str text, struct buf *out)
{
	if (o->limit_bytes >= 0 && (int64_t)text.n >= o->limit_bytes) {
		text.n = (size_t)o->limit_bytes;
		s->done = true;
	}
	if (o->limit_bytes >= 0)
		o->limit_bytes -= (int64_t)text.n;
	buf_str(out, text);
}

static void render_line(struct str line, struct log_opts *o, struct log_state *s, struct buf *out)
{
	struct str when, stream, tag;
	int64_t ns;

	if (!str_next(&line, ' ', &when) || !str_next(&line, ' ', &stream) ||
	    !str_next(&line, ' ', &tag) || !line.p || (!str_is(tag, "F") && !str_is(tag, "P")) ||
	    time_parse(when, &ns))
		return;
	if (o->since_ns && ns < o->since_ns)
		return;
	if (o->timestamps && !s->inside) {
		/* conmon writes +00:00 where Kubernetes writes Z. */
		bool utc = str_ends(when, STR("+00:00"));
		put(o, s, utc ? str_sub(when, 0, when.n - 6) : when, out);
		put(o, s, utc ? STR("Z ") : STR(" "), out);
	}
	put(o, s, line, out);
	s->inside = str_is(tag, "P");
	if (!s->inside)
		put(o, s, STR("\n"), out);
}

size_t log_render(struct str in, struct log_opts *o, struct log_state *s, struct buf *out)
{
	size_t used = 0;

	while (!s->done) {
		const char *end = used < in.n ? memchr(in.p + used, '\n', in.n - used) : NULL;
		if (!end)
			break;
		render_line((struct str){in.p + used, (size_t)(end - in.p) - used}, o, s, out);
		used = (size_t)(end - in.p) + 1;
	}
	return used;
}
