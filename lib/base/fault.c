/* Named fault points, armed from the environment once at start. Counting is thread-safe. */
#include "lib/base/fault.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/str.h"

enum action { FAULT_KILL, FAULT_FAIL, FAULT_SLEEP };

struct fault {
	struct str name;
	enum action action;
	int sleep_ms;
	unsigned from; /* first pass that counts */
	bool once;
	atomic_uint passes;
};

bool fault_armed;
static struct fault faults[32];
static size_t nfaults;

static int parse_action(struct str s, struct fault *f)
{
	int64_t n;
	struct str what, at;

	f->from = 1;
	if (str_cut(s, '@', &what, &at)) {
		f->once = str_ends(at, STR("!"));
		at = str_sub(at, 0, at.n - (f->once ? 1 : 0));
		if (str_to_i64(at, &n) || n < 1 || n > 1 << 30)
			return -1;
		f->from = (unsigned)n;
	}
	if (str_is(what, "kill")) {
		f->action = FAULT_KILL;
	} else if (str_is(what, "err")) {
		f->action = FAULT_FAIL;
	} else if (str_starts(what, STR("sleep:")) && !str_to_i64(str_sub(what, 6, what.n), &n) &&
		   n >= 0 && n < 1 << 30) {
		f->action = FAULT_SLEEP;
		f->sleep_ms = (int)n;
	} else {
		return -1;
	}
	return 0;
}

void fault_init(void)
{
	struct str rest = str_c(getenv("PLUMB_FAULT")), one, name, action;

	while (str_next(&rest, ',', &one)) {
		if (one.n == 0)
			continue;
		struct fault *f = &faults[nfaults];
		if (nfaults == ARRAY_LEN(faults) || !str_cut(one, '=', &name, &action) ||
		    parse_action(action, f)) {
			/* A typing error in a test must not look like a pass. */
			fprintf(stderr, "plumb: PLUMB_FAULT: cannot read '%.*s'\n", STR_ARG(one));
			_exit(2);
		}
		f->name = name;
		nfaults++;
		fault_armed = true;
	}
}

bool fault_hit(const char *name)
{
	for (size_t i = 0; i < nfaults; i++) {
		struct fault *f = &faults[i];
		if (!str_is(f->name, name))
			continue;
		unsigned pass = atomic_fetch_add(&f->passes, 1) + 1;
		if (pass < f->from || (f->once && pass > f->from))
			continue;
		if (f->action == FAULT_KILL)
			_exit(137);
		if (f->action == FAULT_FAIL)
			return true;
		poll(NULL, 0, f->sleep_ms);
	}
	return false;
}
