/*
 * generators, transformers and validators: configurations of what kustomize has built in, each a
 * small object of apiVersion "builtin". Anything that would start a program or a container is
 * refused by name. Pure.
 */
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

/* One configuration on its way: `c` is what it says. */
struct plugin {
	struct kbuild *b;
	const struct kres *r;
	const struct json *c;
	struct kspecs specs; /* its fieldSpecs */
};

typedef int plugin_fn(struct plugin *p, struct err *err);

static const struct json *field(const struct plugin *p, const char *key)
{
	return json_get(p->c, str_c(key));
}

/*
 * The fields of the configuration that mean something, by name, ended by NULL. What else stands
 * there means nothing, as kustomize reads these (unlike kustomizations).
 */
static struct json *only(struct plugin *p, const char *const *names)
{
	struct json *v = json_copy(p->b->a, p->c);
	size_t i = 0;

	while (i < json_len(v)) {
		struct str key = json_members(v)[i].key;
		size_t n = 0;

		while (names[n] && !str_is(key, names[n]))
			n++;
		if (names[n])
			i++;
		else
			json_del(v, key);
	}
	return v;
}

static int namespace(struct plugin *p, struct err *err)
{
	static const struct {
		const char *name;
		enum ksubjects v;
	} ways[] = {{"", KSUBJECTS_DEFAULT},
		    {"defaultOnly", KSUBJECTS_DEFAULT},
		    {"none", KSUBJECTS_NONE},
		    {"allServiceAccounts", KSUBJECTS_ALL}};
	struct str way = json_str_or(field(p, "setRoleBindingSubjects"), STR(""));
	struct knamespace n = {.value = json_at(p->c, "metadata", "namespace"),
			       .specs = &p->specs,
			       .unset_only = json_bool(field(p, "unsetOnly"), false)};
	size_t i = 0;

	while (i < ARRAY_LEN(ways) && !str_is(way, ways[i].name))
		i++;
	if (i == ARRAY_LEN(ways))
		return err_set(err, ERR_INVALID, "setRoleBindingSubjects: %.*s is not known",
			       STR_ARG(way));
	n.subjects = ways[i].v;
	return kustomize_namespace(p->b->a, &p->b->to->l, &n, err);
}

static int affixes(struct plugin *p, struct err *err)
{
	struct kbuild *b = p->b;

	if (kustomize_affix(b->a, &b->to->l, &p->specs, json_str(field(p, "prefix")), false) ||
	    kustomize_affix(b->a, &b->to->l, &p->specs, json_str(field(p, "suffix")), true))
		return err_set(err, ERR_INVALID, "names cannot be changed");
	return 0;
}

static int labels(struct plugin *p, struct err *err)
{
	return kustomize_pairs(p->b->a, &p->b->to->l, &p->specs, field(p, "labels"), err);
}

static int annotations(struct plugin *p, struct err *err)
{
	return kustomize_pairs(p->b->a, &p->b->to->l, &p->specs, field(p, "annotations"), err);
}

static int image(struct plugin *p, struct err *err)
{
	return kustomize_image(p->b->a, &p->b->to->l, &p->specs, field(p, "imageTag"), err);
}

static int replicas(struct plugin *p, struct err *err)
{
	return kustomize_replicas(p->b->a, &p->b->to->l, &p->specs, field(p, "replica"), err);
}

static int replacements(struct plugin *p, struct err *err)
{
	return kustomize_replacements(p->b->a, &p->b->files, &p->b->to->l, field(p, "replacements"),
				      err);
}

static int patch(struct plugin *p, struct err *err)
{
	static const char *const names[] = {"path", "patch", "target", "options", NULL};

	return kbuild_patch(p->b, only(p, names), err);
}

/* jsonOp is what the others call patch. */
static int patch6902(struct plugin *p, struct err *err)
{
	static const char *const names[] = {"path", "jsonOp", "target", NULL};
	struct json *entry = only(p, names);
	const struct json *op = json_get(entry, STR("jsonOp"));

	if (op)
		json_set(p->b->a, entry, STR("patch"), op);
	json_del(entry, STR("jsonOp"));
	return kbuild_patch(p->b, entry, err);
}

