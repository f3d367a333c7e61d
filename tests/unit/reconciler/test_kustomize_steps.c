/* The steps of kustomize that make and copy values; what is expected was printed by kustomize 5.5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json/yaml.h"
#include "reconciler/kustomize/kustomize.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

struct world {
	struct arena a;
	struct kres_list l;
	struct err err;
};

#define BINARY                                                                                     \
	"\xff\xfe\x00"                                                                             \
	"bin"

static char long_binary[180];

#define TEXT(s)                                                                                    \
	{                                                                                          \
		(s), sizeof(s) - 1                                                                 \
	}

static int load(void *ctx, struct str path, struct str *ret, uint32_t *number, struct err *err)
{
	static const struct {
		const char *path;
		struct str data;
	} files[] = {
		{"f.txt", TEXT("a: 1\nb: <2>&\n")},
		{"bin.dat", {long_binary, sizeof(long_binary)}},
		{"e.env", TEXT("\xef\xbb\xbf# c\nA=1\n\n  B = two\nC\nD=\"q\"\r\nE=x=y\n")},
		{"e2.env", TEXT("X.y-z=1\n")},
		{"bad.env", TEXT("=v\nA=1\n")},
		{"latin.env", TEXT("A=1\nB=\xe9\n")},
		{"empty.env", TEXT("")},
		{"dir/f.txt", TEXT("x")},
		{"replace.yaml",
		 TEXT("- source: {name: src, fieldPath: data.port}\n"
		      "  targets: [{select: {kind: Deployment}, fieldPaths: [spec.replicas]}]\n")},
	};

	(void)ctx;
	memset(long_binary, 0, sizeof(long_binary));
	for (size_t i = 0; i < sizeof(long_binary); i += 6)
		memcpy(long_binary + i, BINARY, 6);
	*number = 0;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		*ret = files[i].data;
		if (str_is(path, files[i].path))
			return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
}

static const struct kfiles files = {.load = load};

static struct json *yaml(struct world *w, const char *text)
{
	struct yaml_docs docs;

	if (!text)
		return NULL;
	if (yaml_parse(&w->a, str_c(text), 0, NULL, NULL, &docs, &w->err))
		fail_msg("%s: %s", w->err.msg, text);
	return docs.v[0];
}

static void add(struct world *w, const char *text)
{
	struct yaml_docs docs;

	assert_int_equal(yaml_parse(&w->a, str_c(text), 0, NULL, NULL, &docs, &w->err), 0);
	for (size_t i = 0; i < docs.n; i++)
		kres_push(&w->a, &w->l)->tree = docs.v[i];
}

static void expect(struct world *w, const struct json *v, const char *json)
{
	AUTO(buf) struct buf got = {0};
	AUTO(buf) struct buf want = {0};

	json_write_sorted(v, &got);
	json_write_sorted(yaml(w, json), &want);
	assert_string_equal(buf_cstr(&got), buf_cstr(&want));
}

/* ---- generators ---- */

static struct kres generated(struct world *w, const char *entry, bool secret, const char *options)
{
	struct kres r = {0};

	if (kustomize_generate(&w->a, &files, yaml(w, entry), secret, yaml(w, options), &r,
			       &w->err))
		fail_msg("%s: %s", entry, w->err.msg);
	return r;
}

static void hashed(const char *entry, bool secret, const char *hash)
{
	struct world w = {0};
	struct kres r = generated(&w, entry, secret, NULL);

	assert_string_equal(arena_cstr(&w.a, kustomize_hash(&w.a, r.tree)), hash);
	assert_true(r.needs_hash);
	arena_release(&w.a);
}

void test_generate__hashes_are_kustomizes(void **state)
{
	(void)state;
	hashed("{name: lit, literals: [a=1, 'b=\"quoted\"', \"c='x\", d=, e=a=b, f=<&>]}", false,
	       "58dthf7876");
	hashed("{name: fil, files: [f.txt, renamed=f.txt]}", false, "496k774htc");
	hashed("{name: bin, files: [bin.dat]}", false, "m5dkc7kgg7");
	hashed("{name: env, namespace: other, envs: [e.env], env: e2.env}", false, "b5d646dt6h");
	hashed("{name: empty}", false, "6ct58987ht");
	hashed("{name: x, literals: [a b=1]}", false, "5ck52bh8kf");
	hashed("{name: x, literals: [\"a='\"]}", false, "5hktk6cmmc");
	hashed("{name: x, envs: [bad.env]}", false, "89g4tffbfk");
	hashed("{name: s1, literals: [user=admin, pass=secret]}", true, "85tt49khf6");
	hashed("{name: s2, type: kubernetes.io/tls, files: [tls.crt=bin.dat, tls.key=f.txt]}", true,
	       "8mfg297gk2");
	hashed("{name: s3, files: [tls.crt=f.txt, bin.dat], options: {immutable: true}}", true,
	       "c225878286");
}

