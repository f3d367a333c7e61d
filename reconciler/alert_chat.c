/*
 * Alerts in the words of chats that don't take Slack's: Microsoft Teams (an Adaptive Card), Google
 * Chat and Lark (plain text). Pure; in the caller's arena.
 */
#include "reconciler/alert.h"

#include "lib/base/pure.h"

#define TEXT_MAX 3000

static struct str who(struct arena *a, const struct alert_about *about)
{
	return arena_strf(a, "%.*s/%.*s.%.*s", STR_ARG(about->kind), STR_ARG(about->name),
			  STR_ARG(about->namespace));
}

static void add_fact(struct arena *a, struct json *facts, struct str title, struct str value)
{
	if (value.n)
		json_append(a, facts, json_build(a, "{s:S,s:S}", "title", title, "value", value));
}

/* [{title, value}] */
static struct json *facts_of(struct arena *a, const struct alert_event *e,
			     const struct json *metadata, struct str summary)
{
	const struct json_member *m = json_members(metadata);
	struct json *facts = json_new(a, JSON_ARRAY);

	add_fact(a, facts, STR("revision"), e->revision);
	for (size_t i = 0; m && i < json_len(metadata); i++)
		add_fact(a, facts, m[i].key, json_str(&m[i].value));
	add_fact(a, facts, STR("summary"), summary);
	return facts;
}

static struct json *teams(struct arena *a, const struct alert_about *about,
			  const struct alert_event *e, const struct json *facts)
{
	struct json *items = json_build(
		a, "[{s:s,s:S,s:s,s:s,s:b},{s:s,s:S,s:b}]", "type", "TextBlock", "text",
		who(a, about), "weight", "Bolder", "color", e->error ? "Attention" : "Good", "wrap",
		true, "type", "TextBlock", "text", str_sub(e->message, 0, TEXT_MAX), "wrap", true);
	struct json *card, *attachment;

	if (json_len(facts))
		json_append(a, items,
			    json_build(a, "{s:s,s:o}", "type", "FactSet", "facts", facts));
	card = json_build(a, "{s:s,s:s,s:s,s:o}", "$schema",
			  "http://adaptivecards.io/schemas/adaptive-card.json", "type",
			  "AdaptiveCard", "version", "1.4", "body", items);
	attachment = json_build(a, "{s:s,s:o}", "contentType",
				"application/vnd.microsoft.card.adaptive", "content", card);
	return json_build(a, "{s:s,s:[o]}", "type", "message", "attachments", attachment);
}

static struct str plain(struct arena *a, const struct alert_about *about,
			const struct alert_event *e, const struct json *facts)
{
	AUTO(buf) struct buf text = {0};

	buf_printf(&text, "%s %.*s\n%.*s", e->error ? "[error]" : "[info]", STR_ARG(who(a, about)),
		   STR_ARG(str_sub(e->message, 0, TEXT_MAX)));
	for (size_t i = 0; i < json_len(facts); i++) {
		const struct json *f = json_item(facts, i);

		buf_printf(&text, "\n%.*s: %.*s", STR_ARG(json_str(json_get(f, STR("title")))),
			   STR_ARG(json_str(json_get(f, STR("value")))));
	}
	return arena_str(a, buf_view(&text));
}

struct json *alert_chat(struct arena *a, struct str type, const struct alert_about *about,
			const struct alert_event *e, const struct alert_more *more)
{
	const struct json *facts = facts_of(a, e, more->metadata, more->summary);

	if (str_is(type, "msteams"))
		return teams(a, about, e, facts);
	if (str_is(type, "googlechat"))
		return json_build(a, "{s:S}", "text", plain(a, about, e, facts));
	if (str_is(type, "lark"))
		return json_build(a, "{s:s,s:{s:S}}", "msg_type", "text", "content", "text",
				  plain(a, about, e, facts));
	return NULL;
}
