/* Files whose recipients change, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "secrets/sops_bind.h"
#include "secrets/sops_recipients.h"

#define SSH "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICFDESMh5YZL7oNp6RYcZXygM02RfRuCS0hQ737izwJU"

static bool in_shop(void *arg, const struct sops_binding *b)
{
	(void)arg;
	return str_is(b->namespace, "shop");
}

static struct sops_bound bound = {.may = in_shop};

struct world {
	struct arena a;
	struct age_keys *keys[3];
	char recipient[3][100];
	struct buf made, out;
	struct err err;
};

static void begin(struct world *w)
{
	*w = (struct world){.err = {0}};
	for (size_t i = 0; i < 3; i++) {
		struct buf text = {0};
		AUTO(buf) struct buf to = {0};
		struct age_recipient r;

		w->keys[i] = age_keys_new();
		age_generate(&text, &r);
		age_recipient_write(&r, &to);
		snprintf(w->recipient[i], sizeof(w->recipient[i]), "%s", buf_cstr(&to));
		assert_int_equal(age_keys_parse(w->keys[i], buf_view(&text), NULL), 0);
		buf_wipe(&text);
	}
}

static void end(struct world *w)
{
	for (size_t i = 0; i < 3; i++)
		age_keys_free(w->keys[i]);
	buf_release(&w->made);
	buf_release(&w->out);
	arena_release(&w->a);
}

static struct sops_policy list(struct world *w, int first, int second)
{
	struct sops_policy p = {.n = 0};

	p.recipients[p.n++] = str_c(w->recipient[first]);
	if (second >= 0)
		p.recipients[p.n++] = str_c(w->recipient[second]);
	return p;
}

static void encrypt(struct world *w, enum sops_format format, const char *text,
		    const struct sops_binding *bind)
{
	struct sops_policy p = list(w, 0, 1);
	struct sops_encrypt e = {&p, format, STR("2026-01-02T03:04:05Z"), bind};

	buf_reset(&w->made);
	if (sops_encrypt(&e, str_c(text), &w->made, &w->err) != 0)
		fail_msg("%s", w->err.msg);
}

static int put(struct world *w, enum sops_format format, int first, int second)
{
	struct sops_file f = {w->keys[0], format, buf_view(&w->made)};
	struct sops_policy to = list(w, first, second);

	w->err = (struct err){0};
	buf_reset(&w->out);
	return sops_recipients_put(&f, &to, &bound, &w->out, &w->err);
}

static bool opens(struct world *w, enum sops_format format, size_t who)
{
	struct sops_file f = {w->keys[who], format, buf_view(&w->out)};
	struct buf plain = {0};
	struct sops_report report;
	bool yes = sops_open_bytes(&f, &plain, &report, NULL) == 0 && report.mac_ok &&
		   str_find(buf_view(&plain), STR("swordfish")) >= 0;

	buf_wipe(&plain);
	return yes;
}

/* Lines that stand in one text only and aren't of the recipients' part. */
static size_t strangers(struct str x, struct str y)
{
	struct str line;
	size_t n = 0;

	while (str_next(&x, '\n', &line)) {
		bool part = str_find(line, STR("recipient")) >= 0 ||
			    str_find(line, STR("enc")) >= 0 || str_find(line, STR("AGE")) >= 0 ||
			    (line.n > 8 && str_is(str_sub(line, 0, 8), "        "));

		n += !part && str_find(y, line) < 0;
	}
	return n;
}

