/*
 * Rules of webhook configurations: where a webhook is, what it is asked about, and how long. Never
 * lets in what the caller could not carry out as it is written. Pure.
 * Specification: pkg/apis/admissionregistration/validation, apiserver/pkg/util/webhook.
 */
#include "apiserver/kinds/rules_webhooks.h"

#include <string.h>

#include "apiserver/kinds/rules.h"
#include "apiserver/webhook.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define CONDITIONS_MAX 64

const struct kind_column webhooks_columns[] = {
	COL_NAME,
	COL("Webhooks", "integer", "How many webhooks it holds."),
	COL_AGE,
	{0},
};

void webhooks_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_int(c, cells, (int64_t)json_len(json_get(o, STR("webhooks"))));
	cell_age(c, cells, o);
}

/* ---- where it is ---- */

static const char *url_problem(struct str url)
{
	struct str rest = str_sub(url, 8, url.n), host, path;

	if (!str_starts(url, STR("https://")))
		return "'https' is the only allowed URL scheme; desired format: "
		       "https://host[/path]";
	if (!str_cut(rest, '/', &host, &path))
		host = rest;
	if (!host.n || host.p[0] == '?' || host.p[0] == '#')
		return "host must be specified; desired format: https://host[/path]";
	if (memchr(host.p, '@', host.n))
		return "user information is not permitted in the URL";
	if (memchr(url.p, '#', url.n))
		return "fragments are not permitted in the URL";
	if (memchr(url.p, '?', url.n))
		return "query parameters are not permitted in the URL";
	for (size_t i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
			return "must not contain blanks or control characters";
	return NULL;
}

static void check_service(struct kind_ctx *c, const struct spath *at, const struct json *service)
{
	struct spath here = SPATH_FIELD(at, "service");
	struct str path = json_str(json_get(service, STR("path")));

	if (!json_str(json_get(service, STR("name"))).n)
		rule_required(c, &here, "name", "service name is required");
	if (!json_str(json_get(service, STR("namespace"))).n)
		rule_required(c, &here, "namespace", "service namespace is required");
	rule_range(c, &here, service, "port", 1, 65535);
	if (path.n && path.p[0] != '/')
		rule_invalid(c, &here, "path", json_get(service, STR("path")),
			     "must start with a '/'");
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= ' ' || path.p[i] == '?' || path.p[i] == '#') {
			rule_invalid(c, &here, "path", json_get(service, STR("path")),
				     "must be a plain path");
			return;
		}
}

void rule_webhook_client(struct kind_ctx *c, const struct spath *at, const struct json *client)
{
	const struct json *url = json_get(client, STR("url")),
			  *service = json_get(client, STR("service"));
	bool has_url = json_is(url, JSON_STRING), has_service = json_is(service, JSON_OBJECT);

	if (has_url == has_service)
		rule_required(c, at, NULL, "exactly one of url or service is required");
	if (has_url && url_problem(json_str(url)))
		rule_invalid(c, at, "url", url, url_problem(json_str(url)));
	if (has_service)
		check_service(c, at, service);
}

/* ---- what it is asked about ---- */

static bool holds(const struct json *list, const char *text)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), text))
			return true;
	return false;
}

static void check_list(struct kind_ctx *c, const struct spath *at, const struct json *rule,
		       const char *field)
{
	const struct json *list = json_get(rule, str_c(field));

	if (!json_len(list))
		rule_required(c, at, field, NULL);
	else if (json_len(list) > 1 && holds(list, "*"))
		rule_invalid(c, at, field, list,
			     arena_printf(c->a, "if '*' is present, must not specify other %s",
					  !strcmp(field, "operations")  ? "operations"
					  : !strcmp(field, "apiGroups") ? "API groups"
									: "API versions"));
}

/* A pattern may not be covered by a wildcard beside it: whoever wrote it meant something else. */
static void check_resources(struct kind_ctx *c, const struct spath *at, const struct json *rule)
{
	const struct json *list = json_get(rule, STR("resources"));
	struct spath all = SPATH_FIELD(at, "resources");

	if (!json_len(list))
		rule_required(c, at, "resources", NULL);
	if (json_len(list) > 1 && holds(list, "*/*"))
		rule_invalid(c, at, "resources", list,
			     "if '*/*' is present, must not specify other resources");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *item = json_item(list, i);
		struct str name, sub;

		if (!json_str(item).n) {
			rule_required(c, &here, NULL, NULL);
		} else if (str_cut(json_str(item), '/', &name, &sub) && !str_is(sub, "*") &&
			   !str_is(name, "*") &&
			   (holds(list, arena_printf(c->a, "%.*s/*", STR_ARG(name))) ||
			    holds(list, arena_printf(c->a, "*/%.*s", STR_ARG(sub))))) {
			rule_invalid(c, &here, NULL, item,
				     "is covered by a wildcard of the same list");
		}
	}
}

