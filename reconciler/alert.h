/*
 * Telling others what became of revisions: Flux' Alerts and Providers (HTTP endpoints, chats that
 * take Slack's messages, forges' commit statuses), and a commit status wherever a source has a
 * forge of its own. On the role's loop; the engine's.
 */
#ifndef PLUMB_RECONCILER_ALERT_H
#define PLUMB_RECONCILER_ALERT_H

#include "reconciler/engine.h"

struct alerts;
struct alerts *alerts_start(struct reconciler *r);
void alerts_free(struct alerts *a);

/* What a Kustomization has to say; texts are redacted already and borrowed. */
struct alert_event {
	bool error;
	const char *reason;
	struct str message, revision, origin; /* origin: of an OCI artifact, or empty */
	int64_t wall_ns;
};
void alert_unit(struct unit *u, const struct alert_event *e);
void alert_source(struct source *s, const struct alert_event *e);

/* ---- alert_text.c: pure ---- */
struct alert_about {
	struct str api_version, kind, namespace, name, uid;
};
/* Flux' event, as its generic provider posts it. In `a`. */
struct json *alert_generic(struct arena *a, const struct alert_about *about,
			   const struct alert_event *e, const struct json *metadata,
			   struct str summary);
/* A message as Slack takes it; channel and username may be empty. In `a`. */
struct json *alert_slack(struct arena *a, const struct alert_about *about,
			 const struct alert_event *e, const struct json *provider,
			 const struct json *metadata, struct str summary);
/* ---- alert_chat.c: pure ---- */
struct alert_more {
	const struct json *metadata; /* of the Alert, or NULL */
	struct str summary;
};
/* What msteams, googlechat and lark take; NULL for any other type. In `a`. */
struct json *alert_chat(struct arena *a, struct str type, const struct alert_about *about,
			const struct alert_event *e, const struct alert_more *more);
/* ---- alert_text.c ---- */
/* Where a Provider of this type takes it. In `a`, or as it is. */
struct str alert_address(struct arena *a, struct str type, struct str address);
bool alert_is_forge(struct str type);
/* specs: ERR_UNSUPPORTED names what of them is not done. */
MUST_USE int alert_provider_check(const struct json *spec, struct err *err);
MUST_USE int alert_check(const struct json *spec, struct err *err);
/* spec of an Alert: whether this is told. Expressions are POSIX extended, without references; one
 * that is none matches nothing. */
bool alert_wants(const struct json *spec, struct str alert_namespace,
		 const struct alert_about *about, const struct json *labels,
		 const struct alert_event *e);
/* The commit in "main@sha1:…"; STR_NONE. */
struct str alert_commit(struct str revision);

#endif