void test_sops_recipients__only_their_part_changes(void **state)
{
	static const struct {
		enum sops_format format;
		const char *text;
	} files[] = {
		{SOPS_YAML, "# c\nkind: Secret\napiVersion: v1\nstringData:\n  a: swordfish # k\n"},
		{SOPS_YAML, "a: swordfish\n---\nb: [1, 2.5]\n"},
		{SOPS_JSON, "{\n\t\"a\": \"swordfish\",\n\t\"n\": 1\n}\n"},
		{SOPS_DOTENV, "# c\nA=swordfish\nB=x\\ny\n"},
		{SOPS_BINARY, "swordfish\x01\n"},
	};
	struct sops_policy now;
	struct world w;

	(void)state;
	begin(&w);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct sops_policy want = list(&w, 2, 0);

		encrypt(&w, files[i].format, files[i].text, NULL);
		if (put(&w, files[i].format, 0, 2) != 0)
			fail_msg("%zu: %s", i, w.err.msg);
		assert_true(opens(&w, files[i].format, 0) && opens(&w, files[i].format, 2));
		assert_false(opens(&w, files[i].format, 1));
		assert_int_equal(
			sops_recipients_of(&w.a, files[i].format, buf_view(&w.out), &now, &w.err),
			0);
		assert_true(sops_recipients_equal(&now, &want));
		if (files[i].format != SOPS_JSON)
			assert_int_equal(strangers(buf_view(&w.out), buf_view(&w.made)), 0);
	}
	end(&w);
}

void test_sops_recipients__what_is_not_right_is_left(void **state)
{
	struct world w;
	struct age_keys *mine;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML,
		"kind: Secret\napiVersion: v1\nmetadata: {name: x}\nstringData: {a: b}\n", NULL);
	/* Somebody else's. */
	mine = w.keys[0];
	w.keys[0] = w.keys[2];
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), -1);
	assert_int_equal(w.err.code, ERR_NOT_FOUND);
	w.keys[0] = mine;
	/* Edited without sops. */
	encrypt(&w, SOPS_YAML, "clear_unencrypted: one\nb: two\n", NULL);
	memcpy(strstr(buf_cstr(&w.made), "one"), "0ne", 3);
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), -1);
	assert_int_equal(w.err.code, ERR_CORRUPT);
	assert_int_equal(w.out.n, 0);
	end(&w);
}

void test_sops_recipients__a_binding_that_does_not_fit_is_left(void **state)
{
	struct sops_binding to = {.namespace = STR("shop")}, away = {.namespace = STR("bank")};
	const char *text = "kind: Secret\napiVersion: v1\nmetadata:\n  name: x\nstringData:\n"
			   "  a: swordfish\n";
	struct world w;
	char *at;

	(void)state;
	begin(&w);
	encrypt(&w, SOPS_YAML, text, &away);
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), -1);
	assert_int_equal(w.err.code, ERR_FORBIDDEN);
	encrypt(&w, SOPS_YAML, text, NULL);
	bound.required = true;
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), -1);
	assert_int_equal(w.err.code, ERR_FORBIDDEN);
	encrypt(&w, SOPS_YAML, text, &to);
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), 0);
	bound.required = false;
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), 0);
	assert_true(opens(&w, SOPS_YAML, 2));
	/* A key that the binding doesn't know; empty values count for no MAC. */
	at = strstr(buf_cstr(&w.made), "  a: ENC");
	assert_non_null(at);
	AUTO(buf) struct buf more = {0};
	buf_str(&more, str_sub(buf_view(&w.made), 0, (size_t)(at - w.made.p)));
	buf_puts(&more, "  z: \"\"\n");
	buf_puts(&more, at);
	buf_reset(&w.made);
	buf_str(&w.made, buf_view(&more));
	assert_int_equal(put(&w, SOPS_YAML, 0, 2), -1);
	assert_int_equal(w.err.code, ERR_CORRUPT);
	assert_non_null(strstr(w.err.msg, "bound-to"));
	end(&w);
}

