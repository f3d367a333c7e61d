/* Persistent volumes on disk: where they are, whom they belong to, what they never touch. */
#include "world.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "kubelet/volume/volume-internal.h"
#include "kubelet/volume/volume.h"

struct trial {
	struct world w;
	struct arena a;
	char *ours, *pod;
	struct pod_spec spec;
	const struct json *volume; /* what the claim of the pod gets */
	unsigned given;            /* volumes, at the last set-up */
};

static struct json *parse(struct trial *t, const char *text)
{
	char *copy = arena_cstr(&t->a, str_c(text));
	struct err err = {0};
	struct json *v;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	v = json_parse(&t->a, str_c(copy), NULL, &err);
	if (!v)
		fail_msg("%s: %s", err.msg, text);
	return v;
}

static void begin(struct trial *t, const char *context, const char *mount)
{
	struct err err = {0};

	*t = (struct trial){0};
	world_init(&t->w);
	t->ours = arena_printf(&t->a, "%s/volumes", t->w.dir);
	t->pod = arena_printf(&t->a, "%s/pod", t->w.dir);
	assert_int_equal(mkdir(t->pod, 0700), 0);
	struct json *pod = parse(
		t, arena_printf(&t->a,
				"{'metadata':{'name':'p','namespace':'d','uid':'u'},'spec':{"
				"'securityContext':{%s},'containers':[{'name':'c','image':'x',"
				"'volumeMounts':[{'name':'v','mountPath':'/v'%s}]}],'volumes':[{"
				"'name':'v','persistentVolumeClaim':{'claimName':'c'}}]}}",
				context, mount));
	assert_int_equal(pod_spec_read(&t->a, pod, &t->spec, &err), 0);
}

static void end(struct trial *t)
{
	volumes_teardown(t->pod);
	arena_release(&t->a);
	world_release(&t->w);
}

static int claim(void *arg, const struct json *volume, struct persistent *ret, struct err *err)
{
	struct trial *t = arg;

	(void)volume, (void)err;
	*ret = (struct persistent){t->volume, t->ours};
	return 0;
}

static void give(void *ctx, const char *path)
{
	unsigned *n = ctx;
	struct err err = {0};

	(*n)++;
	if (volume_give(path, 4321, &err))
		fail_msg("%s", err.msg);
}

static int set_up(struct trial *t, struct err *err)
{
	struct payload_in in = {.pod = &t->spec, .claim = claim, .arg = t};
	int rc = volumes_setup(t->pod, &in, err);

	t->given = 0;
	if (!rc)
		volumes_ungrouped(t->pod, &in, give, &t->given);
	return rc;
}

static void use_ours(struct trial *t, const char *name)
{
	t->volume =
		parse(t, arena_printf(&t->a,
				      "{'metadata':{'name':'%s','annotations':{'pv.kubernetes.io/"
				      "provisioned-by':'plumb.dev/local'}},'spec':{'local':{'path'"
				      ":'/etc'}}}",
				      name));
}

static char *source(struct trial *t, struct str sub, bool *ret_readonly)
{
	struct volume_mount m = {0};
	struct err err = {0};
	char *path;

	if (volume_mount_source(t->pod, &t->spec, &t->spec.c[0], 0, sub, &m, &err))
		return NULL;
	path = arena_cstr(&t->a, str_c(m.source));
	*ret_readonly = m.readonly;
	free(m.source);
	return path;
}

