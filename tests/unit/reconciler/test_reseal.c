/* Values of a repository brought under a newer key: which bytes change, and which never do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/json/yaml.h"
#include "reconciler/reseal.h"

struct cluster {
	struct arena a;
	struct seal_keys *keys;
	struct seal_pub old, new;
};

static void add(struct cluster *c, struct seal_pub *pub)
{
	struct buf private = {0};

	seal_key_generate(&private, pub);
	assert_int_equal(seal_keys_add(c->keys, buf_view(&private), NULL), 0);
	buf_wipe(&private);
}

static void begin(struct cluster *c)
{
	*c = (struct cluster){.keys = seal_keys_new()};
	add(c, &c->old);
	add(c, &c->new);
}

static void end(struct cluster *c)
{
	seal_keys_free(c->keys);
	arena_release(&c->a);
}

static const char *sealed(struct cluster *c, const struct seal_pub *pub, const char *namespace,
			  const char *key)
{
	struct seal_binding b = {SEAL_STRICT, str_c(namespace), STR("db"), str_c(key)};
	AUTO(buf) struct buf out = {0};

	assert_int_equal(seal_value(pub, &b, STR("correct horse"), &out, NULL), 0);
	return arena_cstr(&c->a, buf_view(&out));
}

static struct str run(struct cluster *c, struct reseal *r, const char *text)
{
	struct git_file f = {.path = STR("app/db.yaml"), .data = str_c(text)};
	struct err err = {0};
	struct str out;

	r->keys = c->keys;
	r->pub = &c->new;
	out = reseal_file(&c->a, r, &f, &err);
	assert_int_equal(err.code, 0);
	return out;
}

static const char form[] =
	"# before\n---\napiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n---\n"
	"apiVersion: plumb.dev/v1 # ours\nkind: SealedSecret\n"
	"metadata:\n  name: db%s\nspec:\n  encryptedData:\n"
	"    # the one that matters\n    password: %s # keep\n    \"user\": '%s'\n"
	"  template: {type: Opaque}\n";

static void opens(struct cluster *c, struct str text, const char *namespace)
{
	struct seal_binding b = {SEAL_STRICT, str_c(namespace), STR("db"), STR("password")};
	AUTO(buf) struct buf plain = {0};
	struct yaml_docs docs;
	struct err err = {0};
	uint8_t id[SEAL_ID_BYTES];
	struct str value;

	assert_int_equal(yaml_parse(&c->a, text, 0, NULL, NULL, &docs, &err), 0);
	value = json_str(json_at(docs.v[1], "spec", "encryptedData", "password"));
	assert_int_equal(seal_value_id(value, id, NULL), 0);
	assert_memory_equal(id, c->new.id, sizeof(id));
	assert_int_equal(seal_open(c->keys, &b, value, &plain, &err), 0);
	assert_true(str_is(buf_view(&plain), "correct horse"));
}

/* The text with every sealed value taken out. */
static struct str frame(struct cluster *c, struct str text)
{
	AUTO(buf) struct buf out = {0};
	struct str word;

	while (str_next(&text, ' ', &word))
		if (word.n < 60)
			buf_str(&out, word);
	return arena_str(&c->a, buf_view(&out));
}

void test_reseal__only_the_values_bytes_change(void **state)
{
	struct cluster c;
	struct reseal r = {0};
	const char *text;
	struct str out;

	(void)state;
	begin(&c);
	text = arena_printf(&c.a, form, "\n  namespace: team",
			    sealed(&c, &c.old, "team", "password"),
			    sealed(&c, &c.old, "team", "user"));
	out = run(&c, &r, text);
	assert_true(out.p != NULL);
	assert_int_equal(r.done, 2);
	assert_int_equal(r.left, 0);
	opens(&c, out, "team");
	assert_true(str_eq(frame(&c, out), frame(&c, str_c(text))));
	assert_true(str_find(out, STR(" # keep\n    \"user\": '")) > 0);
	/* Once is enough. */
	assert_true(run(&c, &r, arena_cstr(&c.a, out)).p == NULL);
	end(&c);
}

