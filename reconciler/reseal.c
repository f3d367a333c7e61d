/*
 * The commit that keeps a repository's sealed values and its public key up with the cluster. Looked
 * at when the branch or the published key moved, done once for each pair of them. The private keys
 * are read for as long as the looking takes, in guarded memory; nothing in clear goes into a
 * request, a message or a log line. Goes straight onto the branch where that is asked for, or where
 * the repository already keeps the key; else, and where the branch is protected, onto one of its
 * own that somebody merges. Never forced. On the role's loop.
 */
#include "reconciler/reseal.h"
#include "reconciler/pullreq.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"

#define PUSH_TIMEOUT (60 * NS_PER_S)
#define LABEL "plumb.dev/sealing-key"
#define PUBLISHED "plumb-sealing-key"

enum { KEYS_MAX = 1000, OWNERS_MAX = 20000 };
enum mode { MODE_OFF, MODE_AUTO, MODE_COMMIT, MODE_PROPOSE };

struct resealing {
	struct source *s;
	struct client_call *call;
	struct sourcecall *helper;
	char commit[GIT_OID_TEXT], id[SEAL_ID_TEXT]; /* looked at */
	char branch[300];
	size_t done, left;
	bool aside;
	bool onto; /* the push under way goes to people's own branch */
	bool kept; /* the repository has a key file: people want to hear of a new key */
	struct pullreq *pull;
};

/* What one look works with. */
struct look {
	struct arena *a;
	struct source *s;
	struct seal_pub current, *all;
	size_t nall;
	struct seal_keys *keys;
	struct gitmirror *git;
	struct json *files; /* for the push */
	bool kept;          /* the repository keeps the key */
	struct reseal work;
};

/* ---- what to look at ---- */

static enum mode mode_of(const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const char *o = s->r->opts.sealing;
	struct str mode = meta_annotation(obj_tree(s->o, &a), SEALING_MODE);

	/* Repositories of others are read, not written, unless somebody says so. */
	if (!mode.n && !strcmp(s->key, ROOT_NAMESPACE "/root"))
		mode = o && *o ? str_c(o) : STR("auto");
	return str_is(mode, "commit")    ? MODE_COMMIT
	       : str_is(mode, "propose") ? MODE_PROPOSE
	       : str_is(mode, "auto")    ? MODE_AUTO
					 : MODE_OFF;
}

static bool published(struct reconciler *r, struct seal_pub *ret)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o =
		r->sealing ? informer_get(r->sealing, STR("kube-public"), STR(PUBLISHED)) : NULL;

	return o && seal_pub_parse(json_str(json_at(obj_tree(o, &a), "data", "cluster.pub")), ret,
				   NULL) == 0;
}

static void add_key(struct look *l, const struct json *secret)
{
	struct str state = meta_label(secret, LABEL);
	struct buf raw = {0};
	struct seal_pub pub;

	if (base64_decode(json_str(json_at(secret, "data", "private")), &raw) == 0 &&
	    seal_pub_of(buf_view(&raw), &pub, NULL) == 0 && l->nall < KEYS_MAX) {
		l->all[l->nall++] = pub;
		/* A compromised key opens nothing here: who has it may have sealed with it. */
		if ((str_is(state, "active") || str_is(state, "retired")) &&
		    seal_keys_add(l->keys, buf_view(&raw), NULL) != 0)
			l->nall--;
	}
	buf_wipe(&raw);
}

/* ---- what is there ---- */

static void find_owners(struct look *l)
{
	struct reseal_owner *v = NULL;
	struct map_iter units = {0};
	size_t n = 0;

	while (map_next(&l->s->r->units, &units)) {
		struct unit *u = units.value;
		struct map_iter it = {0};

		if (!u->o || unit_source(u, json_get(unit_tree(u, l->a), STR("spec"))) != l->s)
			continue;
		while (map_next(&u->entries, &it) && n < OWNERS_MAX) {
			const struct entry *e = it.value;

			if (strcmp(e->kind, "SealedSecret") != 0 || !e->file)
				continue;
			if (!(n & (n - 1)))
				v = xreallocarray(v, n ? n * 2 : 1, sizeof(*v));
			v[n++] = (struct reseal_owner){str_c(e->file), e->doc, str_c(e->namespace),
						       str_c(e->name)};
		}
	}
	l->work.owners = arena_dup(l->a, v, n * sizeof(*v));
	l->work.nowners = n;
	free(v);
}

static void put_file(struct look *l, struct str path, struct str content)
{
	json_append(l->a, l->files,
		    json_build(l->a, "{s:S,s:S}", "path", path, "content", content));
}

