/*
 * Makes everything that a container's start needs: environment, user, mounts, root file system,
 * config.json. Must never let a bad pod do more than fail its own container. Blocking, a few
 * milliseconds; memory is an arena of the call.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/claims.h"
#include "kubelet/podfiles_core.h"
#include "kubelet/runtime/rootfs.h"
#include "kubelet/user_core.h"
#include "kubelet/volume/volume.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

#define CAP_SYS_RESOURCE_BIT 24
#define PASSWD_MAX (1 << 20)
#define SECCOMP_MAX (1 << 20)
#define MOUNTS_MAX (POD_VOLUMES_MAX + 8)

struct make {
	struct arena a;
	struct pod *p;
	struct attempt *at;
	const struct container_spec *c;
	struct image img;
	const struct json *config; /* the image's */
	struct env env;
	struct str hostname;
	struct oci_user user;
	struct oci_mount mounts[MOUNTS_MAX];
	size_t nmounts;
};

static const struct json *find_object(void *arg, bool secret, struct str name)
{
	struct pod *p = arg;
	const struct obj *o;

	if (!refs_get(p->k->refs, secret ? REF_SECRET : REF_CONFIGMAP, p->spec.namespace, name,
		      &o) ||
	    !o)
		return NULL;
	/* Lives until the pod's next change; the objects are small, and read when a container
	 * starts. */
	return obj_tree(o, &p->arena);
}

static struct str find_token(void *arg, const struct json *source)
{
	return tokens_get(arg, source);
}

struct payload_in pod_payload_in(struct pod *p)
{
	return (struct payload_in){
		.pod = &p->spec,
		.fields = {.pod = p->tree,
			   .pod_ip = str_c(p->spec.host_network ? p->k->node_ip : p->obs.ip),
			   .host_ip = str_c(p->k->node_ip)},
		.node = p->k->resources,
		.find = find_object,
		.token = find_token,
		.claim = claims_volume,
		.arg = p,
	};
}

/* ---- /etc ---- */

static int put_etc(struct pod *p, const char *name, struct str text, struct err *err)
{
	AUTO(free) char *path = xasprintf("%s/etc/%s", p->dir, name);

	return write_quick(path, text, 0644, err);
}

static struct node_names names_of(const struct kubelet *k)
{
	return (struct node_names){str_c(k->node_name), str_c(k->cluster_dns),
				   str_c(k->cluster_domain)};
}

int pod_write_files(struct pod *p, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf hosts = {0}, resolv = {0}, of_node = {0}, node = {0};
	AUTO(free) char *dir = xasprintf("%s/etc", p->dir);
	struct node_names names = names_of(p->k);
	struct str hostname;

	if (pod_hostname(&a, &p->spec, &names, &hostname, err) || fs_mkdirs(dir, 0755, err))
		return -1;
	(void)!fs_read("/etc/resolv.conf", 65536, &node, NULL);
	if (p->spec.host_network)
		(void)!fs_read("/etc/hosts", 1 << 20, &of_node, NULL);
	pod_hosts(&p->spec, &names, str_c(p->obs.ip), buf_view(&of_node), &hosts);
	pod_resolv(&p->spec, &names, buf_view(&node), &resolv);
	if (put_etc(p, "hosts", buf_view(&hosts), err) ||
	    put_etc(p, "resolv.conf", buf_view(&resolv), err))
		return -1;
	return put_etc(p, "hostname", arena_strf(&a, "%.*s\n", STR_ARG(hostname)), err);
}

/* ---- mounts ---- */

static struct oci_mount *add_mount(struct make *m, struct str target, struct str source)
{
	assert(m->nmounts < MOUNTS_MAX);
	m->mounts[m->nmounts] = (struct oci_mount){.destination = target, .source = source};
	return &m->mounts[m->nmounts++];
}

static bool mounts_at(const struct make *m, const char *target)
{
	const struct json *list = json_at(m->c->json, "volumeMounts");

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_is(json_str(json_at(json_item(list, i), "mountPath")), target))
			return true;
	}
	return false;
}

static void etc_mounts(struct make *m)
{
	static const char *const names[] = {"hosts", "resolv.conf", "hostname"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *target = arena_printf(&m->a, "/etc/%s", names[i]);
		if (!mounts_at(m, target))
			add_mount(m, str_c(target),
				  arena_strf(&m->a, "%s/etc/%s", m->p->dir, names[i]));
	}
	if (!mounts_at(m, "/dev/shm"))
		add_mount(m, STR("/dev/shm"), sandbox_shm(&m->a, m->p));
}