static int patch_strategic(struct plugin *p, struct err *err)
{
	const struct json *paths = field(p, "paths"), *text = field(p, "patches");
	struct arena *a = p->b->a;

	for (size_t i = 0; i < json_len(paths); i++) {
		struct json *entry = json_new(a, JSON_OBJECT);

		json_set(a, entry, STR("path"), json_item(paths, i));
		if (kbuild_patch(p->b, entry, err))
			return -1;
	}
	if (json_str(text).n) {
		struct json *entry = json_new(a, JSON_OBJECT);

		json_set(a, entry, STR("patch"), text);
		return kbuild_patch(p->b, entry, err);
	}
	return 0;
}

static int generator(struct plugin *p, struct err *err)
{
	struct arena *a = p->b->a;
	static const char *const names[] = {"behavior", "files",   "literals", "envs",
					    "env",      "options", "type",     NULL};
	struct json *entry = only(p, names), *list = json_new(a, JSON_ARRAY),
		    *k = json_new(a, JSON_OBJECT);
	bool secret = str_is(json_str(field(p, "kind")), "SecretGenerator");
	struct kbuild sub = *p->b;

	json_set_str(a, entry, "name", meta_name(p->c));
	if (meta_namespace(p->c).n)
		json_set_str(a, entry, "namespace", meta_namespace(p->c));
	entry->src = p->c->src;
	json_append(a, list, entry);
	json_set(a, k, secret ? STR("secretGenerator") : STR("configMapGenerator"), list);
	sub.k = k;
	sub.maker = p->r;
	return kbuild_generate(&sub, err);
}

static int value_add_all(struct plugin *p, const struct json *targets, struct err *err)
{
	struct str value = str_trim(json_str(field(p, "value"))), dir = p->b->dir, head;

	/* What the folder is called, where nothing is said. */
	if (!value.n && !str_rcut(dir, '/', &head, &value))
		value = dir;
	if (!value.n)
		return err_set(err, ERR_INVALID, "a value is expected");
	for (size_t i = 0; i < json_len(targets); i++) {
		if (kustomize_value_add(p->b->a, &p->b->to->l, value, json_item(targets, i), err))
			return -1;
	}
	return 0;
}

static int value_add(struct plugin *p, struct err *err)
{
	struct str path = json_str(field(p, "targetFilePath")), text;
	const struct json *shared = NULL;
	struct kbuild *b = p->b;
	uint32_t number;
	struct yaml_docs docs;

	if (path.n && (b->files.load(b->files.ctx, path, &text, &number, err) ||
		       yaml_parse(b->a, text, number, NULL, NULL, &docs, err)))
		return -1;
	if (path.n && docs.n)
		shared = json_get(docs.v[0], STR("targets"));
	if (!json_len(field(p, "targets")) && !json_len(shared))
		return err_set(err, ERR_INVALID, "at least one target is expected");
	return value_add_all(p, field(p, "targets"), err) || value_add_all(p, shared, err) ? -1 : 0;
}

/* The ServiceAccount that workload identity of Google's clouds is bound by. */
static int iam_policy(struct plugin *p, struct err *err)
{
	const struct json *to = field(p, "kubernetesService"), *from = field(p, "serviceAccount");
	struct str namespace = json_str(json_get(to, STR("namespace")));
	struct str name = json_str(json_get(to, STR("name"))), account;
	struct arena *a = p->b->a;
	struct kres *r;

	if (!str_is(json_str(field(p, "cloud")), "gke"))
		return err_set(err, ERR_INVALID, "cloud: only gke is known");
	if (!name.n)
		return err_set(err, ERR_INVALID, "kubernetesService needs a name");
	account = arena_strf(a, "%.*s@%.*s.iam.gserviceaccount.com",
			     STR_ARG(json_str(json_get(from, STR("name")))),
			     STR_ARG(json_str(json_get(from, STR("projectId")))));
	r = kres_push(a, &p->b->to->l);
	*r = (struct kres){.origin = p->r->origin, .generated = true, .maker = kres_id(p->r).name};
	r->tree = json_build(a, "{s:s, s:s, s:{s:{s:S}, s:S}}", "apiVersion", "v1", "kind",
			     "ServiceAccount", "metadata", "annotations",
			     "iam.gke.io/gcp-service-account", account, "name", name);
	if (namespace.n)
		json_set_str(a, json_get(r->tree, STR("metadata")), "namespace", namespace);
	return 0;
}

