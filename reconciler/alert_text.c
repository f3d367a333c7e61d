/*
 * What alerts say, and which are wanted. Pure, but for compiling expressions, which stays within
 * bounds: their length, the text they see, and no references back. Memory is the caller's arena.
 */
#include <regex.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "reconciler/alert.h"

#include "lib/base/pure.h"

#define PATTERN_MAX 200
#define PATTERNS_MAX 20
#define SEEN_MAX 2000

struct str alert_commit(struct str revision)
{
	ptrdiff_t at = str_find(revision, STR("sha1:"));
	struct str commit = at < 0 ? STR_NONE : str_sub(revision, (size_t)at + 5, revision.n);

	for (size_t i = 0; i < commit.n; i++) {
		if (!((commit.p[i] >= '0' && commit.p[i] <= '9') ||
		      (commit.p[i] >= 'a' && commit.p[i] <= 'f')))
			return STR_NONE;
	}
	return commit.n == 40 ? commit : STR_NONE;
}

struct json *alert_generic(struct arena *a, const struct alert_about *about,
			   const struct alert_event *e, const struct json *metadata,
			   struct str summary)
{
	char when[TIME_TEXT_MAX];
	struct json *facts = metadata ? json_copy(a, metadata) : json_new(a, JSON_OBJECT);
	struct json *who = json_build(a, "{s:S,s:S,s:S,s:S,s:S}", "apiVersion", about->api_version,
				      "kind", about->kind, "namespace", about->namespace, "name",
				      about->name, "uid", about->uid);

	if (e->revision.n)
		json_set_str(a, facts, "kustomize.toolkit.fluxcd.io/revision", e->revision);
	if (e->origin.n)
		json_set_str(a, facts, "kustomize.toolkit.fluxcd.io/originRevision", e->origin);
	if (summary.n)
		json_set_str(a, facts, "summary", summary);
	return json_build(a, "{s:o,s:s,s:S,s:S,s:s,s:o,s:s}", "involvedObject", who, "severity",
			  e->error ? "error" : "info", "timestamp", time_format(e->wall_ns, when),
			  "message", e->message, "reason", e->reason, "metadata", facts,
			  "reportingController", "plumb-reconciler");
}

static void add_field(struct arena *a, struct json *fields, struct str title, struct str value)
{
	if (value.n)
		json_append(a, fields,
			    json_build(a, "{s:S,s:S,s:b}", "title", title, "value", value, "short",
				       false));
}

struct json *alert_slack(struct arena *a, const struct alert_about *about,
			 const struct alert_event *e, const struct json *provider,
			 const struct json *metadata, struct str summary)
{
	struct json_member *m = json_members(metadata);
	struct str channel = json_str(json_get(provider, STR("channel"))),
		   username = json_str(json_get(provider, STR("username")));
	struct json *card = json_build(a, "{s:s,s:S,s:S,s:[s]}", "color",
				       e->error ? "danger" : "good", "author_name",
				       arena_strf(a, "%.*s/%.*s.%.*s", STR_ARG(about->kind),
						  STR_ARG(about->name), STR_ARG(about->namespace)),
				       "text", str_sub(e->message, 0, 3000), "mrkdwn_in", "text");
	struct json *v = json_new(a, JSON_OBJECT), *fields;

	if (channel.n)
		json_set_str(a, v, "channel", channel);
	json_set_str(a, v, "username", username.n ? username : STR("plumb"));
	fields = json_set_array(a, card, "fields");
	add_field(a, fields, STR("revision"), e->revision);
	for (size_t i = 0; m && i < json_len(metadata); i++)
		add_field(a, fields, m[i].key, json_str(&m[i].value));
	add_field(a, fields, STR("summary"), summary);
	json_append(a, json_set_array(a, v, "attachments"), card);
	return v;
}

struct str alert_address(struct arena *a, struct str type, struct str address)
{
	/* Discord takes Slack's messages there, and nothing of the kind at the address itself. */
	if (!str_is(type, "discord") || !address.n || str_ends(address, STR("/slack")))
		return address;
	return arena_strf(a, "%.*s%sslack", STR_ARG(address),
			  str_ends(address, STR("/")) ? "" : "/");
}

/* ---- which are wanted ---- */

static bool pattern_valid(struct str p)
{
	for (size_t i = 0; i + 1 < p.n; i++) {
		if (p.p[i] == '\\' && p.p[i + 1] >= '0' && p.p[i + 1] <= '9')
			return false;
		/* Repetitions of repetitions grow beyond all bounds. */
		if (p.p[i] == '{')
			return false;
	}
	return p.n && p.n <= PATTERN_MAX;
}

static bool any_matches(struct arena *a, const struct json *list, struct str text)
{
	const char *seen = arena_cstr(a, str_sub(text, 0, SEEN_MAX));

	for (size_t i = 0; i < json_len(list) && i < PATTERNS_MAX; i++) {
		struct str p = json_str(json_item(list, i));
		bool found;
		regex_t re;

		if (!pattern_valid(p) || regcomp(&re, arena_cstr(a, p), REG_EXTENDED | REG_NOSUB))
			continue;
		found = !regexec(&re, seen, 0, NULL, 0);
		regfree(&re);
		if (found)
			return true;
	}
	return false;
}

