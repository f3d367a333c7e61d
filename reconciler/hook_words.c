/*
 * Which objects are hooks, of what, and when they go: Argo CD's annotations, and Helm's where a
 * rendered chart was committed. Annotations come from repositories: a word that is none makes a
 * hook of nothing, which is said, and is never applied as if it were a plain object. Pure.
 */
#include <limits.h>
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"

#include "lib/base/pure.h"

#define HELM_HOOK "helm.sh/hook"
#define HELM_WEIGHT "helm.sh/hook-weight"
#define HELM_DELETE "helm.sh/hook-delete-policy"

struct word {
	const char *word;
	unsigned phases;
};

/* Skip is a word, and of no phase. */
static const struct word words[] = {{"PreSync", 1u << ARGO_PRE},
				    {"Sync", 1u << ARGO_SYNC},
				    {"PostSync", 1u << ARGO_POST},
				    {"SyncFail", 1u << ARGO_FAIL},
				    {"PreDelete", 1u << ARGO_PRE_DELETE},
				    {"PostDelete", 1u << ARGO_POST_DELETE},
				    {"Skip", 0}};

/* Nothing is ever rolled back or tested here: those are left out, as Argo CD does. */
static const struct word of_helm[] = {{"pre-install", 1u << ARGO_PRE},
				      {"pre-upgrade", 1u << ARGO_PRE},
				      {"post-install", 1u << ARGO_POST},
				      {"post-upgrade", 1u << ARGO_POST},
				      {"pre-delete", 1u << ARGO_PRE_DELETE},
				      {"post-delete", 1u << ARGO_POST_DELETE},
				      {"pre-rollback", 0},
				      {"post-rollback", 0},
				      {"test", 0},
				      {"test-success", 0},
				      {"test-failure", 0}};

static const struct word *find(const struct word *v, size_t n, struct str word)
{
	for (size_t i = 0; i < n; i++) {
		if (str_is(word, v[i].word))
			return &v[i];
	}
	return NULL;
}

static unsigned read_words(const struct word *v, size_t n, struct str list, struct str *ret_strange)
{
	unsigned phases = ARGO_IS_HOOK;
	struct str part;

	while (list.p && str_next(&list, ',', &part)) {
		const struct word *w = find(v, n, str_trim(part));

		if (w)
			phases |= w->phases;
		else if (ret_strange && str_trim(part).n)
			*ret_strange = str_trim(part);
	}
	return phases;
}

unsigned argo_hook_phases(const struct json *object, struct str *ret_strange)
{
	struct str hook = meta_annotation(object, ARGO_HOOK),
		   helm = meta_annotation(object, HELM_HOOK);
	unsigned phases;

	if (ret_strange)
		*ret_strange = STR_NONE;
	if (hook.n) {
		phases = read_words(words, ARRAY_LEN(words), hook, ret_strange);
		/* Whoever skips it skips it altogether. */
		return argo_says(hook, "Skip") ? ARGO_IS_HOOK : phases;
	}
	/* A definition of a chart's is applied like any other. */
	if (!helm.n || argo_says(helm, "crd-install"))
		return 0;
	return read_words(of_helm, ARRAY_LEN(of_helm), helm, ret_strange);
}

bool argo_hook_goes(const struct json *object, const char *when)
{
	static const struct {
		const char *argo, *helm;
	} whens[] = {{"BeforeHookCreation", "before-hook-creation"},
		     {"HookSucceeded", "hook-succeeded"},
		     {"HookFailed", "hook-failed"}};
	struct str said = meta_annotation(object, ARGO_HOOK_DELETE);

	if (said.n)
		return argo_says(said, when);
	said = meta_annotation(object, ARGO_HOOK).n ? STR_NONE
						    : meta_annotation(object, HELM_DELETE);
	for (size_t i = 0; said.n && i < ARRAY_LEN(whens); i++) {
		if (!strcmp(when, whens[i].argo))
			return argo_says(said, whens[i].helm);
	}
	return !strcmp(when, "BeforeHookCreation");
}

int argo_hook_wave(const struct json *object)
{
	int64_t n;

	if (meta_annotation(object, ARGO_WAVE).n ||
	    str_to_i64(meta_annotation(object, HELM_WEIGHT), &n) || n < INT_MIN || n > INT_MAX)
		return argo_wave(object);
	return (int)n;
}

const char *argo_phase_name(enum argo_phase phase)
{
	static const char *const names[] = {"PreSync",  "Sync",      "PostSync",
					    "SyncFail", "PreDelete", "PostDelete"};

	return phase < ARGO_PHASE_MAX ? names[phase] : "Sync";
}
