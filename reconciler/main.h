/* The role's process, `plumb reconciler`, and its hidden helper. Both return the exit code. */
#ifndef PLUMB_RECONCILER_MAIN_H
#define PLUMB_RECONCILER_MAIN_H

#include "lib/base/base.h"

int reconciler_main(int argc, char **argv);
/* `plumb diff`: 0 = nothing would change, 1 = something, 2 = an error. */
int reconciler_diff_main(int argc, char **argv);
/* `plumb helper git-fetch|git-push`: one request as JSON on stdin, one answer on stdout. */
int reconciler_helper_main(int argc, char **argv);

struct buf;
struct err;
/* What the folder `path` below directory `root` renders to, as YAML: `plumb build`. */
MUST_USE int reconciler_build(const char *root, const char *path, struct buf *out, struct err *err);

#endif