void test_generate__environment_files(void **state)
{
	struct world w = {0};
	struct kres r =
		generated(&w, "{name: e, envs: [e.env, empty.env], env: e2.env}", false, NULL);

	(void)state;
	expect(&w, json_get(r.tree, STR("data")),
	       "{A: '1', 'B ': ' two', C: '', D: '\"q\"', E: x=y, X.y-z: '1'}");
	arena_release(&w.a);
}

void test_generate__options_are_merged_the_entrys_first(void **state)
{
	struct world w = {0};
	struct kres r = generated(
		&w,
		"{name: opt, literals: [x=y], options: {labels: {both: local, l: '1'},"
		" annotations: {k: v}, immutable: false}}",
		false,
		"{labels: {g: global, both: global}, annotations: {ga: '1'}, immutable: true,"
		" disableNameSuffixHash: true}");

	(void)state;
	expect(&w, r.tree,
	       "{apiVersion: v1, kind: ConfigMap, data: {x: 'y'}, immutable: true, metadata: "
	       "{name: opt,"
	       " labels: {both: local, g: global, l: '1'}, annotations: {ga: '1', k: v}}}");
	assert_false(r.needs_hash);
	arena_release(&w.a);
}

void test_generate__secrets_are_base64_and_sensitive(void **state)
{
	struct world w = {0};
	struct kres r =
		generated(&w, "{name: s, literals: [user=admin], behavior: merge}", true, NULL);

	(void)state;
	expect(&w, r.tree,
	       "{apiVersion: v1, kind: Secret, type: Opaque, metadata: {name: s},"
	       " data: {user: YWRtaW4=}}");
	assert_true(json_at(r.tree, "data", "user")->flags & JSON_F_SENSITIVE);
	assert_int_equal(r.behavior, KB_MERGE);
	arena_release(&w.a);
}

static void refused(const char *entry, const char *why)
{
	struct world w = {0};
	struct kres r = {0};

	assert_int_equal(kustomize_generate(&w.a, &files, yaml(&w, entry), false, NULL, &r, &w.err),
			 -1);
	if (!strstr(w.err.msg, why))
		fail_msg("%s: %s", entry, w.err.msg);
	arena_release(&w.a);
}

void test_generate__what_is_refused(void **state)
{
	(void)state;
	refused("{name: x, literals: [a]}", "key=value");
	refused("{name: x, literals: [=a]}", "key=value");
	refused("{name: x, literals: [a=1, a=2]}", "the key a twice");
	refused("{name: x, literals: [5]}", "text is expected");
	refused("{name: x, literals: a=b}", "a list is expected");
	refused("{name: x, files: [nope]}", "there is no file nope");
	refused("{name: x, files: [=f.txt]}", "key=path");
	refused("{name: x, files: [a=]}", "key=path");
	refused("{name: x, files: [a=b=c]}", "key=path");
	refused("{name: x, files: [f.txt, dir/f.txt]}", "the key f.txt twice");
	refused("{name: x, envs: [latin.env]}", "latin.env:2: not UTF-8");
	refused("{literals: [a=b]}", "must have a name");
	refused("{name: x, bogus: 1}", "unknown field bogus");
	refused("{name: x, type: Opaque}", "unknown field type");
	refused("{name: x, options: {labels: {x: 1}}}", "text is expected");
	refused("[]", "a generator is a map");
}

