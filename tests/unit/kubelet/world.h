/* What the kubelet's tests share: a scratch folder, an image of busybox, reasons to skip. */
#ifndef TESTS_KUBELET_WORLD_H
#define TESTS_KUBELET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kubelet/image/image.h"
#include "lib/os/fs.h"

struct world {
	char dir[64];
	char images[96];
};

static inline void world_init(struct world *w)
{
	snprintf(w->dir, sizeof(w->dir), "/tmp/plumb-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->images, sizeof(w->images), "%s/images", w->dir);
}

static inline void world_release(struct world *w)
{
	static const char *const mounts[] = {"run", "nodes/n1/run"};

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
		AUTO(free) char *path = xasprintf("%s/%s", w->dir, mounts[i]);
		(void)!umount2(path, MNT_DETACH);
	}
	assert_int_equal(fs_remove_tree(w->dir, NULL), 0);
}

static inline const char *world_busybox(void)
{
	static const char *const where[] = {"/bin/busybox", "/usr/bin/busybox"};

	for (size_t i = 0; i < ARRAY_LEN(where); i++) {
		if (!access(where[i], X_OK))
			return where[i];
	}
	return NULL;
}

/* Needs root, crun or runc, conmon and a static busybox; says what is missing and skips. */
#define WORLD_NEEDS_CONTAINERS()                                                                   \
	do {                                                                                       \
		const char *why_ = geteuid()                         ? "needs root"                \
				   : !world_busybox()                ? "needs busybox"             \
				   : access("/usr/bin/conmon", X_OK) ? "needs conmon"              \
								     : NULL;                       \
		if (why_) {                                                                        \
			fprintf(stderr, "skipped: %s\n", why_);                                    \
			skip();                                                                    \
		}                                                                                  \
	} while (0)

/* Imports busybox:1 with a shell and friends. */
static inline void world_image(struct world *w)
{
	static const char *const names[] = {"sh",    "sleep", "echo", "cat",   "true",
					    "false", "id",    "env",  "httpd", "ls"};
	static const char *const cmd[] = {"sh", NULL};
	AUTO(buf) struct buf id = {0}, bytes = {0};
	struct err err = {0};
	char path[256];

	for (size_t i = 0; i < 6; i++) {
		static const char *const dirs[] = {"fs",     "fs/bin",  "fs/etc",
						   "fs/tmp", "fs/proc", "fs/dev"};
		snprintf(path, sizeof(path), "%s/%s", w->dir, dirs[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(path, sizeof(path), "%s/fs/bin/busybox", w->dir);
	assert_int_equal(fs_read(world_busybox(), 8 << 20, &bytes, &err), 0);
	assert_int_equal(fs_write(path, buf_view(&bytes), 0755, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/fs/bin/%s", w->dir, names[i]);
		assert_int_equal(symlink("busybox", path), 0);
	}
	snprintf(path, sizeof(path), "%s/fs/etc/passwd", w->dir);
	assert_int_equal(fs_write(path, STR("root:x:0:0:root:/:/bin/sh\nweb:x:7:8::/tmp:/bin/sh\n"),
				  0644, &err),
			 0);
	snprintf(path, sizeof(path), "%s/fs", w->dir);
	struct image_import in = {.name = "busybox:1", .rootfs = path, .cmd = cmd};
	if (image_import(w->images, &in, &id, &err))
		fail_msg("%s", err.msg);
}

#endif
