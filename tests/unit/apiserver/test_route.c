/* From method and path to what is asked for, as Kubernetes' RequestInfo reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "apiserver/core.h"

/* "verb group/version namespace resource name subresource"; "-" where there is none. */
static void leads_to(const char *method, const char *path, const char *query, const char *want)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf got = {0};
	struct core_req r = {.arena = &a};

	if (!core_route(str_c(method), str_c(path), str_c(query), &r)) {
		buf_puts(&got, "nowhere");
	} else {
		const struct str parts[] = {r.namespace, r.resource, r.name, r.subresource};

		buf_printf(&got, "%s %.*s/%.*s", core_verb_name(r.verb), STR_ARG(r.group),
			   STR_ARG(r.version));
		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			buf_printf(&got, " %.*s", parts[i].n ? (int)parts[i].n : 1,
				   parts[i].n ? parts[i].p : "-");
	}
	if (!str_is(buf_view(&got), want))
		fail_msg("%s %s?%s leads to '%s', not '%s'", method, path, query ? query : "",
			 buf_cstr(&got), want);
}

void test_route__collections_and_objects(void **state)
{
	(void)state;
	leads_to("GET", "/api/v1/pods", NULL, "list /v1 - pods - -");
	leads_to("GET", "/api/v1/pods/", NULL, "list /v1 - pods - -");
	leads_to("GET", "/api/v1/namespaces/x/pods", NULL, "list /v1 x pods - -");
	leads_to("POST", "/api/v1/namespaces/x/pods", NULL, "create /v1 x pods - -");
	leads_to("DELETE", "/api/v1/namespaces/x/pods", NULL, "deletecollection /v1 x pods - -");
	leads_to("GET", "/api/v1/namespaces/x/pods/y", NULL, "get /v1 x pods y -");
	leads_to("HEAD", "/api/v1/namespaces/x/pods/y", NULL, "get /v1 x pods y -");
	leads_to("PUT", "/api/v1/namespaces/x/pods/y", NULL, "update /v1 x pods y -");
	leads_to("PATCH", "/api/v1/namespaces/x/pods/y", NULL, "patch /v1 x pods y -");
	leads_to("DELETE", "/api/v1/namespaces/x/pods/y", NULL, "delete /v1 x pods y -");
	leads_to("GET", "/apis/apps/v1/namespaces/x/deployments/y", NULL,
		 "get apps/v1 x deployments y -");
	leads_to("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node", NULL,
		 "get rbac.authorization.k8s.io/v1 - clusterroles system:node -");
}

void test_route__namespaces_are_a_resource_too(void **state)
{
	(void)state;
	leads_to("GET", "/api/v1/namespaces", NULL, "list /v1 - namespaces - -");
	leads_to("GET", "/api/v1/namespaces/x", NULL, "get /v1 - namespaces x -");
	leads_to("PUT", "/api/v1/namespaces/x/finalize", NULL,
		 "update /v1 - namespaces x finalize");
	leads_to("PATCH", "/api/v1/namespaces/x/status", NULL, "patch /v1 - namespaces x status");
}

void test_route__subresources(void **state)
{
	(void)state;
	leads_to("GET", "/api/v1/namespaces/x/pods/y/log", "follow=true", "get /v1 x pods y log");
	leads_to("POST", "/api/v1/namespaces/x/pods/y/exec", "command=ls",
		 "create /v1 x pods y exec");
	leads_to("PUT", "/api/v1/nodes/n/status", NULL, "update /v1 - nodes n status");
	leads_to("GET", "/api/v1/namespaces/x/services/y/proxy/a/b", NULL,
		 "get /v1 x services y proxy");
	leads_to("GET", "/api/v1/namespaces/x/services/y/proxy/1/2/3/4/5/6/7/8/9/10/11/12/13", NULL,
		 "get /v1 x services y proxy");
	leads_to("GET", "/api/v1/namespaces/x/pods/y/log/more", NULL, "nowhere");
}

void test_route__watches(void **state)
{
	(void)state;
	leads_to("GET", "/api/v1/pods", "watch=true", "watch /v1 - pods - -");
	leads_to("GET", "/api/v1/pods", "watch=1&limit=5", "watch /v1 - pods - -");
	leads_to("GET", "/api/v1/pods", "watch", "watch /v1 - pods - -");
	leads_to("GET", "/api/v1/pods", "watch=false", "list /v1 - pods - -");
	leads_to("GET", "/api/v1/pods", "watch=0", "list /v1 - pods - -");
	leads_to("GET", "/api/v1/pods", "unwatch=true", "list /v1 - pods - -");
	leads_to("GET", "/api/v1/watch/pods", NULL, "watch /v1 - pods - -");
	leads_to("GET", "/api/v1/watch/namespaces/x/pods/y", NULL, "watch /v1 x pods y -");
	leads_to("GET", "/apis/apps/v1/watch/namespaces/x/deployments", NULL,
		 "watch apps/v1 x deployments - -");
	leads_to("GET", "/api/v1/namespaces/x/pods/y", "watch=true", "watch /v1 x pods y -");
	leads_to("POST", "/api/v1/namespaces/x/pods", "watch=true", "create /v1 x pods - -");
}

void test_route__what_is_no_resource_path(void **state)
{
	static const char *const paths[] = {"",
					    "/",
					    "/api",
					    "/api/v1",
					    "/api/v1/",
					    "/apis/apps/v1",
					    "/apis/apps",
					    "/healthz/ping",
					    "/openapi/v3/api/v1",
					    "api/v1/pods",
					    "/api/v1/namespaces//pods",
					    "/api/v1//pods",
					    "/api/v1/namespaces/x/pods//log",
					    "//api/v1/pods"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO(arena) struct arena a = {0};
		struct core_req r = {.arena = &a};

		/* An empty part may never stand for "all namespaces" or "the collection". */
		if (core_route(STR("GET"), str_c(paths[i]), STR_NONE, &r) &&
		    (i < 10 || !r.namespace.p || r.namespace.n || !r.name.p))
			fail_msg("'%s' leads to %.*s %.*s", paths[i], STR_ARG(r.resource),
				 STR_ARG(r.name));
	}
	leads_to("PUT", "/api/v1/namespaces/x/pods", NULL, "nowhere");
	leads_to("PATCH", "/api/v1/namespaces/x/pods", NULL, "nowhere");
	leads_to("TRACE", "/api/v1/pods", NULL, "nowhere");
}
