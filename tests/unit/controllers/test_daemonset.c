/* The DaemonSet controller over plain lists. */
#include "fake.h"

extern const struct controller controller_daemonset;

#define DS                                                                                         \
	"{'apiVersion':'apps/v1','kind':'DaemonSet','metadata':{'name':'agent','namespace':'a',"   \
	"'uid':'ds-1','generation':1},'spec':{'selector':{'matchLabels':{'app':'agent'}},"         \
	"'updateStrategy':{'type':'RollingUpdate','rollingUpdate':{'maxUnavailable':1,"            \
	"'maxSurge':0}},'template':{'metadata':{'labels':{'app':'agent'}},"                        \
	"'spec':{'containers':[{'name':'c','image':'i:1'}]}}}}"
#define NEW_TEMPLATE "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'i:2'}]}}}}"

static void node(struct fake *f, const char *name, const char *rest)
{
	char text[500];

	snprintf(text, sizeof(text),
		 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s','uid':'%s',"
		 "'labels':{'name':'%s'}}%s}",
		 name, name, name, rest);
	fake_add(f, &res_nodes, text);
}

static struct fake *start(int nodes)
{
	struct fake *f = fake_new(&controller_daemonset);

	fake_add(f, &res_daemonsets, DS);
	for (int i = 0; i < nodes; i++)
		node(f, (const char *[]){"n0", "n1", "n2", "n3"}[i], "");
	return f;
}

static const struct json *status(struct fake *f)
{
	return json_at(fake_get(f, &res_daemonsets, "a", "agent"), "status");
}

static int64_t count(struct fake *f, const char *field)
{
	return json_int(json_get(status(f), str_c(field)), 0);
}

static struct str node_of(const struct json *pod)
{
	const struct json *terms =
		json_at(json_at(pod, "spec", "affinity", "nodeAffinity",
				"requiredDuringSchedulingIgnoredDuringExecution"),
			"nodeSelectorTerms");
	const struct json *fields = json_at(json_item(terms, 0), "matchFields");

	return json_str(json_item(json_at(json_item(fields, 0), "values"), 0));
}

/* Every pod runs on the node that it is meant for, and is ready. */
static void run_all(struct fake *f)
{
	char text[TIME_TEXT_MAX];

	for (size_t i = 0; i < f->n; i++) {
		struct json *new;

		if (f->v[i].r != &res_pods)
			continue;
		new = json_copy(&f->arena, f->v[i].tree);
		json_set_str(&f->arena, json_set_object(&f->arena, new, "spec"), "nodeName",
			     node_of(new));
		json_set(&f->arena, new, STR("status"),
			 json_build(&f->arena, "{s:s, s:[{s:s, s:s, s:S}]}", "phase", "Running",
				    "conditions", "type", "Ready", "status", "True",
				    "lastTransitionTime", time_format(f->now_ns, text)));
		fake_stamp(f, new);
		f->v[i].tree = new;
	}
	fake_settle(f, "a", "agent");
}

static size_t with_image(struct fake *f, const char *image)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].r == &res_pods &&
		     str_is(json_str(json_at(
				    json_item(json_at(f->v[i].tree, "spec", "containers"), 0),
				    "image")),
			    image);
	return n;
}

void test_daemonset__a_pod_on_every_node(void **state)
{
	struct fake *f = start(3);

	(void)state;
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 3);
	assert_int_equal(fake_count(f, &res_controllerrevisions), 1);
	assert_int_equal(count(f, "desiredNumberScheduled"), 3);
	assert_int_equal(count(f, "numberUnavailable"), 3);
	run_all(f);
	assert_int_equal(count(f, "numberReady"), 3);
	assert_int_equal(count(f, "numberAvailable"), 3);
	assert_int_equal(count(f, "updatedNumberScheduled"), 3);
	node(f, "n3", "");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 4);
	fake_free(f);
}

void test_daemonset__taints_and_selectors_keep_it_off(void **state)
{
	struct fake *f = start(1);

	(void)state;
	node(f, "n1", ",'spec':{'taints':[{'key':'x','effect':'NoSchedule'}]}");
	node(f, "n2",
	     ",'spec':{'taints':[{'key':'node.kubernetes.io/unschedulable',"
	     "'effect':'NoSchedule'}]}");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 2); /* n0, and n2 whose taint daemons bear */
	run_all(f);
	fake_merge(f, &res_daemonsets, "a", "agent",
		   "{'spec':{'template':{'spec':{'nodeSelector':{'name':'n2'}}}}}");
	fake_settle(f, "a", "agent");
	run_all(f);
	run_all(f);
	assert_int_equal(fake_count(f, &res_pods), 1);
	assert_int_equal(count(f, "desiredNumberScheduled"), 1);
	fake_free(f);
}

void test_daemonset__a_taint_that_evicts_takes_the_pod_away(void **state)
{
	struct fake *f = start(2);

	(void)state;
	fake_settle(f, "a", "agent");
	run_all(f);
	fake_merge(f, &res_nodes, "", "n1",
		   "{'spec':{'taints':[{'key':'x','effect':'NoSchedule'}]}}");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 2);
	assert_int_equal(count(f, "numberMisscheduled"), 1);
	fake_merge(f, &res_nodes, "", "n1",
		   "{'spec':{'taints':[{'key':'x','effect':'NoExecute'}]}}");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 1);
	fake_free(f);
}

