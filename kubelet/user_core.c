/* Users as docker reads "user[:group]", then kube's overrides. Pure; owns nothing. */
#include "kubelet/user_core.h"

#include "lib/base/pure.h"

/* The nth colon-separated field of a passwd or group line. */
static struct str field(struct str line, int n)
{
	struct str part = STR_NONE;

	for (int i = 0; i <= n; i++) {
		if (!str_next(&line, ':', &part))
			return STR_NONE;
	}
	return part;
}

static bool number(struct str s, uint32_t *ret)
{
	uint64_t n;

	if (s.n == 0 || str_to_u64(s, &n) || n > UINT32_MAX - 1)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* The line whose name is `key`, or whose number is when it is one. */
static bool find_line(struct str text, struct str key, struct str *ret)
{
	uint32_t id = 0, other = 0;
	bool numeric = number(key, &id);
	struct str line;

	while (str_next(&text, '\n', &line)) {
		if (str_eq(field(line, 0), key) ||
		    (numeric && number(field(line, 2), &other) && other == id)) {
			*ret = line;
			return true;
		}
	}
	return false;
}

static void add_group(struct oci_user *u, uint32_t gid)
{
	for (size_t i = 0; i < u->ngroups; i++) {
		if (u->groups[i] == gid)
			return;
	}
	if (u->ngroups < OCI_GROUPS_MAX)
		u->groups[u->ngroups++] = gid;
}

/* Groups that /etc/group lists the user in. */
static void listed_groups(struct str group, struct str user, struct oci_user *u)
{
	struct str line, members, one;
	uint32_t gid;

	while (user.n && str_next(&group, '\n', &line)) {
		members = field(line, 3);
		while (members.p && str_next(&members, ',', &one)) {
			if (str_eq(str_trim(one), user) && number(field(line, 2), &gid))
				add_group(u, gid);
		}
	}
}

static int from_image(const struct user_in *in, struct str who, struct oci_user *u,
		      struct str *ret_name, struct err *err)
{
	struct str user, group, line;

	str_cut(who, ':', &user, &group);
	if (find_line(in->passwd, user, &line)) {
		(void)number(field(line, 2), &u->uid);
		(void)number(field(line, 3), &u->gid);
		*ret_name = field(line, 0);
	} else if (user.n && !number(user, &u->uid)) {
		return err_set(err, ERR_INVALID, "the image's user %.*s is not in its /etc/passwd",
			       STR_ARG(user));
	}
	if (!group.n)
		return 0;
	if (find_line(in->group, group, &line))
		(void)number(field(line, 2), &u->gid);
	else if (!number(group, &u->gid))
		return err_set(err, ERR_INVALID, "the image's group %.*s is not in its /etc/group",
			       STR_ARG(group));
	return 0;
}

/* In Kubernetes' words: they are what people search for. */
static int check_non_root(const struct user_in *in, const struct oci_user *u, struct err *err)
{
	const struct json *own = security_field(in->pod, in->c, "runAsUser");
	struct str user, group;
	uint32_t uid;
	const char *why = "container has runAsNonRoot and image will run as root";

	if (!json_bool(security_field(in->pod, in->c, "runAsNonRoot"), false))
		return 0;
	str_cut(json_str(json_at(in->image, "User")), ':', &user, &group);
	if (!own && user.n && !number(user, &uid))
		return err_set(err, ERR_INVALID,
			       "container has runAsNonRoot and image has non-numeric user (%.*s), "
			       "cannot verify user is non-root (pod: \"%.*s_%.*s(%.*s)\", "
			       "container: %.*s)",
			       STR_ARG(user), STR_ARG(in->pod->name), STR_ARG(in->pod->namespace),
			       STR_ARG(in->pod->uid), STR_ARG(in->c->name));
	if (u->uid != 0)
		return 0;
	if (own)
		why = "container's runAsUser breaks non-root policy";
	return err_set(err, ERR_INVALID, "%s (pod: \"%.*s_%.*s(%.*s)\", container: %.*s)", why,
		       STR_ARG(in->pod->name), STR_ARG(in->pod->namespace), STR_ARG(in->pod->uid),
		       STR_ARG(in->c->name));
}

int user_of(const struct user_in *in, struct oci_user *ret, struct err *err)
{
	const struct json *uid = security_field(in->pod, in->c, "runAsUser");
	const struct json *gid = security_field(in->pod, in->c, "runAsGroup");
	const struct json *pod = json_at(in->pod->spec, "securityContext");
	const struct json *more = json_at(pod, "supplementalGroups");
	struct str name = STR_NONE, line;

	*ret = (struct oci_user){0};
	if (uid) {
		ret->uid = (uint32_t)json_int(uid, 0);
		char text[16];
		int n = snprintf(text, sizeof(text), "%u", ret->uid);
		if (find_line(in->passwd, (struct str){text, (size_t)n}, &line)) {
			(void)number(field(line, 3), &ret->gid);
			name = field(line, 0);
		}
	} else if (from_image(in, json_str(json_at(in->image, "User")), ret, &name, err)) {
		return -1;
	}
	if (gid)
		ret->gid = (uint32_t)json_int(gid, 0);
	if (check_non_root(in, ret, err))
		return -1;
	if (!str_is(json_str(json_at(pod, "supplementalGroupsPolicy")), "Strict"))
		listed_groups(in->group, name, ret);
	for (size_t i = 0; i < json_len(more); i++)
		add_group(ret, (uint32_t)json_int(json_item(more, i), 0));
	if (json_at(pod, "fsGroup"))
		add_group(ret, (uint32_t)json_int(json_at(pod, "fsGroup"), 0));
	return 0;
}
