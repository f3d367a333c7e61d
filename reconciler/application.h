/*
 * Argo CD's Applications, read as what the engine works on: a Kustomization's fields. Pure. What
 * an Application asks for that cannot be done is an error, never left out.
 */
#ifndef PLUMB_RECONCILER_APPLICATION_H
#define PLUMB_RECONCILER_APPLICATION_H

#include "lib/json/json.h"

#define ARGO_FINALIZER                                                                             \
	"resources-finalizer.argocd.argoproj.io" /* also /foreground, /background                  \
						  */
#define ARGO_TRACKING "argocd.argoproj.io/tracking-id"
#define ARGO_OPTIONS "argocd.argoproj.io/sync-options"
#define ARGO_WAVE "argocd.argoproj.io/sync-wave"
#define ARGO_HOOK "argocd.argoproj.io/hook"
#define ARGO_HOOK_DELETE "argocd.argoproj.io/hook-delete-policy"
#define ARGO_REFRESH "argocd.argoproj.io/refresh"
#define ARGO_SKIP_RECONCILE "argocd.argoproj.io/skip-reconcile"
#define ARGO_IGNORE_HEALTH "argocd.argoproj.io/ignore-healthcheck"
#define ARGO_PRE_DELETE_FINALIZER "pre-delete-finalizer.argocd.argoproj.io"   /* also /cleanup */
#define ARGO_POST_DELETE_FINALIZER "post-delete-finalizer.argocd.argoproj.io" /* the same */
#define ARGO_COMPARE "argocd.argoproj.io/compare-options"
/* On an Application: what Prune=confirm waits for. */
#define ARGO_CONFIRMED "argocd.argoproj.io/deletion-approved"
/* On an Application: others that must be ready first, "name" or "namespace/name", by commas. */
#define APP_DEPENDS "plumb.dev/depends-on"
/* On an Application: the limit for each hook, and for the health of a wave. */
#define APP_TIMEOUT "plumb.dev/timeout"
#define ARGO_CLUSTER "https://kubernetes.default.svc"
#define APP_HISTORY 10

/*
 * The Application as a Kustomization: its own metadata and status, and the spec that says the same
 * in the engine's words. spec.argo holds what only run_argo.c and argo_*.c look at:
 *
 *   automated prune selfHeal    what the sync policy says
 *   options                     of syncPolicy and of the operation: {"CreateNamespace": "true"}
 *   namespace                   for objects that name none
 *   directory                   {recurse, include, exclude}, or absent
 *   overlay                     what is added to the kustomization at the path
 *   operation                   the sync that is asked for, or absent
 *   retry                       {limit, backoff}, or absent
 *
 * -1 with what is wrong with it, worded for its condition; *ret still holds metadata and status.
 */
MUST_USE int application_translate(struct arena *a, const struct json *app, struct json **ret,
				   struct err *err);

/* The source of an Application's spec: the first of `sources`, where there are any; or NULL. */
const struct json *application_source(const struct json *spec);

/* What it says that has no effect, added to a list of {type, message}: application_warn.c. */
void application_unheeded(struct arena *a, const struct json *app, struct json *list);

/* The GitRepository that spec.sourceRef names: {metadata, spec}. */
struct json *application_repository(struct arena *a, const struct json *translated);

/* "*", "?", "[a-z]", "{a,b}"; a star stops at '/' when `path`, but for "**". */
bool argo_glob(struct str pattern, struct str text, bool path);

/* One option of the annotation ARGO_OPTIONS: "Prune=false" is in "Prune=false,Replace=true". */
bool argo_option(const struct json *object, const char *option);
/* What the annotation says of one: "false" of "Prune"; STR_NONE. */
struct str argo_option_value(const struct json *object, const char *key);
/* "Key=value", both of which Argo CD knows. */
bool argo_option_known(struct str option);
/* The first of the annotation that isn't known; STR_NONE. */
struct str argo_option_strange(const struct json *object);
/* -2147483648 … 2147483647; 0 when it says none, or nonsense. */
int argo_wave(const struct json *object);

/* ---- hook_words.c ---- */
enum argo_phase {
	ARGO_PRE,
	ARGO_SYNC,
	ARGO_POST,
	ARGO_FAIL,
	ARGO_PRE_DELETE,
	ARGO_POST_DELETE,
	ARGO_PHASE_MAX
};
#define ARGO_IS_HOOK (1u << ARGO_PHASE_MAX)
/*
 * 0: no hook. Else ARGO_IS_HOOK and a bit for each phase that it is of; of none: it is never
 * applied. *ret_strange, unless NULL, is a word that is none, or STR_NONE.
 */
unsigned argo_hook_phases(const struct json *object, struct str *ret_strange);
/* when: BeforeHookCreation, HookSucceeded, HookFailed. */
bool argo_hook_goes(const struct json *object, const char *when);
int argo_hook_wave(const struct json *object);
const char *argo_phase_name(enum argo_phase phase);
/* ---- argo_words.c ---- */
/* One word of a list by commas. */
bool argo_says(struct str list, const char *word);
/* "app:group/Kind:namespace/name" */
struct str argo_tracking(struct arena *a, struct str app, const struct json *object);

/* Whether a pointer lies in what the Application ignores: spec.ignore of the translation. */
bool argo_ignores(const struct json *ignore, const struct json *object, struct str pointer,
		  struct str manager);
/* Puts a live value, or none, in the place of what `tree` says there, if it says something. */
bool argo_keep_value(struct arena *a, struct json *tree, struct str path, const struct json *from);
/* Takes over into `tree` what is live at the pointers that are ignored. True when it changed. */
bool argo_keep_ignored(struct arena *a, const struct json *ignore, struct json *tree,
		       const struct json *live);

#endif