void test_persistent__ours_are_made_where_we_say(void **state)
{
	struct err err = {0};
	struct trial t;
	bool ro = true;
	struct stat st;

	(void)state;
	begin(&t, "", "");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	assert_string_equal(source(&t, STR_NONE, &ro),
			    arena_printf(&t.a, "%s/pvc-1", t.ours)); /* not what the volume says */
	assert_false(ro);
	assert_int_equal(stat(source(&t, STR_NONE, &ro), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0777);
	assert_int_equal(set_up(&t, &err), 0);
	/* What goes is the pod's folder, not the data. */
	volumes_teardown(t.pod);
	assert_true(fs_exists(arena_printf(&t.a, "%s/pvc-1", t.ours)));
	use_ours(&t, "../../x");
	assert_int_equal(set_up(&t, &err), -1);
	use_ours(&t, "other");
	assert_int_equal(set_up(&t, &err), -1);
	end(&t);
}

void test_persistent__others_must_be_there_and_be_known(void **state)
{
	struct err err = {0};
	struct trial t;
	bool ro;

	(void)state;
	begin(&t, "", "");
	t.volume = parse(&t, arena_printf(&t.a, "{'spec':{'local':{'path':'%s/no'}}}", t.w.dir));
	assert_int_equal(set_up(&t, &err), -1);
	assert_false(fs_exists(arena_printf(&t.a, "%s/no", t.w.dir)));
	t.volume = parse(&t, "{'spec':{'local':{'path':'relative'}}}");
	assert_int_equal(set_up(&t, &err), -1);
	t.volume = parse(&t, "{'spec':{'capacity':{},'csi':{'driver':'d'}}}");
	assert_int_equal(set_up(&t, &err), -1);
	assert_non_null(strstr(err.msg, "persistent volumes of type csi are not supported"));
	t.volume = parse(&t, arena_printf(&t.a, "{'spec':{'hostPath':{'path':'%s'}}}", t.w.dir));
	assert_int_equal(set_up(&t, &err), 0);
	assert_string_equal(source(&t, STR_NONE, &ro), t.w.dir);
	end(&t);
}

static void note(void *ctx, const struct device_mount *m)
{
	char **ret = ctx;

	assert_null(*ret);
	*ret = xasprintf("%s %.*s %s", m->device, STR_ARG(m->type), m->at);
}

/* Another pod, whose container uses the volume as a device. */
static void use_device(struct trial *t)
{
	struct err err = {0};
	const struct json *pod = parse(
		t, "{'metadata':{'name':'p','namespace':'d','uid':'u'},'spec':{'securityContext':{"
		   "'fsGroup':4321},'containers':[{'name':'c','image':'x','volumeDevices':[{'name':"
		   "'v','devicePath':'/dev/x'}]}],'volumes':[{'name':'v',"
		   "'persistentVolumeClaim':{'claimName':'c'}}]}}");

	assert_int_equal(pod_spec_read(&t->a, pod, &t->spec, &err), 0);
}

#define RAW "{'spec':{'volumeMode':'Block','local':{'path':'%s'}}}"

/* Kubernetes gives a pod a device as it is: no folder, no file system, no group. */
void test_persistent__devices(void **state)
{
	struct err err = {0};
	struct trial t;
	struct volume_mount m;
	bool ro;

	(void)state;
	begin(&t, "'fsGroup':4321", "");
	const struct json *device = parse(&t, "{'name':'v','devicePath':'/dev/x'}");
	char *at = arena_printf(&t.a, "%s/device", t.w.dir);
	if (mknod(at, S_IFBLK | 0600, makedev(7, 250))) {
		end(&t);
		skip();
	}
	/* With a file system: no container gets the folder before it is mounted there. */
	t.volume = parse(&t, arena_printf(&t.a, "{'spec':{'local':{'path':'%s'}}}", at));
	assert_int_equal(set_up(&t, &err), 0);
	struct payload_in in = {.pod = &t.spec, .claim = claim, .arg = &t};
	char *want = arena_printf(&t.a, "%s ext4 %s/devices/v", at, t.pod), *got = NULL;
	volumes_to_mount(t.pod, &in, note, &got);
	assert_string_equal(got, want);
	free(got);
	assert_null(source(&t, STR_NONE, &ro));
	t.volume = parse(&t, arena_printf(&t.a, RAW, at));
	assert_int_equal(set_up(&t, &err), -1);
	assert_non_null(strstr(err.msg, "has volumeMode Block, but is specified in volumeMounts"));
	use_device(&t);
	t.volume = parse(&t, arena_printf(&t.a, RAW, t.w.dir));
	assert_int_equal(set_up(&t, &err), -1);
	assert_non_null(strstr(err.msg, "is not a block device"));
	t.volume = parse(&t, arena_printf(&t.a, RAW, at));
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(t.given, 0);
	assert_int_equal(volume_device_source(t.pod, &t.spec, device, &m, &err), 0);
	assert_string_equal(m.source, at);
	assert_true(str_is(m.target, "/dev/x"));
	free(m.source);
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), -1);
	assert_non_null(
		strstr(err.msg, "volumeMode Filesystem, but is specified in volumeDevices"));
	end(&t);
}

void test_persistent__the_group_gets_everything_but_what_links_lead_to(void **state)
{
	struct err err = {0};
	struct trial t;
	struct stat st;

	(void)state;
	if (geteuid())
		skip();
	begin(&t, "'fsGroup':4321", "");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	char *root = arena_printf(&t.a, "%s/pvc-1", t.ours);
	char *outside = arena_printf(&t.a, "%s/outside", t.w.dir);
	assert_int_equal(fs_write(outside, STR("x"), 0600, &err), 0);
	assert_int_equal(fs_mkdirs(arena_printf(&t.a, "%s/a/b", root), 0700, &err), 0);
	assert_int_equal(fs_write(arena_printf(&t.a, "%s/a/b/f", root), STR("x"), 0600, &err), 0);
	assert_int_equal(symlink(outside, arena_printf(&t.a, "%s/a/link", root)), 0);
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(stat(arena_printf(&t.a, "%s/a/b/f", root), &st), 0);
	assert_int_equal(st.st_gid, 4321);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(stat(arena_printf(&t.a, "%s/a/b", root), &st), 0);
	assert_int_equal(st.st_mode & 07777, 02770);
	assert_int_equal(stat(outside, &st), 0);
	assert_int_equal(st.st_gid, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(t.given, 1); /* always, unless the policy says otherwise */
	end(&t);
}

void test_persistent__the_group_gets_a_volume_that_a_link_leads_to(void **state)
{
	struct err err = {0};
	struct trial t;
	struct stat st;

	(void)state;
	if (geteuid())
		skip();
	begin(&t, "'fsGroup':4321", "");
	char *real = arena_printf(&t.a, "%s/real", t.w.dir);
	char *link = arena_printf(&t.a, "%s/link", t.w.dir);
	char *file = arena_printf(&t.a, "%s/real/f", t.w.dir);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(fs_write(file, STR("x"), 0600, &err), 0);
	assert_int_equal(symlink(real, link), 0);
	t.volume = parse(&t, arena_printf(&t.a, "{'spec':{'local':{'path':'%s'}}}", link));
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_gid, 4321);
	assert_int_equal(stat(real, &st), 0);
	assert_int_equal(st.st_gid, 4321);
	end(&t);
}