static int look_at_key(struct look *l, struct err *err)
{
	struct git_file f = {.data = STR_NONE};
	struct err why = {0};

	if (git_file(l->git, l->a, l->s->commit, SEALING_FILE, &f, &why) != 0) {
		if (why.code != ERR_NOT_FOUND)
			return err_set(err, why.code, "%s", why.msg);
		f.data = STR_NONE;
	}
	switch (sealing_file_is(f.data, &l->current, l->all, l->nall)) {
	case SEALING_FOREIGN:
		return err_set(err, ERR_CONFLICT,
			       SEALING_FILE " holds a key that is none of this cluster's: left as "
					    "it is");
	case SEALING_CURRENT:
		l->kept = true;
		return 0;
	case SEALING_OLD:
	case SEALING_EMPTY:
		l->kept = true;
		break;
	case SEALING_MISSING:
		break;
	}
	put_file(l, STR(SEALING_FILE), sealing_file_text(l->a, f.data, &l->current));
	return 0;
}

static int look_at_values(struct look *l, struct err *err)
{
	struct git_files files;

	if (l->nall < 2)
		return 0;
	find_owners(l);
	if (git_manifests(l->git, l->a, l->s->commit, "", &files, err) != 0)
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	l->work.keys = l->keys;
	l->work.pub = &l->current;
	for (size_t i = 0; i < files.n; i++) {
		struct err why = {0};
		struct str text = reseal_file(l->a, &l->work, &files.v[i], &why);

		if (text.p)
			put_file(l, files.v[i].path, text);
		else if (why.code)
			log_warn("cannot seal anew", "file",
				 log_fmt("%.*s", STR_ARG(files.v[i].path)), "error", why.msg);
	}
	return 0;
}

/* ---- what is told of it ---- */

static void on_noted(void *arg UNUSED, const struct api_answer *answer)
{
	if (answer->err.code)
		log_debug("cannot note how many values are sealed", "error", answer->err.msg);
}

/* For `plumb keys show`: which older keys are still needed. */
static void note_uses(struct look *l)
{
	struct str now = reseal_uses_text(l->a, &l->work);
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_gitrepositories,
				.namespace = l->s->o->namespace,
				.name = l->s->o->name,
				.patch = API_PATCH_MERGE};
	AUTO(buf) struct buf body = {0};

	if (l->nall < 2 || str_eq(now, meta_annotation(obj_tree(l->s->o, l->a), SEALED_VALUES)))
		return;
	json_write(json_build(l->a, "{s:{s:{s:S}}}", "metadata", "annotations", SEALED_VALUES, now),
		   &body);
	call.body = buf_view(&body);
	client_call(l->s->r->client, &call, on_noted, NULL);
}

/* ---- the commit ---- */

static void tell(struct source *s, const char *type, const char *reason, const char *what)
{
	AUTO(arena) struct arena a = {0};

	if (!strcmp(type, "Normal"))
		log_info("sealing", "source", s->key, "what", what);
	else
		log_warn("sealing", "source", s->key, "what", what);
	recorder_event(s->r->recorder, obj_tree(s->o, &a), type, reason, "%s", what);
}

static void look_again(struct source *s)
{
	s->reseal->commit[0] = 0;
	reseal_look(s);
}

static void on_pushed(void *arg, const struct json *answer, const struct err *err)
{
	struct resealing *p = arg;
	AUTO(arena) struct arena a = {0};
	struct source *s = p->s;

	p->helper = NULL;
	if (answer) {
		tell(s, "Normal", "Sealed",
		     arena_printf(&a, "public key and %zu values under key %s: commit %.*s on %s",
				  p->done, p->id,
				  STR_ARG(json_str(json_get(answer, STR("commit")))), p->branch));
		if (!p->onto && (p->kept || p->done)) {
			pullreq_free(p->pull);
			p->pull = resealpull_start(s, p->branch, p->id, p->done);
		}
	} else if (err->code == ERR_FORBIDDEN && !p->aside) {
		p->aside = true;
		look_again(s);
		return;
	} else if (err->code != ERR_CONFLICT) {
		/* Once for this commit and key: there may be no right to push at all. */
		tell(s, "Warning", "SealingNotPushed", err->msg);
	}
	p->aside = false;
	/* The branch or the key may have moved meanwhile. */
	reseal_look(s);
}