void test_reseal__a_namespace_that_a_kustomization_gives(void **state)
{
	struct cluster c;
	struct reseal_owner owner = {STR("app/db.yaml"), 1, STR("team"), STR("db")};
	struct reseal r = {.owners = &owner, .nowners = 1};
	const char *text;

	(void)state;
	begin(&c);
	text = arena_printf(&c.a, form, "", sealed(&c, &c.old, "team", "password"),
			    sealed(&c, &c.old, "team", "user"));
	opens(&c, run(&c, &r, text), "team");
	owner.doc = 0;
	assert_true(run(&c, &r, text).p == NULL);
	assert_int_equal(r.left, 2);
	end(&c);
}

void test_reseal__what_does_not_open_stays(void **state)
{
	struct cluster c;
	struct reseal r = {0};
	struct str out;
	const char *moved;

	(void)state;
	begin(&c);
	moved = sealed(&c, &c.old, "elsewhere", "user");
	out = run(&c, &r,
		  arena_printf(&c.a, form, "\n  namespace: team",
			       sealed(&c, &c.old, "team", "password"), moved));
	opens(&c, out, "team");
	assert_int_equal(r.done, 1);
	assert_int_equal(r.left, 1);
	assert_true(str_find(out, str_c(moved)) > 0);
	end(&c);
}

void test_reseal__values_are_counted_by_key(void **state)
{
	struct cluster c;
	struct reseal r = {.done = 0};
	char old[SEAL_ID_TEXT], new[SEAL_ID_TEXT], text[100], other[100];

	(void)state;
	begin(&c);
	run(&c, &r,
	    arena_printf(
		    &c.a,
		    "kind: SealedSecret\napiVersion: plumb.dev/v1\nmetadata: {name: db, "
		    "namespace: team}\nspec:\n  encryptedData:\n    a: %s\n    b: %s\n    c: %s\n",
		    sealed(&c, &c.old, "team", "a"), sealed(&c, &c.new, "team", "b"),
		    sealed(&c, &c.new, "team", "c")));
	snprintf(text, sizeof(text), "%s=1,%s=2", seal_id_text(c.old.id, old),
		 seal_id_text(c.new.id, new));
	snprintf(other, sizeof(other), "%s=2,%s=1", new, old);
	assert_true(str_is(reseal_uses_text(&c.a, &r), text) ||
		    str_is(reseal_uses_text(&c.a, &r), other));
	end(&c);
}

void test_reseal__no_plain_text_comes_out(void **state)
{
	struct cluster c;
	struct reseal r = {0};
	struct str out;

	(void)state;
	begin(&c);
	out = run(&c, &r,
		  arena_printf(&c.a, form, "\n  namespace: team",
			       sealed(&c, &c.old, "team", "password"),
			       sealed(&c, &c.old, "team", "user")));
	assert_true(str_find(out, STR("correct horse")) < 0);
	assert_true(str_find(out, STR("Y29ycmVjdCBob3JzZQ")) < 0);
	end(&c);
}

void test_reseal__the_key_file(void **state)
{
	struct cluster c;
	struct seal_pub all[2];
	AUTO(buf) struct buf old = {0};
	struct str text;

	(void)state;
	begin(&c);
	all[0] = c.old;
	all[1] = c.new;
	assert_int_equal(sealing_file_is(STR_NONE, &c.new, all, 2), SEALING_MISSING);
	assert_int_equal(sealing_file_is(STR("# comes here\n"), &c.new, all, 2), SEALING_EMPTY);
	buf_puts(&old, "# ours\n");
	seal_pub_write(&c.old, &old);
	buf_puts(&old, "# the end\n");
	assert_int_equal(sealing_file_is(buf_view(&old), &c.new, all, 2), SEALING_OLD);
	assert_int_equal(sealing_file_is(buf_view(&old), &c.new, all + 1, 1), SEALING_FOREIGN);
	assert_int_equal(sealing_file_is(STR("plumb-seal-v1:AAAA\n"), &c.new, all, 2),
			 SEALING_FOREIGN);
	text = sealing_file_text(&c.a, buf_view(&old), &c.new);
	assert_int_equal(sealing_file_is(text, &c.new, all, 2), SEALING_CURRENT);
	assert_true(str_starts(text, STR("# ours\nplumb-seal-v1:")));
	assert_true(str_ends(text, STR("\n# the end\n")));
	text = sealing_file_text(&c.a, STR_NONE, &c.new);
	assert_int_equal(sealing_file_is(text, &c.new, all, 2), SEALING_CURRENT);
	end(&c);
}
