/*
 * Reads a Pod's tree into struct pod_spec. Never trusts it: what will become a file name is
 * checked here, once, and counts are bounded. Pure; memory is the caller's arena.
 */
#include "kubelet/pod_spec.h"

#include "lib/base/quantity.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

bool path_part_ok(struct str s)
{
	if (s.n == 0 || s.n > 253 || s.p[0] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '/' || c == '\\' || c >= 0x7f)
			return false;
	}
	return true;
}

static enum restart_policy restart_of(struct str s)
{
	if (str_is(s, "OnFailure"))
		return RESTART_ON_FAILURE;
	return str_is(s, "Never") ? RESTART_NEVER : RESTART_ALWAYS;
}

static int64_t bounded(const struct json *v, int64_t otherwise, int64_t min, int64_t max)
{
	int64_t i = json_int(v, otherwise);

	return i < min ? min : MIN(i, max);
}

static void read_probe(const struct json *p, struct probe_spec *ret)
{
	static const struct {
		const char *key;
		enum probe_action action;
	} kinds[] = {{"httpGet", PROBE_HTTP},
		     {"tcpSocket", PROBE_TCP},
		     {"exec", PROBE_EXEC},
		     {"grpc", PROBE_GRPC}};

	*ret = (struct probe_spec){.grace_s = -1};
	for (size_t i = 0; i < ARRAY_LEN(kinds) && p; i++) {
		const struct json *how = json_at(p, kinds[i].key);
		if (json_is(how, JSON_OBJECT)) {
			ret->action = kinds[i].action;
			ret->how = how;
		}
	}
	if (ret->action == PROBE_NONE)
		return;
	ret->initial_s = bounded(json_at(p, "initialDelaySeconds"), 0, 0, INT32_MAX);
	ret->period_s = bounded(json_at(p, "periodSeconds"), 10, 1, INT32_MAX);
	ret->timeout_s = bounded(json_at(p, "timeoutSeconds"), 1, 1, 3600);
	ret->success = (unsigned)bounded(json_at(p, "successThreshold"), 1, 1, INT32_MAX);
	ret->failure = (unsigned)bounded(json_at(p, "failureThreshold"), 3, 1, INT32_MAX);
	ret->grace_s = bounded(json_at(p, "terminationGracePeriodSeconds"), -1, -1, INT32_MAX);
}

/* Kubernetes' default: Always for :latest and no tag, else IfNotPresent. */
static enum pull_policy pull_of(struct str policy, struct str image)
{
	struct str head, tag;

	if (str_is(policy, "Never"))
		return PULL_NEVER;
	if (str_is(policy, "IfNotPresent"))
		return PULL_IF_NOT_PRESENT;
	if (str_is(policy, "Always"))
		return PULL_ALWAYS;
	if (str_find(image, STR("@")) >= 0)
		return PULL_IF_NOT_PRESENT;
	if (!str_rcut(image, ':', &head, &tag) || str_find(tag, STR("/")) >= 0)
		return PULL_ALWAYS;
	return str_is(tag, "latest") ? PULL_ALWAYS : PULL_IF_NOT_PRESENT;
}

static int read_container(const struct json *c, struct pod_spec *s, bool init, struct err *err)
{
	struct container_spec *ret = &s->c[s->n];
	static const char *const probes[PROBE_TYPE_MAX] = {[PROBE_STARTUP] = "startupProbe",
							   [PROBE_LIVENESS] = "livenessProbe",
							   [PROBE_READINESS] = "readinessProbe"};

	*ret = (struct container_spec){.json = c, .init = init, .restart = s->restart};
	ret->name = json_str(json_at(c, "name"));
	ret->image = str_trim(json_str(json_at(c, "image")));
	if (name_check_dns1123_label(ret->name) || !path_part_ok(ret->name))
		return err_set(err, ERR_INVALID, "a container's name is not a DNS label");
	for (size_t i = 0; i < s->n; i++) {
		if (str_eq(s->c[i].name, ret->name))
			return err_set(err, ERR_INVALID, "two containers are named %.*s",
				       STR_ARG(ret->name));
	}
	ret->pull = pull_of(json_str(json_at(c, "imagePullPolicy")), ret->image);
	if (init) {
		ret->sidecar = str_is(json_str(json_at(c, "restartPolicy")), "Always");
		ret->restart = ret->sidecar                   ? RESTART_ALWAYS
			       : s->restart == RESTART_ALWAYS ? RESTART_ON_FAILURE
							      : s->restart;
	}
	ret->post_start = json_at(c, "lifecycle", "postStart");
	ret->pre_stop = json_at(c, "lifecycle", "preStop");
	if (!init || ret->sidecar) {
		for (int i = 0; i < PROBE_TYPE_MAX; i++)
			read_probe(json_at(c, probes[i]), &ret->probe[i]);
	}
	s->n++;
	return 0;
}

