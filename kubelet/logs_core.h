/* Lines of a container's log in CRI form, `<time> <stream> <F|P> <text>`, to what people read.
 * Pure. */
#ifndef PLUMB_KUBELET_LOGS_CORE_H
#define PLUMB_KUBELET_LOGS_CORE_H

#include "lib/base/buf.h"

struct log_opts {
	bool timestamps;
	int64_t since_ns;    /* wall clock; 0 = all */
	int64_t limit_bytes; /* what may still go out; -1 = no limit */
};
struct log_state {
	bool inside; /* the last piece had no end of line */
	bool done;   /* the limit was reached */
};
/* Takes whole lines off `in` (returns how many bytes it used) and appends what they say to out. */
size_t log_render(struct str in, struct log_opts *o, struct log_state *s, struct buf *out);

#endif
