/*
 * The audit log: who asked for what and what came of it, as Kubernetes' audit.k8s.io/v1 Events, one
 * a line. A policy says how much of which request; a thread writes and rotates the file.
 */
#ifndef PLUMB_APISERVER_AUDIT_H
#define PLUMB_APISERVER_AUDIT_H

#include "apiserver/admission/admission.h"
#include "lib/base/buf.h"

/* ---- audit_policy.c: pure ---- */
enum audit_level { AUDIT_NONE, AUDIT_METADATA, AUDIT_REQUEST, AUDIT_RESPONSE };
enum audit_stage { AUDIT_RECEIVED, AUDIT_STARTED, AUDIT_COMPLETE };

struct audit_policy;
/* audit.k8s.io/v1 Policy, YAML or JSON. */
struct audit_policy *audit_policy_new(struct str text, struct err *err);
void audit_policy_free(struct audit_policy *p);

struct audit_ask {
	const struct admission_user *user;
	struct str verb;
	struct str group, resource, subresource, namespace, name;
	struct str path; /* of a request for no resource; else STR_NONE */
};
struct audit_verdict {
	enum audit_level level;
	unsigned omit; /* bit 1 << stage */
	bool omit_managed;
};
struct audit_verdict audit_policy_find(const struct audit_policy *p, const struct audit_ask *q);

/* ---- audit_event.c: pure ---- */
struct audit_event {
	enum audit_level level;
	enum audit_stage stage;
	const char *id;
	struct audit_ask ask;                 /* its user is who came in */
	const struct admission_user *acts_as; /* whom they impersonate, or NULL */
	struct str uri, source, user_agent, version;
	int64_t received_ns, now_ns;
	int code;                                 /* 0 = no answer yet */
	struct str status_message, status_reason; /* of a failure */
	const char *decision;                     /* "allow", "forbid", or NULL = not asked */
	struct str why;
	struct str notes;             /* more annotations: members of a JSON object, or STR_NONE */
	struct str request, response; /* JSON, or STR_NONE */
	bool omit_managed;            /* bodies are shown without managedFields */
};
/* A line with its end. */
void audit_event_write(const struct audit_event *e, struct buf *out);
/* False for what holds secrets: its bodies stay out whatever the policy says. */
bool audit_may_show(const struct audit_ask *q);

/* ---- audit_log.c ---- */
struct audit_log_opts {
	const char *path;                               /* "-" = standard output */
	int64_t max_age_days, max_backups, max_size_mb; /* 0 = no limit; size 0 = 100 */
	bool blocking; /* who finds the queue full waits; else the event is lost and counted */
};
struct audit_log;
struct audit_log *audit_log_new(const struct audit_log_opts *o, struct err *err);
/* Any thread: takes the text. */
void audit_log_put(struct audit_log *l, struct str lines);
/* Writes what is queued. */
void audit_log_free(struct audit_log *l);

#endif