static bool about_it(const struct json *source, struct str alert_namespace,
		     const struct alert_about *about, const struct json *labels)
{
	struct str ns = json_str_or(json_get(source, STR("namespace")), alert_namespace),
		   name = json_str(json_get(source, STR("name")));
	const struct json *wanted = json_get(source, STR("matchLabels"));
	struct json_member *m = json_members(wanted);

	if (!str_eq(json_str(json_get(source, STR("kind"))), about->kind) ||
	    !str_eq(ns, about->namespace))
		return false;
	if (!str_is(name, "*"))
		return str_eq(name, about->name);
	for (size_t i = 0; m && i < json_len(wanted); i++) {
		if (!str_eq(json_str(json_get(labels, m[i].key)), json_str(&m[i].value)))
			return false;
	}
	return true;
}

bool alert_wants(const struct json *spec, struct str alert_namespace,
		 const struct alert_about *about, const struct json *labels,
		 const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	const struct json *sources = json_get(spec, STR("eventSources")),
			  *only = json_get(spec, STR("inclusionList"));
	bool named = false;

	if (json_bool(json_get(spec, STR("suspend")), false))
		return false;
	if (!e->error && str_is(json_str(json_get(spec, STR("eventSeverity"))), "error"))
		return false;
	for (size_t i = 0; i < json_len(sources); i++)
		named |= about_it(json_item(sources, i), alert_namespace, about, labels);
	if (!named || (json_len(only) && !any_matches(&a, only, e->message)))
		return false;
	return !any_matches(&a, json_get(spec, STR("exclusionList")), e->message);
}

/* ---- what is not done ---- */

bool alert_is_forge(struct str type)
{
	return str_is(type, "github") || str_is(type, "gitlab") || str_is(type, "gitea") ||
	       str_is(type, "forgejo");
}

int alert_provider_check(const struct json *spec, struct err *err)
{
	static const char *const types[] = {"generic", "generic-hmac", "slack",      "rocket",
					    "discord", "msteams",      "googlechat", "lark"};
	static const char *const refused[] = {"commitStatusExpr", "serviceAccountName"};
	struct str type = json_str(json_get(spec, STR("type")));
	bool known = alert_is_forge(type);

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known |= str_is(type, types[i]);
	if (!known)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.type: Plumb does not tell %.*s; it does tell generic, "
			       "generic-hmac, slack, rocket, discord, msteams, googlechat, lark, "
			       "github, gitlab, gitea and forgejo",
			       STR_ARG(str_sub(type, 0, 40)));
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (json_str(json_get(spec, str_c(refused[i]))).n)
			return err_set(err, ERR_UNSUPPORTED, "spec.%s is not supported by Plumb",
				       refused[i]);
	}
	if (!json_str(json_get(spec, STR("address"))).n &&
	    !json_str(json_at(spec, "secretRef", "name")).n)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.address is missing, and no spec.secretRef could hold it");
	return 0;
}

static int check_patterns(const struct json *spec, const char *field, struct err *err)
{
	const struct json *list = json_get(spec, str_c(field));

	for (size_t i = 0; i < json_len(list); i++) {
		struct str p = json_str(json_item(list, i));
		AUTO(arena) struct arena a = {0};
		regex_t re;

		if (i >= PATTERNS_MAX)
			return err_set(err, ERR_UNSUPPORTED, "spec.%s: only the first %d count",
				       field, PATTERNS_MAX);
		if (!pattern_valid(p) || regcomp(&re, arena_cstr(&a, p), REG_EXTENDED | REG_NOSUB))
			return err_set(err, ERR_UNSUPPORTED,
				       "spec.%s[%zu] matches nothing: a POSIX extended expression "
				       "without counts in braces and references is expected",
				       field, i);
		regfree(&re);
	}
	return 0;
}

int alert_check(const struct json *spec, struct err *err)
{
	static const char *const kinds[] = {"Kustomization", "GitRepository", "OCIRepository",
					    "Application"};
	const struct json *sources = json_get(spec, STR("eventSources"));

	for (size_t i = 0; i < json_len(sources); i++) {
		struct str kind = json_str(json_get(json_item(sources, i), STR("kind")));
		bool known = false;

		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			known |= str_is(kind, kinds[k]);
		if (!known)
			return err_set(
				err, ERR_UNSUPPORTED,
				"spec.eventSources[%zu]: there are no events of %.*s; those of "
				"Kustomization, GitRepository, OCIRepository and Application "
				"are told",
				i, STR_ARG(str_sub(kind, 0, 40)));
	}
	return check_patterns(spec, "inclusionList", err) ||
			       check_patterns(spec, "exclusionList", err)
		       ? -1
		       : 0;
}