void test_daemonset__rolls_one_node_at_a_time(void **state)
{
	struct fake *f = start(3);

	(void)state;
	fake_settle(f, "a", "agent");
	run_all(f);
	fake_merge(f, &res_daemonsets, "a", "agent", NEW_TEMPLATE);
	for (size_t done = 1; done <= 3; done++) {
		fake_settle(f, "a", "agent");
		assert_int_equal(with_image(f, "i:2"), done);
		assert_int_equal(count(f, "numberAvailable"), 2);
		run_all(f);
	}
	assert_int_equal(with_image(f, "i:1"), 0);
	assert_int_equal(count(f, "updatedNumberScheduled"), 3);
	assert_int_equal(count(f, "numberAvailable"), 3);
	assert_int_equal(fake_count(f, &res_controllerrevisions), 2);
	fake_free(f);
}

void test_daemonset__surge_brings_the_new_pod_first(void **state)
{
	struct fake *f = start(2);

	(void)state;
	fake_settle(f, "a", "agent");
	run_all(f);
	fake_merge(f, &res_daemonsets, "a", "agent",
		   "{'spec':{'updateStrategy':{'rollingUpdate':{'maxUnavailable':0,"
		   "'maxSurge':1}}}}");
	fake_merge(f, &res_daemonsets, "a", "agent", NEW_TEMPLATE);
	fake_settle(f, "a", "agent");
	assert_int_equal(with_image(f, "i:2"), 1);
	assert_int_equal(with_image(f, "i:1"), 2);
	run_all(f);
	assert_int_equal(with_image(f, "i:2"), 2);
	assert_int_equal(with_image(f, "i:1"), 1);
	run_all(f);
	assert_int_equal(with_image(f, "i:1"), 0);
	assert_int_equal(fake_count(f, &res_pods), 2);
	fake_free(f);
}

/* kubectl and Kubernetes' tests look for the present revision by its bytes: as Go writes the
 * template, keys in order and with a metadata's time stamp. */
void test_daemonset__a_revision_keeps_the_bytes_that_clients_compare(void **state)
{
	struct fake *f = start(1);
	AUTO(buf) struct buf kept = {0}, sorted = {0};

	(void)state;
	fake_settle(f, "a", "agent");
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].r != &res_controllerrevisions)
			continue;
		json_write(json_at(f->v[i].tree, "data"), &kept);
		json_write_sorted(json_at(f->v[i].tree, "data"), &sorted);
	}
	assert_true(str_eq(buf_view(&kept), buf_view(&sorted)));
	assert_true(
		str_starts(buf_view(&kept), STR("{\"spec\":{\"template\":{\"$patch\":\"replace\","
						"\"metadata\":{\"creationTimestamp\":null,")));
	fake_free(f);
}

/* Going back to an earlier template makes no new revision: the old one becomes the newest. */
void test_daemonset__undoing_numbers_the_old_revision_anew(void **state)
{
	struct fake *f = start(1);
	int64_t highest = 0;

	(void)state;
	fake_settle(f, "a", "agent");
	fake_merge(f, &res_daemonsets, "a", "agent", NEW_TEMPLATE);
	fake_settle(f, "a", "agent");
	fake_merge(f, &res_daemonsets, "a", "agent",
		   "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'i:1'}]}}}}");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_controllerrevisions), 2);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_controllerrevisions)
			highest = MAX(highest, json_int(json_at(f->v[i].tree, "revision"), 0));
	assert_int_equal(highest, 3);
	fake_free(f);
}

/* `kubectl rollout history` shows why, from the annotations of the time. */
void test_daemonset__a_revision_keeps_the_cause(void **state)
{
	struct fake *f = start(1);

	(void)state;
	fake_merge(f, &res_daemonsets, "a", "agent",
		   "{'metadata':{'annotations':{'kubernetes.io/change-cause':'because'}}}");
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_controllerrevisions), 1);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_controllerrevisions)
			assert_true(
				str_is(meta_annotation(f->v[i].tree, "kubernetes.io/change-cause"),
				       "because"));
	fake_free(f);
}

void test_daemonset__a_failed_pod_makes_way(void **state)
{
	struct fake *f = start(1);
	const char *name = NULL;

	(void)state;
	fake_settle(f, "a", "agent");
	run_all(f);
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].r == &res_pods)
			name = arena_cstr(&f->arena, meta_name(f->v[i].tree));
	fake_merge(f, &res_pods, "a", name, "{'status':{'phase':'Failed'}}");
	f->now_ns += 10 * NS_PER_S;
	fake_run(f, "a", "agent");
	assert_true(fake_had_event(f, "FailedDaemonPod"));
	fake_settle(f, "a", "agent");
	assert_int_equal(fake_count(f, &res_pods), 1);
	assert_null(fake_get(f, &res_pods, "a", name)); /* who waits for it to go sees it gone */
	assert_int_equal(count(f, "numberReady"), 0);
	fake_free(f);
}