static bool freeze(const char *path, bool on)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int flags = on ? FS_IMMUTABLE_FL : 0;

	return fd >= 0 && !ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

void test_persistent__a_file_that_may_not_be_given_holds_nobody_back(void **state)
{
	struct err err = {0};
	struct trial t;
	struct stat st;

	(void)state;
	begin(&t, "'fsGroup':4321", "");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	char *frozen = arena_printf(&t.a, "%s/pvc-1/frozen", t.ours);
	char *other = arena_printf(&t.a, "%s/pvc-1/other", t.ours);
	assert_int_equal(fs_write(frozen, STR("x"), 0600, &err), 0);
	assert_int_equal(fs_write(other, STR("x"), 0600, &err), 0);
	if (!freeze(frozen, true)) {
		end(&t);
		skip();
	}
	int rc = set_up(&t, &err);
	assert_true(freeze(frozen, false));
	assert_int_equal(rc, 0);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(stat(frozen, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	end(&t);
}

void test_persistent__a_root_that_matches_says_that_all_does(void **state)
{
	struct err err = {0};
	struct trial t;

	(void)state;
	if (geteuid())
		skip();
	begin(&t, "'fsGroup':4321,'fsGroupChangePolicy':'OnRootMismatch'", "");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(t.given, 1);
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(t.given, 0);
	t.volume = parse(&t, arena_printf(&t.a, "{'spec':{'hostPath':{'path':'%s'}}}", t.w.dir));
	assert_int_equal(set_up(&t, &err), 0);
	assert_int_equal(t.given, 0);
	end(&t);
}

/* A folder in which something is still bound is never taken for empty. */
void test_persistent__what_is_bound_below_a_pod_survives_it(void **state)
{
	struct err err = {0};
	struct trial t;
	bool ro;

	(void)state;
	if (geteuid())
		skip();
	begin(&t, "", ",'subPath':'a/b'");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	char *bound = source(&t, STR("a/b"), &ro);
	assert_non_null(bound);
	assert_int_equal(fs_write(arena_printf(&t.a, "%s/file", bound), STR("x"), 0600, &err), 0);
	assert_true(fs_exists(arena_printf(&t.a, "%s/pvc-1/a/b/file", t.ours)));
	assert_true(volumes_unmounted(t.pod)); /* unmounts what an earlier process forgot */
	assert_false(fs_exists(arena_printf(&t.a, "%s/file", bound)));
	assert_non_null(source(&t, STR("a/b"), &ro));
	volumes_teardown(t.pod);
	assert_false(fs_exists(arena_printf(&t.a, "%s/subpaths", t.pod)));
	assert_true(fs_exists(arena_printf(&t.a, "%s/pvc-1/a/b/file", t.ours)));
	end(&t);
}

/* Nor into the volume itself, though that would be safe: Kubernetes refuses it. */
void test_persistent__a_sub_path_leads_nowhere_else(void **state)
{
	static const char *const links[][2] = {{"out", "/etc"}, {"up", "../"}, {"top", "a/../.."}};
	struct volume_mount m = {0};
	struct err err = {0};
	struct trial t;
	bool ro;

	(void)state;
	if (geteuid())
		skip();
	begin(&t, "", "");
	use_ours(&t, "pvc-1");
	assert_int_equal(set_up(&t, &err), 0);
	assert_non_null(source(&t, STR("a/b"), &ro));
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		char *at = arena_printf(&t.a, "%s/pvc-1/%s", t.ours, links[i][0]);
		assert_int_equal(symlink(links[i][1], at), 0);
		assert_int_equal(volume_mount_source(t.pod, &t.spec, &t.spec.c[0], 0,
						     str_c(links[i][0]), &m, &err),
				 -1);
		assert_non_null(strstr(err.msg, "subPath"));
		at = arena_printf(&t.a, "%s/new", links[i][0]);
		assert_null(source(&t, str_c(at), &ro));
		assert_false(fs_exists(arena_printf(&t.a, "%s/new", t.ours)));
	}
	assert_null(source(&t, STR("out/passwd/x/../../passwd"), &ro));
	assert_int_equal(symlink("a/b", arena_printf(&t.a, "%s/pvc-1/inside", t.ours)), 0);
	assert_non_null(source(&t, STR("inside"), &ro));
	end(&t);
}