static void check_rules(struct kind_ctx *c, const struct spath *at, const struct json *rules)
{
	struct spath all = SPATH_FIELD(at, "rules");

	for (size_t i = 0; i < json_len(rules); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *rule = json_item(rules, i);

		check_list(c, &here, rule, "operations");
		check_list(c, &here, rule, "apiGroups");
		check_list(c, &here, rule, "apiVersions");
		check_resources(c, &here, rule);
	}
}

static void check_review_versions(struct kind_ctx *c, const struct spath *at,
				  const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "admissionReviewVersions");

	if (json_len(list) && !holds(list, "v1") && !holds(list, "v1beta1"))
		rule_invalid(c, at, "admissionReviewVersions", list,
			     "must include at least one of v1, v1beta1");
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		for (size_t j = 0; j < i; j++)
			if (str_eq(json_str(json_item(list, j)), json_str(json_item(list, i)))) {
				rule_invalid(c, &here, NULL, json_item(list, i),
					     "duplicate version");
				break;
			}
	}
}

/* Expressions that this server can't judge are refused: one that is ignored would show a webhook
 * what it is not meant to see. */
static void check_conditions(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	struct spath all = SPATH_FIELD(at, "matchConditions");

	if (json_len(list) > CONDITIONS_MAX)
		schema_problem(&c->problems, "FieldValueTooMany", spath_text(c->a, &all), 0,
			       "Too many: %zu: must have at most %d items", json_len(list),
			       CONDITIONS_MAX);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *m = json_item(list, i), *name = json_get(m, STR("name")),
				  *text = json_get(m, STR("expression"));
		struct spath here = SPATH_INDEX(&all, i);
		struct err err = {0};

		if (!json_str(name).n)
			rule_required(c, &here, "name", NULL);
		else
			rule_name(c, &here, "name", name, name_check_qualified);
		if (!str_trim(json_str(text)).n)
			rule_required(c, &here, "expression", NULL);
		else if (webhook_condition_check(json_str(text), &err))
			rule_invalid(c, &here, "expression", text,
				     arena_printf(c->a, "compilation failed: %s", err.msg));
		for (size_t j = 0; j < i; j++)
			if (json_str(name).n &&
			    str_eq(json_str(json_get(json_item(list, j), STR("name"))),
				   json_str(name)))
				rule_duplicate(c, &here, "name", name);
	}
}

/* ---- one webhook ---- */

static const char *name_problem(struct str name)
{
	struct str rest = name, part;
	size_t n = 0;

	if (name_check_dns1123_subdomain(name))
		return name_check_dns1123_subdomain(name);
	while (str_next(&rest, '.', &part))
		n++;
	return n < 3 ? "should be a domain with at least three segments separated by dots" : NULL;
}

static void check_webhook(struct kind_ctx *c, const struct spath *at, const struct json *w)
{
	const struct json *timeout = json_get(w, STR("timeoutSeconds")),
			  *name = json_get(w, STR("name"));
	struct spath client = SPATH_FIELD(at, "clientConfig");
	int64_t seconds = json_int(timeout, 10);

	if (json_str(name).n && name_problem(json_str(name)))
		rule_invalid(c, at, "name", name, name_problem(json_str(name)));
	check_rules(c, at, json_get(w, STR("rules")));
	check_review_versions(c, at, json_get(w, STR("admissionReviewVersions")));
	if (!json_str(json_get(w, STR("sideEffects"))).n)
		rule_required(c, at, "sideEffects", "must specify one of None, NoneOnDryRun");
	if (timeout && (seconds < 1 || seconds > 30))
		rule_invalid(c, at, "timeoutSeconds", timeout,
			     "the timeout value must be between 1 and 30 seconds");
	rule_selector(c, at, "namespaceSelector", json_get(w, STR("namespaceSelector")));
	rule_selector(c, at, "objectSelector", json_get(w, STR("objectSelector")));
	check_conditions(c, at, json_get(w, STR("matchConditions")));
	rule_webhook_client(c, &client, json_get(w, STR("clientConfig")));
}

void webhooks_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *list = json_get(next, STR("webhooks"));
	struct spath all = {.name = STR("webhooks")};

	(void)live;
	for (size_t i = 0; i < json_len(list); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		const struct json *w = json_item(list, i), *name = json_get(w, STR("name"));

		check_webhook(c, &here, w);
		for (size_t j = 0; j < i; j++)
			if (json_str(name).n &&
			    str_eq(json_str(json_get(json_item(list, j), STR("name"))),
				   json_str(name))) {
				rule_duplicate(c, &here, "name", name);
				break;
			}
	}
}