/* cpu and memory of one container: does it ask, and are both limits there and equal to requests? */
static void qos_of(const struct json *c, bool *asks, bool *guaranteed)
{
	static const char *const names[] = {"cpu", "memory"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct quantity limit = {0}, request = {0};
		bool has_limit =
			!quantity_parse(json_str(json_at(c, "resources", "limits", names[i])),
					&limit) &&
			limit.nano > 0;
		bool has_request =
			!quantity_parse(json_str(json_at(c, "resources", "requests", names[i])),
					&request) &&
			request.nano > 0;
		*asks |= has_limit || has_request;
		if (!has_limit || (has_request && quantity_cmp(limit, request)))
			*guaranteed = false;
	}
}

const char *pod_qos(const struct json *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	bool asks = false, guaranteed = true;

	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *list = json_at(spec, lists[l]);
		for (size_t i = 0; i < json_len(list); i++)
			qos_of(json_item(list, i), &asks, &guaranteed);
	}
	if (!asks)
		return "BestEffort";
	return guaranteed ? "Guaranteed" : "Burstable";
}

int pod_spec_read(struct arena *a, const struct json *pod, struct pod_spec *ret, struct err *err)
{
	const struct json *spec = json_at(pod, "spec");
	const struct json *init = json_at(spec, "initContainers");
	const struct json *main = json_at(spec, "containers");
	const struct json *late = json_at(spec, "ephemeralContainers");
	struct pod_spec s = {.json = pod, .spec = spec};

	s.namespace = meta_namespace(pod);
	s.name = meta_name(pod);
	s.uid = meta_uid(pod);
	if (!path_part_ok(s.namespace) || !path_part_ok(s.name) || !path_part_ok(s.uid) ||
	    s.uid.n > 63)
		return err_set(err, ERR_INVALID, "the pod's namespace, name or uid is unusable");
	if (json_len(main) == 0 ||
	    json_len(init) + json_len(main) + json_len(late) > POD_CONTAINERS_MAX ||
	    json_len(json_at(spec, "volumes")) > POD_VOLUMES_MAX)
		return err_set(err, ERR_INVALID,
			       "a pod has 1 to %d containers and at most %d volumes",
			       POD_CONTAINERS_MAX, POD_VOLUMES_MAX);
	s.restart = restart_of(json_str(json_at(spec, "restartPolicy")));
	size_t n = json_len(init) + json_len(main);
	s.c = arena_array(a, n + json_len(late), sizeof(*s.c));
	for (size_t i = 0; i < json_len(init); i++) {
		if (read_container(json_item(init, i), &s, true, err))
			return -1;
	}
	s.ninit = s.n;
	for (size_t i = 0; i < json_len(main); i++) {
		if (read_container(json_item(main, i), &s, false, err))
			return -1;
	}
	s.nmain = s.n;
	for (size_t i = 0; i < json_len(late); i++) {
		if (read_container(json_item(late, i), &s, false, err))
			return -1;
		s.c[s.n - 1].ephemeral = true;
		s.c[s.n - 1].restart = RESTART_NEVER;
	}
	s.grace_s = bounded(json_at(spec, "terminationGracePeriodSeconds"), 30, 0, INT32_MAX);
	s.deleting = json_str(json_at(pod, "metadata", "deletionTimestamp")).n > 0;
	if (s.deleting)
		s.grace_s = bounded(json_at(pod, "metadata", "deletionGracePeriodSeconds"),
				    s.grace_s, 0, INT32_MAX);
	s.deadline_s = bounded(json_at(spec, "activeDeadlineSeconds"), 0, 0, INT32_MAX);
	s.host_network = json_bool(json_at(spec, "hostNetwork"), false);
	s.host_pid = json_bool(json_at(spec, "hostPID"), false);
	s.host_ipc = json_bool(json_at(spec, "hostIPC"), false);
	s.share_pid = !s.host_pid && json_bool(json_at(spec, "shareProcessNamespace"), false);
	s.qos = pod_qos(spec);
	*ret = s;
	return 0;
}