static const struct {
	const char *kind, *list;
	plugin_fn *fn;
} builtin[] = {
	{"ConfigMapGenerator", "generators", generator},
	{"IAMPolicyGenerator", "generators", iam_policy},
	{"SecretGenerator", "generators", generator},
	{"AnnotationsTransformer", "transformers", annotations},
	{"ImageTagTransformer", "transformers", image},
	{"LabelTransformer", "transformers", labels},
	{"NamespaceTransformer", "transformers", namespace},
	{"PatchJson6902Transformer", "transformers", patch6902},
	{"PatchStrategicMergeTransformer", "transformers", patch_strategic},
	{"PatchTransformer", "transformers", patch},
	{"PrefixTransformer", "transformers", affixes},
	{"PrefixSuffixTransformer", "transformers", affixes},
	{"ReplacementTransformer", "transformers", replacements},
	{"ReplicaCountTransformer", "transformers", replicas},
	{"SuffixTransformer", "transformers", affixes},
	{"ValueAddTransformer", "transformers", value_add},
};

static int run(struct kbuild *b, const struct kres *r, const char *list, struct err *err)
{
	struct kid id = kres_id(r);
	const struct rendered_object *o = r->origin;
	struct plugin p = {.b = b, .r = r, .c = r->tree};
	struct err why = {0};

	if (kspecs_read(b->a, &p.specs, json_get(r->tree, STR("fieldSpecs")), &why))
		return render_fail(b->r, o->file, o->line, err, "%s", why.msg);
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++) {
		if (!str_is(id.kind, builtin[i].kind) || strcmp(list, builtin[i].list) ||
		    !str_is(id.version, "builtin"))
			continue;
		if (!builtin[i].fn(&p, &why))
			return 0;
		/* What has a place already keeps it. */
		return render_fail(b->r, o->file, o->line, err, "%s", why.msg);
	}
	return render_fail(b->r, o->file, o->line, err,
			   "%s: %.*s %.*s is not built in, and no program is run", list,
			   STR_ARG(id.version), STR_ARG(id.kind));
}

/* An entry may be the configuration itself. */
static int inline_entry(struct kbuild *b, const struct json *entry, struct klayer *to,
			struct err *err)
{
	const struct rendered_object at = {.file = b->file, .line = render_line(b->r, entry, 1)};
	const struct yaml_limits limits = {.core_booleans = true};
	struct yaml_docs docs;
	struct err why = {0};

	if (yaml_parse(b->a, json_str(entry), b->file, NULL, &limits, &docs, &why))
		return kbuild_blame(b, entry, &why, err);
	for (size_t i = 0; i < docs.n; i++) {
		struct kres *r;

		if (render_check_shape(b->r, docs.v[i], &at, err))
			return -1;
		r = kres_push(b->a, &to->l);
		r->tree = docs.v[i];
		r->origin = arena_dup(b->a, &at, sizeof(at));
	}
	return 0;
}

int kbuild_plugins(struct kbuild *b, const char *list, struct err *err)
{
	const struct json *entries = json_get(b->k, str_c(list));
	struct klayer conf = {.config = b->r->defaults, .vars = json_new(b->a, JSON_ARRAY)};

	for (size_t i = 0; i < json_len(entries); i++) {
		const struct json *entry = json_item(entries, i);
		struct str s = json_str(entry);
		struct json *one = json_new(b->a, JSON_ARRAY);

		json_append(b->a, one, entry);
		if (s.n && memchr(s.p, '\n', s.n) ? inline_entry(b, entry, &conf, err)
						  : kbuild_resources(b, one, &conf, err))
			return -1;
	}
	for (size_t i = 0; i < conf.l.n; i++) {
		if (run(b, &conf.l.v[i], list, err))
			return -1;
	}
	return 0;
}