void test_absorb__merge_and_replace(void **state)
{
	struct world w = {0};
	struct kres into = generated(
		&w, "{name: x, literals: [a=1, b=2], options: {labels: {l: below, m: below}}}",
		false, NULL);
	struct kres copy = into;
	struct kres from = generated(
		&w, "{name: x, behavior: merge, literals: [b=3, c=4], options: {labels: {l: up}}}",
		false, "{disableNameSuffixHash: true}");

	(void)state;
	json_set_str(&w.a, json_get(into.tree, STR("metadata")), "name", STR("pre-x"));
	kustomize_absorb(&w.a, &into, &from);
	expect(&w, into.tree,
	       "{apiVersion: v1, kind: ConfigMap, metadata: {name: pre-x, labels: {l: up, m: "
	       "below}},"
	       " data: {a: '1', b: '3', c: '4'}}");
	assert_false(into.needs_hash); /* one of them without is enough */
	from.behavior = KB_REPLACE;
	kustomize_absorb(&w.a, &copy, &from);
	expect(&w, json_get(copy.tree, STR("data")), "{b: '3', c: '4'}");
	arena_release(&w.a);
}

/* ---- selectors ---- */

static bool selects(struct world *w, const struct kres *r, const char *selector)
{
	bool ret;

	if (kustomize_selects(r, yaml(w, selector), &ret, &w->err))
		fail_msg("%s: %s", selector, w->err.msg);
	return ret;
}

void test_selects__patterns_are_anchored(void **state)
{
	struct world w = {0};
	struct kid old = {STR("apps"), STR("v1"), STR("Deployment"), STR_NONE, STR("web")};
	struct kres r = {.past = &old, .npast = 1};
	bool ret;

	(void)state;
	r.tree = yaml(&w, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: pre-web,"
			  " namespace: prod, labels: {app: x}, annotations: {a: b}}}");
	assert_true(selects(&w, &r, "{}"));
	assert_true(selects(&w, &r, "{kind: Deploy.*}"));
	assert_false(selects(&w, &r, "{kind: Deploy}"));
	assert_true(selects(&w, &r, "{kind: '(?i)deployment'}"));
	assert_true(selects(&w, &r, "{name: web}"));
	assert_true(selects(&w, &r, "{name: 'pre-.*'}"));
	assert_true(selects(&w, &r, "{name: 'foo|web'}"));
	assert_false(selects(&w, &r, "{name: 'we'}"));
	assert_true(selects(&w, &r, "{namespace: prod}"));
	assert_true(selects(&w, &r, "{namespace: default}")); /* as it was written */
	assert_false(selects(&w, &r, "{namespace: other}"));
	assert_true(selects(&w, &r, "{group: apps, version: v1}"));
	assert_false(selects(&w, &r, "{version: v1beta1}"));
	assert_true(selects(&w, &r, "{labelSelector: 'app in (x,y)', annotationSelector: a=b}"));
	assert_false(selects(&w, &r, "{labelSelector: app!=x}"));
	assert_int_equal(kustomize_selects(&r, yaml(&w, "{name: '('}"), &ret, &w.err), -1);
	assert_int_equal(kustomize_selects(&r, yaml(&w, "{labelSelector: 'a in'}"), &ret, &w.err),
			 -1);
	arena_release(&w.a);
}

/* ---- replacements ---- */

#define OBJECTS                                                                                    \
	"apiVersion: v1\nkind: ConfigMap\n"                                                        \
	"metadata: {name: src, labels: {app: x}, annotations: {a.b/c: z}}\n"                       \
	"data: {port: '8080', host: a.example.com, bool: 'true', colon: 'a:b:c', nested: '', "     \
	"'yes': 'yes'}\n"                                                                          \
	"---\n"                                                                                    \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, annotations: {a.b/c: q}}\n"    \
	"spec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n"                        \
	"      - name: nginx-one\n        image: nginx:1.2\n"                                      \
	"        ports: [{containerPort: 80}]\n"                                                   \
	"        env: [{name: A, value: one}, {name: B, value: '5'}]\n"                            \
	"        args: [--foo, --bar=1]\n"                                                         \
	"      - name: nginx\n        image: redis:9\n"

static int replace(struct world *w, const char *list)
{
	add(w, OBJECTS);
	return kustomize_replacements(&w->a, &files, &w->l, yaml(w, list), &w->err);
}

/* The field of the source, where it goes, options; what the Deployment is at `pointer` then. */
static void copies(const char *from, const char *to, const char *options, const char *pointer,
		   const char *json)
{
	struct world w = {0};
	const char *list =
		arena_printf(&w.a,
			     "[{source: {kind: ConfigMap, name: src, fieldPath: '%s'},"
			     " targets: [{select: {kind: Deployment}, fieldPaths: ['%s'],"
			     " options: %s}]}]",
			     from, to, options);

	if (replace(&w, list))
		fail_msg("%s: %s", to, w.err.msg);
	expect(&w, json_pointer(w.l.v[1].tree, str_c(pointer)), json);
	arena_release(&w.a);
}