static void push(struct look *l, enum mode mode)
{
	struct source *s = l->s;
	struct resealing *p = s->reseal;
	struct str branch = source_branch(s, l->a);
	bool onto = !p->aside && (mode == MODE_COMMIT || (mode == MODE_AUTO && l->kept));
	struct json *request;

	if (onto)
		snprintf(p->branch, sizeof(p->branch), "%.*s", STR_ARG(branch));
	else
		snprintf(p->branch, sizeof(p->branch), "plumb/reseal/%s", s->r->opts.cluster_name);
	p->onto = onto;
	p->kept = l->kept;
	p->done = l->work.done;
	p->left = l->work.left;
	request = json_build(
		l->a, "{s:s,s:s,s:s,s:s,s:o,s:b,s:s}", "url", s->url, "mirror", s->mirror, "branch",
		p->branch, "base", s->commit, "files", l->files, "onto", (int)onto, "message",
		arena_printf(l->a,
			     "Seal for key %s\n\n%zu values were under older keys and are sealed "
			     "anew; %zu could not be\nopened and stay as they are. What is sealed "
			     "hasn't changed.\n\nCluster: %s\nPlumb-Drift: reseal\n",
			     p->id, p->done, p->left, s->r->opts.cluster_name));
	p->helper = source_call(s, &(struct sourcejob){.what = "git-push",
						       .request = request,
						       .timeout_ns = PUSH_TIMEOUT,
						       .done = on_pushed,
						       .arg = p});
}

static void look(struct look *l, const struct json *secrets, enum mode mode)
{
	const struct json *items = json_get(secrets, STR("items"));
	struct err err = {0};

	l->files = json_new(l->a, JSON_ARRAY);
	l->all = arena_array(l->a, KEYS_MAX, sizeof(*l->all));
	l->keys = seal_keys_new();
	for (size_t i = 0; i < json_len(items); i++)
		add_key(l, json_item(items, i));
	l->git = git_open(l->s->mirror, &err);
	if (!l->git || look_at_key(l, &err) != 0 || look_at_values(l, &err) != 0)
		tell(l->s, "Warning", "SealingFailed", err.msg);
	else if (json_len(l->files))
		push(l, mode);
	if (!err.code)
		note_uses(l);
	if (!err.code && l->work.left)
		tell(l->s, "Warning", "NotResealed",
		     arena_printf(
			     l->a,
			     "%zu values are under keys that are disabled or not here and stay "
			     "as they are, the last one in %.*s: seal them anew",
			     l->work.left, STR_ARG(l->work.left_in)));
	git_close(l->git);
	seal_keys_free(l->keys);
}

static void on_keys(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct resealing *p = arg;
	struct look l = {.a = &a, .s = p->s};
	struct err err = answer->err;
	const struct json *secrets = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);
	enum mode mode = mode_of(p->s);
	char id[SEAL_ID_TEXT];

	p->call = NULL;
	if (!secrets) {
		log_warn("cannot read the sealing keys", "source", p->s->key, "error", err.msg);
		p->commit[0] = 0;
		return;
	}
	if (mode == MODE_OFF || !p->s->commit[0] || !published(p->s->r, &l.current))
		return;
	memcpy(p->commit, p->s->commit, sizeof(p->commit));
	memcpy(p->id, seal_id_text(l.current.id, id), sizeof(p->id));
	look(&l, secrets, mode);
}

void reseal_look(struct source *s)
{
	AUTO(arena) struct arena a = {0};
	struct api_call call = {.verb = API_LIST,
				.resource = &res_secrets,
				.namespace = STR("kube-system"),
				.query = "labelSelector=plumb.dev%2Fsealing-key"};
	struct resealing *p = s->reseal;
	struct seal_pub current;
	char id[SEAL_ID_TEXT];

	if (mode_of(s) == MODE_OFF || !s->commit[0] || !s->mirror || !source_branch(s, &a).n ||
	    !published(s->r, &current))
		return;
	if (!p) {
		p = s->reseal = xalloc(sizeof(*p));
		p->s = s;
	}
	if (p->call || p->helper ||
	    (!strcmp(p->commit, s->commit) && !strcmp(p->id, seal_id_text(current.id, id))))
		return;
	p->call = client_call(s->r->client, &call, on_keys, p);
}

void reseal_free(struct source *s)
{
	struct resealing *p = s->reseal;

	if (!p)
		return;
	client_call_cancel(s->r->client, p->call);
	source_call_cancel(p->helper);
	pullreq_free(p->pull);
	free(p);
	s->reseal = NULL;
}

/* ---- the published key ---- */

static void on_published(void *arg, const struct obj *old, const struct obj *new)
{
	struct reconciler *r = arg;
	struct map_iter it = {0};

	(void)old;
	while (new &&map_next(&r->sources, &it))
		reseal_look(it.value);
}

void reseal_start(struct reconciler *r)
{
	struct informer_opts o = {.resource = &res_configmaps,
				  .namespace = STR("kube-public"),
				  .field_selector = "metadata.name=" PUBLISHED};

	if (r->opts.sealing && !strcmp(r->opts.sealing, "off"))
		return;
	r->sealing = informer_new(r->client, &o);
	informer_on_change(r->sealing, on_published, r);
	informer_start(r->sealing);
}

void reseal_stop(struct reconciler *r)
{
	informer_free(r->sealing);
	r->sealing = NULL;
}
