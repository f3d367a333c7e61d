/*
 * Finds out which runtime works on this machine. Blocking, at start; owns what struct runtime
 * names.
 */
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kubelet/runtime/runtime.h"
#include "lib/os/fs.h"

#define CGROUP2_MAGIC_NR 0x63677270

static char *find(const char *name)
{
	static const char *const dirs[] = {"/usr/local/sbin",    "/usr/local/bin", "/usr/sbin",
					   "/usr/bin",           "/sbin",          "/bin",
					   "/usr/libexec/podman"};

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		char *path = xasprintf("%s/%s", dirs[i], name);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* crun refuses cgroup v1 beside v2, which it looks for in one place. */
static bool hybrid_cgroups(void)
{
	struct statfs s;

	return statfs("/sys/fs/cgroup/unified", &s) == 0 &&
	       (unsigned long)s.f_type == CGROUP2_MAGIC_NR;
}

int runtime_init(struct runtime *r, struct loop *l, const char *choice, const char *state_dir,
		 struct err *err)
{
	bool any = !strcmp(choice, "auto");

	*r = (struct runtime){.loop = l};
	if (!any && strcmp(choice, "crun") && strcmp(choice, "runc"))
		return err_set(err, ERR_INVALID, "runtime %s: auto, crun or runc", choice);
	r->conmon = find("conmon");
	if (!r->conmon)
		return err_set(err, ERR_NOT_FOUND, "conmon is not installed");
	if (any || !strcmp(choice, "crun")) {
		r->program = find("crun");
		r->name = "crun";
		r->hide_unified = hybrid_cgroups();
	}
	if (!r->program && strcmp(choice, "crun")) {
		r->program = find("runc");
		r->name = "runc";
		r->hide_unified = false;
	}
	if (!r->program)
		return err_set(err, ERR_NOT_FOUND, "%s is not installed", any ? "crun" : choice);
	r->root = xasprintf("%s/run", state_dir);
	return fs_mkdirs(r->root, 0700, err);
}

void runtime_release(struct runtime *r)
{
	free(r->program);
	free(r->conmon);
	free(r->root);
	*r = (struct runtime){0};
}