#define CONTAINERS "/spec/template/spec/containers"

void test_replacements__paths(void **state)
{
	(void)state;
	copies("data.port", "spec.replicas", "{}", "/spec/replicas", "8080");
	copies("data.port", "spec.template.spec.containers.[name=nginx].image", "{}",
	       CONTAINERS "/0/image", "'8080'"); /* not anchored */
	copies("data.port", "spec.template.spec.containers.[name=^nginx$].image", "{}",
	       CONTAINERS "/0/image", "nginx:1.2");
	copies("data.port", "spec.template.spec.containers.*.image", "{}", CONTAINERS "/1/image",
	       "'8080'");
	copies("data.port", "spec.template.spec.containers.0.ports.0.containerPort", "{}",
	       CONTAINERS "/0/ports/0/containerPort", "8080");
	copies("data.port", "metadata.annotations.a\\.b/c", "{}", "/metadata/annotations/a.b~1c",
	       "'8080'");
	copies("data.port", "metadata.annotations.[a.b/c]", "{create: true}",
	       "/metadata/annotations", "{a.b/c: '8080'}");
	copies("data.port", "spec.template.spec.containers.0.args.[=--foo]", "{}",
	       CONTAINERS "/0/args", "['8080', --bar=1]");
	copies("data.bool", "spec.template.spec.containers.[image=ng.*1\\.2].image", "{}",
	       CONTAINERS "/0/image", "'true'");
	copies("metadata.annotations.a\\.b/c", "metadata.name", "{}", "/metadata/name", "z");
	copies("data", "metadata.name", "{}", "/metadata/name", "''");
	copies("data.bool", "spec.template", "{}", "/spec/template", "'true'");
}

void test_replacements__create(void **state)
{
	(void)state;
	copies("data.port", "spec.template.spec.containers.[name=nginx-one].env.[name=C].value",
	       "{create: true}", CONTAINERS "/0/env/2", "{name: C, value: 8080}");
	copies("data.port", "metadata.annotations.new", "{create: true}",
	       "/metadata/annotations/new", "'8080'");
	copies("data.port", "spec.template.spec.containers.0.args.2", "{create: true}",
	       CONTAINERS "/0/args/2", "8080");
	copies("data.port", "spec.template.spec.containers.0.args.[=--new]", "{create: true}",
	       CONTAINERS "/0/args/2", "8080");
	copies("data.bool", "spec.new.deep.0.x", "{create: true}", "/spec/new",
	       "{deep: [{x: true}]}");
	copies("data.yes", "spec.new", "{create: true}", "/spec/new", "'yes'");
	copies("data.nested", "spec.new", "{create: true}", "/spec/new", "null");
	copies("data.bool", "spec.new.[a=7].c", "{create: true}", "/spec/new", "[{a: 7, c: true}]");
	copies("metadata.labels", "spec.zz.0", "{create: true}", "/spec/zz", "[{app: x}]");
	copies("metadata.labels", "metadata.labels", "{create: true}", "/metadata/labels",
	       "{app: x}");
}

void test_replacements__delimiters(void **state)
{
	const char *image = CONTAINERS "/0/image", *path = "spec.template.spec.containers.0.image";
	struct world w = {0};

	(void)state;
	copies("data.host", path, "{delimiter: ':', index: 1}", image, "nginx:a.example.com");
	copies("data.host", path, "{delimiter: ':'}", image, "a.example.com:1.2");
	copies("data.host", path, "{delimiter: ':', index: -1}", image, "a.example.com:nginx:1.2");
	copies("data.host", path, "{delimiter: ':', index: 5}", image, "nginx:1.2:a.example.com");
	assert_int_equal(replace(&w,
				 "[{source: {name: src, fieldPath: data.colon, options:"
				 " {delimiter: ':', index: 1}}, targets: [{select: {name: d}}]}]"),
			 0);
	expect(&w, json_at(w.l.v[1].tree, "metadata", "name"), "b");
	arena_release(&w.a);
}

