/* What of a repository gets other recipients, and what its pull request says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/recipients.h"

static bool anything(void *arg, const struct sops_binding *b)
{
	(void)arg;
	(void)b;
	return true;
}

static const struct sops_bound bound = {.may = anything};

struct world {
	struct arena a;
	struct age_keys *keys;
	char recipient[2][100];
	struct recipients r;
};

static void begin(struct world *w)
{
	*w = (struct world){.keys = age_keys_new()};
	for (size_t i = 0; i < 2; i++) {
		struct buf text = {0};
		AUTO(buf) struct buf to = {0};
		struct age_recipient r;

		age_generate(&text, &r);
		age_recipient_write(&r, &to);
		snprintf(w->recipient[i], sizeof(w->recipient[i]), "%s", buf_cstr(&to));
		if (i == 0)
			assert_int_equal(age_keys_parse(w->keys, buf_view(&text), NULL), 0);
		buf_wipe(&text);
	}
	w->r.keys = w->keys;
	w->r.bound = &bound;
	w->r.wanted.recipients[w->r.wanted.n++] = str_c(w->recipient[0]);
}

static void end(struct world *w)
{
	age_keys_free(w->keys);
	arena_release(&w->a);
}

/* Encrypted to the first n. */
static struct str sealed(struct world *w, size_t n, size_t from)
{
	struct sops_policy p = {.n = 0};
	struct sops_encrypt e = {&p, SOPS_YAML, STR("2026-01-02T03:04:05Z"), NULL};
	AUTO(buf) struct buf out = {0};

	for (size_t i = from; i < from + n; i++)
		p.recipients[p.n++] = str_c(w->recipient[i]);
	assert_int_equal(
		sops_encrypt(&e, STR("pass: swordfish\nok_unencrypted: yes\n"), &out, NULL), 0);
	return arena_str(&w->a, buf_view(&out));
}

static void take(struct world *w, const char *path, struct str text)
{
	struct git_file f = {.path = str_c(path), .data = text, .oid = "0123"};

	recipients_take(&w->a, &w->r, &f);
}

void test_recipients__files_that_differ_are_taken(void **state)
{
	struct world w;
	struct str broken;

	(void)state;
	begin(&w);
	take(&w, "app/same.yaml", sealed(&w, 1, 0));
	take(&w, "app/plain.yaml", STR("a: b\n"));
	take(&w, "app/strange.yaml", sealed(&w, 1, 1));
	assert_int_equal(w.r.nfiles, 0);
	assert_int_equal(w.r.strange, 1);
	take(&w, "app/more.yaml", sealed(&w, 2, 0));
	assert_int_equal(w.r.nfiles, 1);
	assert_int_equal(w.r.added.n, 0);
	assert_int_equal(w.r.removed.n, 1);
	assert_true(str_is(w.r.removed.recipients[0], w.recipient[1]));
	assert_true(str_find(w.r.files[0].text, str_c(w.recipient[1])) < 0);
	broken = sealed(&w, 2, 0);
	broken = str_c(arena_cstr(&w.a, broken));
	memcpy(strstr((char *)(uintptr_t)broken.p, "ed: yes") + 4, "may", 3);
	take(&w, "app/broken.yaml", broken);
	assert_int_equal(w.r.nleft, 1);
	assert_true(str_is(w.r.left[0].path, "app/broken.yaml"));
	assert_int_equal(w.r.nfiles, 1);
	end(&w);
}

void test_recipients__the_text_tells_and_gives_nothing_away(void **state)
{
	struct recipients_about about = {STR("shop/app"), STR("default"), STR("age")};
	struct world w;
	const char *body;
	struct str mark;

	(void)state;
	begin(&w);
	take(&w, "app/a`b\n# x.yaml", sealed(&w, 2, 0));
	body = arena_cstr(&w.a, recipients_body(&w.a, &w.r, &about));
	mark = recipients_mark(&w.a, &w.r);
	assert_true(str_starts(str_c(body), mark));
	assert_true(str_is(recipients_title(&w.a, &w.r),
			   "Recipients of 1 sops file: 0 added, 1 removed"));
	assert_non_null(strstr(body, "`app/a'b # x.yaml`"));
	assert_non_null(strstr(body, w.recipient[1]));
	assert_non_null(strstr(body, "has had the data keys"));
	assert_non_null(
		strstr(body, "Secret age, which Kustomization shop/app of cluster default"));
	assert_null(strstr(body, "swordfish"));
	/* About the same thing whatever commit it is of; about another with another file. */
	w.r.files[0].was = STR("4567");
	assert_true(str_eq(mark, recipients_mark(&w.a, &w.r)));
	take(&w, "app/z.yaml", sealed(&w, 2, 0));
	assert_false(str_eq(mark, recipients_mark(&w.a, &w.r)));
	end(&w);
}
