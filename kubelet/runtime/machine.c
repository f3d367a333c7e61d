/*
 * Finds out which runtime works on this machine. Blocking, at start; owns what struct runtime
 * names.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kubelet/runtime/runtime.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define CGROUP2_MAGIC_NR 0x63677270
#define TMPFS_MAGIC_NR 0x01021994

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

static bool is_memory(const char *path)
{
	struct statfs s;

	return statfs(path, &s) == 0 && (unsigned long)s.f_type == TMPFS_MAGIC_NR;
}

/* What an earlier process was about to run inside containers when it was killed. */
static void sweep_exec(const char *config)
{
	DIR *d = opendir(config);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (!strncmp(e->d_name, "exec-", 5))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* Mounted once, and left when we end: the containers that live on need it. */
static int make_folders(struct runtime *r, const char *state_dir, struct err *err)
{
	AUTO(free) char *run = xasprintf("%s/run", state_dir);

	if (fs_mkdirs(run, 0700, err))
		return -1;
	if (!is_memory(run) && mount("tmpfs", run, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700"))
		return err_sys(err, "mount memory at %s", run);
	r->root = xasprintf("%s/state", run);
	r->config = xasprintf("%s/config", run);
	if (fs_mkdirs(r->root, 0700, err) || fs_mkdirs(r->config, 0700, err))
		return -1;
	sweep_exec(r->config);
	return 0;
}

int runtime_config_put(const struct runtime *r, const char *dir, const char *id, struct str text,
		       struct err *err)
{
	AUTO(free) char *real = xasprintf("%s/%s.json", r->config, id);
	AUTO(free) char *link = xasprintf("%s/config.json", dir);

	/* fs_write waits for the disk, which here is none. */
	if (fs_write(real, text, 0600, err))
		return -1;
	return symlink(real, link) ? err_sys(err, "link %s", link) : 0;
}

void runtime_config_drop(const struct runtime *r, const char *id)
{
	AUTO(free) char *real = xasprintf("%s/%s.json", r->config, id);

	unlink(real);
}

/* "crun version 1.8.1", on a line of its own. */
static void find_version(struct runtime *r)
{
	const char *argv[] = {r->program, "--version", NULL};
	struct proc_opts o = {
		.argv = argv, .timeout_ns = 5 * NS_PER_S, .hide_unified = r->hide_unified};
	struct proc_result res = {0};
	struct str rest, line, head, version;

	snprintf(r->version, sizeof(r->version), "unknown");
	if (proc_run(&o, &res, NULL))
		return;
	rest = buf_view(&res.out);
	while (str_next(&rest, '\n', &line)) {
		if (!str_rcut(line, ' ', &head, &version) || !str_ends(head, STR(" version")))
			continue;
		snprintf(r->version, sizeof(r->version), "%.*s", STR_ARG(version));
		break;
	}
	proc_result_release(&res);
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
	find_version(r);
	return make_folders(r, state_dir, err);
}

void runtime_release(struct runtime *r)
{
	free(r->program);
	free(r->conmon);
	free(r->root);
	free(r->config);
	*r = (struct runtime){0};
}