static int termination_mount(struct make *m, struct err *err)
{
	struct str path = json_str_or(json_at(m->c->json, "terminationMessagePath"),
				      STR("/dev/termination-log"));
	char *file = arena_printf(&m->a, "%s/termination-log", m->at->dir);
	AUTO(fd) int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0 || fchmod(fd, 0666))
		return err_sys(err, "make the termination log");
	if (path.n && path.p[0] == '/' && !memchr(path.p, 0, path.n))
		add_mount(m, path, str_c(file));
	return 0;
}

static void mount_words(const struct json *v, struct oci_mount *o)
{
	struct str how = json_str(json_at(v, "mountPropagation")),
		   all = json_str(json_at(v, "recursiveReadOnly"));

	if (str_is(how, "HostToContainer"))
		o->propagation = "rslave";
	else if (str_is(how, "Bidirectional"))
		o->propagation = "rshared";
	o->recursive = o->readonly && (str_is(all, "Enabled") || str_is(all, "IfPossible"));
}

static int volume_mounts(struct make *m, struct err *err)
{
	const struct json *list = json_at(m->c->json, "volumeMounts");

	if (json_len(list) > POD_VOLUMES_MAX)
		return err_set(err, ERR_LIMIT, "a container has at most %d volume mounts",
			       POD_VOLUMES_MAX);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str sub = json_str(json_at(v, "subPath")),
			   expr = json_str(json_at(v, "subPathExpr"));
		struct volume_mount mount;
		if (expr.n && expand_all_vars(&m->a, expr, &m->env, &sub, err))
			return -1;
		if (volume_mount_source(m->p->dir, &m->p->spec, m->c, i, sub, &mount, err))
			return -1;
		struct str target = mount.target;
		if (target.p[0] != '/') /* kube lets it be relative to the root */
			target = arena_strf(&m->a, "/%.*s", STR_ARG(target));
		struct oci_mount *o = add_mount(m, target, arena_strf(&m->a, "%s", mount.source));
		o->readonly = mount.readonly;
		mount_words(v, o);
		free(mount.source);
	}
	return 0;
}

/* ---- the parts ---- */

static int make_env(struct make *m, struct err *err)
{
	struct kubelet *k = m->p->k;
	struct payload_in in = pod_payload_in(m->p);
	struct obj_set set = {0};
	const struct obj *api = NULL;

	if (k->services) {
		set = informer_list_ns(k->services, m->p->spec.namespace, &m->a);
		if (!str_is(m->p->spec.namespace, "default"))
			api = informer_get(k->services, STR("default"), STR("kubernetes"));
	}
	const struct json **list = arena_array(&m->a, set.n + 1, sizeof(*list));
	struct env_in e = {.in = &in,
			   .c = m->c,
			   .image = m->config,
			   .hostname = m->hostname,
			   .services = list};
	for (size_t i = 0; i < set.n; i++)
		list[e.nservices++] = obj_tree(set.v[i], &m->a);
	if (api)
		list[e.nservices++] = obj_tree(api, &m->a);
	return env_build(&m->a, &e, &m->env, err);
}

static int make_user(struct make *m, struct err *err)
{
	AUTO(buf) struct buf passwd = {0}, group = {0};
	struct user_in u = {.pod = &m->p->spec, .c = m->c, .image = m->config};

	(void)!image_file(m->p->k->images, &m->img, "etc/passwd", PASSWD_MAX, &passwd, NULL);
	(void)!image_file(m->p->k->images, &m->img, "etc/group", PASSWD_MAX, &group, NULL);
	u.passwd = buf_view(&passwd);
	u.group = buf_view(&group);
	return user_of(&u, &m->user, err);
}

static int oom_score(const struct make *m)
{
	AUTO(buf) struct buf own = {0};
	int want = oci_oom_score(&m->p->spec, m->c, m->p->k->resources.memory);
	int64_t have = 0;

	(void)!fs_read("/proc/self/oom_score_adj", 32, &own, NULL);
	(void)!str_to_i64(str_trim(buf_view(&own)), &have);
	/* Lowering it takes a right that we may lack; then it is left as it is. */
	return want < have && !(m->p->k->caps >> CAP_SYS_RESOURCE_BIT & 1) ? INT_MIN : want;
}

/* Those of the whole pod where it says so; an ephemeral container may see the processes of the one
 * that it is to look at. */