static void fails(const char *replacement, const char *why)
{
	struct world w = {0};

	assert_int_equal(replace(&w, arena_printf(&w.a, "[%s]", replacement)), -1);
	if (!strstr(w.err.msg, why))
		fail_msg("%s: %s", replacement, w.err.msg);
	arena_release(&w.a);
}

#define TO(path) ", targets: [{select: {kind: Deployment}, fieldPaths: ['" path "']}]}"
#define BOOL "{source: {name: src, fieldPath: data.bool}"

void test_replacements__what_is_refused(void **state)
{
	(void)state;
	fails(BOOL TO("spec.replicas"), "a number is expected");
	fails(BOOL TO("spec.nope"), "there is no spec.nope in Deployment d");
	fails(BOOL TO(""), "a name is missing");
	fails(BOOL TO("spec..replicas"), "a name is missing");
	fails(BOOL TO("spec.*.c"), "in a list, but there is a map");
	fails(BOOL TO("spec.replicas.x"), "in a map, but there is a single value");
	fails(BOOL TO("spec.template.spec.containers.x"), "in a map, but there is a list");
	fails(BOOL TO("spec.template.spec.containers.7.image"), "item 7 of 2");
	fails(BOOL TO("spec.template.spec.containers.[name=(].image"), "not a regular expression");
	fails(BOOL TO("spec.template.spec.containers.[name].image"), "[field=value]");
	fails(BOOL TO("spec.template.spec.containers.[name=none].image"), "there is no");
	fails("{source: {name: src, fieldPath: data.nope}" TO("spec.x"), "there is no data.nope");
	fails("{source: {name: src, fieldPath: 'data.*'}" TO("spec.x"), "* may not stand");
	fails("{source: {name: none}" TO("spec.x"), "is no resource");
	fails("{source: {name: 's.*'}" TO("spec.x"), "is no resource"); /* not a pattern */
	fails("{source: {fieldPath: data.bool}" TO("spec.x"), "more than one resource");
	fails("{source: {name: src, fieldPath: data.colon, options: {delimiter: ':', index: 9}}" TO(
		      "metadata.name"),
	      "out of bounds");
	fails("{source: {name: src, fieldPath: data, options: {delimiter: ':'}}" TO("spec.x"),
	      "only single values");
	fails("{source: {name: src}, targets: []}", "at least one target");
	fails("{source: {name: src}, targets: [{fieldPaths: [a]}]}", "select must say");
	fails("{source: {name: src}, targets: [{select: {name: d}, fieldPath: a}]}",
	      "unknown field fieldPath");
	fails("{bogus: 1, source: {name: src}, targets: []}", "unknown field bogus");
	fails("{path: nope.yaml}", "there is no file nope.yaml");
	fails("{path: replace.yaml, source: {}}", "a path or is written out");
}

void test_replacements__targets(void **state)
{
	struct world w = {0};

	(void)state;
	assert_int_equal(
		replace(&w, "[{source: {name: src}, targets: [{select: {kind: Deploy}}]},"
			    " {source: {name: src}, targets: [{select: {kind: Deployment},"
			    " reject: [{name: d}]}]},"
			    " {source: {name: src}, targets: [{select: {labelSelector: app=x},"
			    " fieldPaths: [data.port]}]},"
			    " {source: {name: src}, targets: [{select: {version: v1},"
			    " reject: [{labelSelector: app=x}, {group: apps}]}]},"
			    " {source: {name: d, fieldPath: spec.replicas}, targets: [{select:"
			    " {name: src}, fieldPaths: [data.bool, data.n, metadata.annotations.q],"
			    " options: {create: true}}]}]"),
		0);
	expect(&w, json_at(w.l.v[1].tree, "metadata", "name"), "d");
	expect(&w, json_at(w.l.v[0].tree, "data", "port"), "src");
	expect(&w, json_at(w.l.v[0].tree, "data", "bool"), "'3'");
	expect(&w, json_at(w.l.v[0].tree, "data", "n"), "3");
	expect(&w, json_at(w.l.v[0].tree, "metadata", "annotations", "q"), "'3'");
	arena_release(&w.a);
}

