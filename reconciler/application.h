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

/* The GitRepository that spec.sourceRef names: {metadata, spec}. */
struct json *application_repository(struct arena *a, const struct json *translated);

/* "*", "?", "[a-z]", "{a,b}"; a star stops at '/' when `path`, but for "**". */
bool argo_glob(struct str pattern, struct str text, bool path);

/* One option of the annotation ARGO_OPTIONS: "Prune=false" is in "Prune=false,Replace=true". */
bool argo_option(const struct json *object, const char *option);
/* -2147483648 … 2147483647; 0 when it says none, or nonsense. */
int argo_wave(const struct json *object);

enum argo_phase { ARGO_PRE, ARGO_SYNC, ARGO_POST, ARGO_FAIL, ARGO_SKIP, ARGO_NONE };
/* ARGO_NONE: no hook. ARGO_SKIP: not applied at all. */
enum argo_phase argo_phase_of(const struct json *object);
/* One word of a list by commas. */
bool argo_says(struct str list, const char *word);
/* "app:group/Kind:namespace/name" */
struct str argo_tracking(struct arena *a, struct str app, const struct json *object);

/* Whether a pointer lies in what the Application ignores: spec.ignore of the translation. */
bool argo_ignores(const struct json *ignore, const struct json *object, struct str pointer,
		  struct str manager);
/* Takes over into `tree` what is live at the pointers that are ignored. True when it changed. */
bool argo_keep_ignored(struct arena *a, const struct json *ignore, struct json *tree,
		       const struct json *live);

#endif
