/* Pods and nodes for scheduler tests, written as JSON with ' for ". */
#ifndef SCHED_CLUSTER_H
#define SCHED_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scheduler/core.h"

static struct obj *make(const char *kind, const char *name, const char *meta, const char *rest)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	char *text = arena_printf(&a,
				  "{'apiVersion':'v1','kind':'%s','metadata':{'name':'%s',"
				  "'uid':'uid-%s'%s%s%s},%s}",
				  kind, name, name, strcmp(kind, "Pod") ? "" : ",'namespace':'a'",
				  meta[0] ? "," : "", meta, rest);
	struct obj *o;

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	o = obj_from_bytes(str_c(text), &err);
	if (!o)
		fail_msg("%s: %s", err.msg, text);
	return o;
}

UNUSED static void add_node_with(struct sched_cache *c, const char *name, const char *labels,
				 const char *spec, const char *allocatable)
{
	AUTO(arena) struct arena a = {0};
	struct obj *o = make(
		"Node", name, arena_printf(&a, "'labels':{%s}", labels),
		arena_printf(&a, "'spec':{%s},'status':{'allocatable':{%s}}", spec, allocatable));

	sched_cache_set_node(c, o);
	obj_unref(o);
}

UNUSED static void add_node(struct sched_cache *c, const char *name)
{
	add_node_with(c, name, "", "", "'cpu':'2','memory':'4Gi','pods':'10'");
}

/* meta: more of metadata; spec: fields of the spec. */
UNUSED static struct sched_pod *make_pod(const char *name, const char *meta, const char *spec)
{
	AUTO(arena) struct arena a = {0};
	struct obj *o = make("Pod", name, meta, arena_printf(&a, "'spec':{%s}", spec));
	struct sched_pod *p = sched_pod_new(o);

	obj_unref(o);
	return p;
}

UNUSED static struct sched_pod *pod_asking(const char *name, const char *cpu, const char *memory)
{
	AUTO(arena) struct arena a = {0};

	return make_pod(name, "",
			arena_printf(&a,
				     "'containers':[{'name':'c','resources':{'requests':"
				     "{'cpu':'%s','memory':'%s'}}}]",
				     cpu, memory));
}

/* Picks and, when a node is found, accounts for the pod there. Takes the pod over. "" = none. */
UNUSED static const char *place(struct sched_cache *c, struct sched_pod *p, uint64_t seed,
				struct arena *a)
{
	struct sched_result r;
	const char *name = "";

	sched_pick(c, p, seed, a, &r);
	if (r.node) {
		name = arena_cstr(a, r.node->name);
		sched_cache_set_pod(c, p, r.node->name);
	}
	sched_pod_unref(p);
	return name;
}

/* Why a pod fits nowhere. Takes the pod over. */
UNUSED static const char *why_not(struct sched_cache *c, struct sched_pod *p, struct arena *a)
{
	struct sched_result r;

	sched_pick(c, p, 1, a, &r);
	assert_null(r.node);
	sched_pod_unref(p);
	return arena_cstr(a, r.message);
}

#endif