void test_replacements__out_of_a_file_and_by_earlier_names(void **state)
{
	static struct kid past = {STR_NONE, {"v1", 2}, {"ConfigMap", 9}, STR_NONE, {"old", 3}};
	struct world w = {0};

	(void)state;
	assert_int_equal(replace(&w, "[{path: replace.yaml}]"), 0);
	expect(&w, json_at(w.l.v[1].tree, "spec", "replicas"), "8080");
	w.l.v[0].past = &past;
	w.l.v[0].npast = 1;
	assert_int_equal(
		kustomize_replacements(
			&w.a, &files, &w.l,
			yaml(&w, "[{source: {name: old}, targets: [{select: {name: d}}]}]"),
			&w.err),
		0);
	expect(&w, json_at(w.l.v[1].tree, "metadata", "name"), "src");
	arena_release(&w.a);
}

/* ---- vars ---- */

#define VARS                                                                                       \
	"[{name: SVC, objref: {apiVersion: v1, kind: Service, name: svc}}, {name: PORT, objref:"   \
	" {apiVersion: v1, kind: Service, name: svc}, fieldref: {fieldpath: "                      \
	"'spec.ports[0].port'}}]"

/* As the layer that declares them does it. */
static int put_vars(struct world *w, const char *text, const struct json *places)
{
	const struct json *vars = yaml(w, text);

	for (size_t i = 0; i < json_len(vars); i++) {
		if (kustomize_bind_var(&w->a, &w->l, json_item(vars, i), &w->err))
			return -1;
	}
	return kustomize_vars(&w->a, &w->l, vars, places, &w->err);
}

void test_vars__are_put_where_kustomize_puts_them(void **state)
{
	struct world w = {0};

	(void)state;
	add(&w,
	    "apiVersion: v1\nkind: Service\n"
	    "metadata: {name: svc, annotations: {x: '$(SVC) $$(SVC) $(NOPE) $ $$ $(',"
	    " y: $(PORT)}}\n"
	    "spec: {ports: [{port: 8080, name: $(SVC)}], clusterIP: $(SVC)}\n"
	    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, labels: {l: $(SVC)}}\n"
	    "spec: {template: {metadata: {annotations: {p: $(PORT)}, labels: {z: $(SVC)}}, spec:"
	    " {containers: [{name: n, args: [--p=$(PORT), $(PORT)], command: [sh, $(SVC)-$(NAME)],"
	    " env: [{name: A, value: $(PORT)}]}]}}}\n");
	assert_int_equal(put_vars(&w, VARS,
				  yaml(&w, "[{path: spec/clusterIP, kind: Service}, {path: "
					   "'spec/ports[]/name', kind: Service}]")),
			 0);
	expect(&w, json_at(w.l.v[0].tree, "metadata", "annotations"),
	       "{x: 'svc $(SVC) $(NOPE) $ $ $(', y: '8080'}");
	expect(&w, json_get(w.l.v[0].tree, STR("spec")),
	       "{clusterIP: svc, ports: [{name: svc, port: 8080}]}");
	expect(&w, w.l.v[1].tree,
	       "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, labels: {l: svc}}, "
	       "spec:"
	       " {template: {metadata: {annotations: {p: 8080}, labels: {z: $(SVC)}}, spec:"
	       " {containers: [{name: n, args: [--p=8080, 8080], command: [sh, svc-$(NAME)],"
	       " env: [{name: A, value: 8080}]}]}}}}");
	arena_release(&w.a);
}

static void no_vars(const char *vars, const char *why)
{
	struct world w = {0};

	add(&w, OBJECTS);
	assert_int_equal(put_vars(&w, vars, NULL), -1);
	if (!strstr(w.err.msg, why))
		fail_msg("%s: %s", vars, w.err.msg);
	arena_release(&w.a);
}

void test_vars__what_is_refused(void **state)
{
	const char *one = "{name: A, objref: {apiVersion: v1, kind: ConfigMap, name: src}}";
	struct arena a = {0};

	(void)state;
	no_vars(arena_printf(&a, "[%s, %s]", one, one), "two vars A");
	no_vars("[{name: A, objref: {apiVersion: v1, kind: Service, name: x}}]", "is no resource");
	no_vars("[{name: A, objref: {apiVersion: v1, kind: ConfigMap, name: src}, fieldref:"
		" {fieldpath: data.nope}}]",
		"there is no value data.nope");
	no_vars("[{objref: {apiVersion: v1, kind: ConfigMap, name: src}}]", "needs a name");
	arena_release(&a);
}