static int target_pidns(struct make *m, struct str *ret, struct err *err)
{
	const struct pod *p = m->p;
	struct str target = json_str(json_at(m->c->json, "targetContainerName"));

	if (!m->c->ephemeral || !target.n) {
		*ret = sandbox_pidns(&m->a, p);
		return 0;
	}
	for (size_t i = 0; i < p->spec.nmain; i++) {
		if (!str_eq(p->spec.c[i].name, target) || p->obs.c[i].state != CONT_RUNNING ||
		    p->obs.c[i].pid <= 0)
			continue;
		*ret = arena_strf(&m->a, "/proc/%d/ns/pid", (int)p->obs.c[i].pid);
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "unable to find target container %.*s", STR_ARG(target));
}

/* securityContext.seccompProfile of type Localhost: a file below DIR/seccomp, in the runtime's own
 * form. */
static int make_seccomp(struct make *m, const struct json **ret, struct err *err)
{
	const struct json *profile = security_field(&m->p->spec, m->c, "seccompProfile");
	struct str file = json_str(json_at(profile, "localhostProfile"));
	AUTO(free) char *dir = xasprintf("%s/seccomp", m->p->k->role.data_dir);
	AUTO(buf) struct buf text = {0};

	if (!str_is(json_str(json_at(profile, "type")), "Localhost"))
		return 0;
	AUTO(free) char *path = fs_join(dir, file, err);
	if (!path || fs_read(path, SECCOMP_MAX, &text, err))
		return err_wrap(err, "cannot load seccomp profile \"%.*s\"", STR_ARG(file));
	*ret = json_parse(&m->a, arena_str(&m->a, buf_view(&text)), NULL, err);
	if (!*ret)
		return err_wrap(err, "seccomp profile \"%.*s\"", STR_ARG(file));
	return 0;
}

static int make_config(struct make *m, struct err *err)
{
	struct pod *p = m->p;
	AUTO(buf) struct buf out = {0};
	struct oci_in in = {.pod = &p->spec,
			    .c = m->c,
			    .image = m->config,
			    .env = &m->env,
			    .user = m->user,
			    .rootfs = arena_strf(&m->a, "%s/rootfs", m->at->dir),
			    .cgroup = arena_strf(&m->a, "/plumb-%s/%s/pod%s/%s", p->k->instance,
						 p->k->node_name, p->uid, m->at->id),
			    .hostname = m->hostname,
			    .mounts = m->mounts,
			    .nmounts = m->nmounts,
			    .caps = p->k->caps,
			    .oom_score_adj = oom_score(m),
			    .node_memory = p->k->resources.memory,
			    .cgroup_v2 = p->k->cgroup_v2};

	if (!p->spec.host_network)
		in.netns = arena_strf(&m->a, "%s/netns", p->dir);
	in.ipcns = sandbox_ipcns(&m->a, p);
	if (json_bool(json_at(m->c->json, "securityContext", "privileged"), false))
		in.devices = devices_list(&m->a);
	if (devices_claimed(&m->a, p, m->c, &in.claimed, err))
		return -1;
	if (sandbox_setup(p, err) || target_pidns(m, &in.pidns, err) ||
	    make_seccomp(m, &in.seccomp, err))
		return -1;
	struct json *config = oci_config(&m->a, &in, err);
	if (!config)
		return -1;
	json_write(config, &out);
	return runtime_config_put(&p->k->rt, m->at->dir, m->at->id, buf_view(&out), err);
}

static int make(struct make *m, const char **ret_reason, struct err *err)
{
	struct pod *p = m->p;

	*ret_reason = "CreateContainerConfigError";
	struct node_names names = names_of(p->k);
	if (pod_hostname(&m->a, &p->spec, &names, &m->hostname, err) ||
	    image_find(&m->a, p->k->images, m->c->image, &m->img, err))
		return -1;
	m->config = json_at(m->img.config, "config");
	if (make_env(m, err) || make_user(m, err) || fs_mkdirs(m->at->dir, 0700, err) ||
	    volume_mounts(m, err))
		return -1;
	*ret_reason = "CreateContainerError";
	if (termination_mount(m, err))
		return -1;
	etc_mounts(m);
	/* First the config, which is quick to refuse, then what must be undone. */
	return make_config(m, err) || rootfs_mount(p->k->images, &m->img, m->at->dir, err) ? -1 : 0;
}

int container_make(struct pod *p, struct attempt *at, const char **ret_reason, struct err *err)
{
	struct make *m = xalloc(sizeof(*m));
	int rc;

	m->p = p;
	m->at = at;
	m->c = &p->spec.c[at->i];
	rc = make(m, ret_reason, err);
	arena_release(&m->a);
	free(m);
	return rc;
}