void test_sops_recipients__lists(void **state)
{
	struct sops_policy p, q;
	struct world w;
	char text[600];

	(void)state;
	begin(&w);
	snprintf(text, sizeof(text), "# us\n%s\n\n  " SSH " me@here \r\n%s\n", w.recipient[0],
		 w.recipient[0]);
	assert_int_equal(sops_recipients_parse(&w.a, str_c(text), &p, &w.err), 0);
	assert_int_equal(p.n, 2);
	assert_true(sops_recipients_has(&p, STR(SSH)));
	assert_true(sops_recipients_hold(&p, w.keys[0]));
	assert_false(sops_recipients_hold(&p, w.keys[1]));
	assert_int_equal(sops_recipients_parse(&w.a, STR("# none\n"), &q, &w.err), -1);
	assert_int_equal(sops_recipients_parse(&w.a, STR("\nAGE-SECRET-KEY-1QQ\n"), &q, &w.err),
			 -1);
	assert_non_null(strstr(w.err.msg, "line 2"));
	assert_null(strstr(w.err.msg, "SECRET"));
	q = list(&w, 0, -1);
	assert_false(sops_recipients_equal(&p, &q));
	end(&w);
}

void test_sops_recipients__of_other_keys_and_no_files(void **state)
{
	struct sops_policy p;
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(sops_recipients_of(&w.a, SOPS_YAML, STR("a: b\n"), &p, &w.err), -1);
	assert_int_equal(w.err.code, ERR_NOT_FOUND);
	assert_int_equal(sops_recipients_of(&w.a, SOPS_DOTENV, STR("A=b\n"), &p, &w.err), -1);
	assert_int_equal(w.err.code, ERR_NOT_FOUND);
	assert_int_equal(sops_recipients_of(&w.a, SOPS_YAML,
					    STR("a: b\nsops:\n  pgp: [{fp: x}]\n  mac: x\n"), &p,
					    &w.err),
			 -1);
	assert_int_equal(w.err.code, ERR_UNSUPPORTED);
	end(&w);
}

static int rotate(struct world *w, enum sops_format format)
{
	struct sops_file f = {w->keys[0], format, buf_view(&w->made)};

	buf_reset(&w->out);
	return sops_rotate(&f, STR("2026-03-02T03:04:05Z"), &w->out, &w->err);
}

void test_sops_recipients__another_data_key(void **state)
{
	static const enum sops_format formats[] = {SOPS_YAML, SOPS_JSON, SOPS_DOTENV, SOPS_BINARY};
	static const char *const texts[] = {"# c\na: swordfish\nb_unencrypted: 1\n",
					    "{\"a\": \"swordfish\"}", "A=swordfish\n", "swordfish"};
	struct sops_policy was, is;
	struct world w;

	(void)state;
	begin(&w);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		encrypt(&w, formats[i], texts[i], NULL);
		assert_int_equal(rotate(&w, formats[i]), 0);
		assert_true(opens(&w, formats[i], 0) && opens(&w, formats[i], 1));
		assert_int_equal(
			sops_recipients_of(&w.a, formats[i], buf_view(&w.made), &was, NULL), 0);
		assert_int_equal(sops_recipients_of(&w.a, formats[i], buf_view(&w.out), &is, NULL),
				 0);
		assert_true(sops_recipients_equal(&was, &is));
		assert_true(str_find(buf_view(&w.out), STR("2026-03-02")) > 0);
	}
	/* The old file's values don't open under the new key. */
	encrypt(&w, SOPS_YAML, "a: swordfish\nb_unencrypted: 1\n", NULL);
	assert_int_equal(rotate(&w, SOPS_YAML), 0);
	assert_true(str_find(buf_view(&w.out), STR("b_unencrypted: 1\n")) > 0);
	memcpy(strstr(buf_cstr(&w.out), "ENC["), strstr(buf_cstr(&w.made), "ENC["), 120);
	assert_false(opens(&w, SOPS_YAML, 0));
	/* Edited without sops; and comments that would stand in clear. */
	memcpy(strstr(buf_cstr(&w.made), "ted: 1") + 5, "2", 1);
	assert_int_equal(rotate(&w, SOPS_YAML), -1);
	assert_int_equal(w.err.code, ERR_CORRUPT);
	encrypt(&w, SOPS_YAML, "#ENC[AES256_GCM,x]\na: b\n", NULL);
	assert_int_equal(rotate(&w, SOPS_YAML), -1);
	assert_int_equal(w.err.code, ERR_UNSUPPORTED);
	end(&w);
}
