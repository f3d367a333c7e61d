/*
 * age files: what the age program wrote opens here and the other way round; every change to a file
 * is refused.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "secrets/age.h"
#include "secrets/bech32.h"

/* Made with age-keygen and age 1.1. */
static const char identity[] =
	"# a "
	"comment\n\nAGE-SECRET-KEY-1CRA4FSFJ88G3C0SY8MSRUD8XUS6QV82Q0EDAJZFQPXHV9FWLZVVQKD7RMW\n";
static const char recipient[] = "age15v7g8qsvy2qey63f32040n5vmcepuayggd420yut8k93rn5nus3qjnanew";
static const char file[] = "-----BEGIN AGE ENCRYPTED FILE-----\n"
			   "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBYWW1CR2N0a0FkdjlYa0wr\n"
			   "V2JFQzJXdnFPdkJya0NzTDB6VUtZRTBhTmlFCnBnbzFJSjgwQkp2NEhpbFFNZ3My\n"
			   "UnVHalV6ZFJNTU9heEkxZGhqeXJ3aEUKLS0tIHhwWG5HaUFuMEppaldJNDF5K0Ry\n"
			   "RStJNGFQVExsRjNqdlpJYkFCdzVkS2MK8o2SnwLTxetv3LzENacDKoPN8FEQNcjb\n"
			   "hCK8YC6M/Cc90EX4pTDhZoC2dHH5\n"
			   "-----END AGE ENCRYPTED FILE-----\n";

static struct age_keys *keys(void)
{
	struct age_keys *k = age_keys_new();
	struct err err = {0};

	if (age_keys_parse(k, str_c(identity), &err) != 0)
		fail_msg("%s", err.msg);
	assert_int_equal(age_keys_count(k), 1);
	return k;
}

static enum err_code open_file(struct str text, struct buf *out)
{
	struct age_keys *k = keys();
	struct err err = {0};

	buf_reset(out);
	if (age_decrypt(k, text, out, &err) == 0)
		assert_int_equal(err.code, ERR_NONE);
	else
		assert_int_equal(out->n, 0);
	age_keys_free(k);
	return err.code;
}

void test_age__opens_what_the_program_wrote(void **state)
{
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf text = {0};

	(void)state;
	assert_int_equal(open_file(str_c(file), &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "correct horse");
	/* White space around, and CRLF. */
	buf_puts(&text, "\n ");
	for (const char *c = file; *c; c++) {
		if (*c == '\n')
			buf_putc(&text, '\r');
		buf_putc(&text, *c);
	}
	buf_puts(&text, "\n\n");
	assert_int_equal(open_file(buf_view(&text), &out), ERR_NONE);
	buf_puts(&text, "x");
	assert_int_equal(open_file(buf_view(&text), &out), ERR_PARSE);
}

void test_age__opens_what_it_wrote(void **state)
{
	static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000};
	struct age_recipient to[2];
	AUTO(buf) struct buf other = {0};

	(void)state;
	age_generate(&other, &to[0]);
	assert_int_equal(age_recipient_parse(str_c(recipient), &to[1], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes) * 2; i++) {
		struct age_encrypt e = {to, 2, i % 2 == 0};
		AUTO(free) char *plain = xalloc(sizes[i / 2] + 1);
		AUTO(buf) struct buf out = {0};
		AUTO(buf) struct buf back = {0};

		random_bytes(plain, sizes[i / 2]);
		assert_int_equal(age_encrypt(&e, (struct str){plain, sizes[i / 2]}, &out, NULL), 0);
		assert_int_equal(open_file(buf_view(&out), &back), ERR_NONE);
		assert_int_equal(back.n, sizes[i / 2]);
		assert_memory_equal(back.p ? back.p : "", plain, sizes[i / 2]);
		/* The last chunk cut off, or something behind it. */
		if (!e.armor) {
			buf_putc(&out, 'x');
			assert_int_not_equal(open_file(buf_view(&out), &back), ERR_NONE);
			out.n -= 18;
			assert_int_not_equal(open_file(buf_view(&out), &back), ERR_NONE);
		}
	}
}

void test_age__every_change_is_refused(void **state)
{
	struct age_recipient to;
	struct age_encrypt e = {&to, 1, false};
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(age_recipient_parse(str_c(recipient), &to, NULL), 0);
	assert_int_equal(age_encrypt(&e, STR("secret"), &f, NULL), 0);
	for (size_t n = 0; n < f.n; n++)
		assert_int_not_equal(open_file((struct str){f.p, n}, &out), ERR_NONE);
	for (size_t bit = 0; bit < f.n * 8; bit++) {
		f.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_not_equal(open_file(buf_view(&f), &out), ERR_NONE);
		f.p[bit / 8] ^= (char)(1 << bit % 8);
	}
}

void test_age__strangers_and_other_types(void **state)
{
	struct age_recipient to;
	struct age_encrypt e = {&to, 1, false};
	AUTO(buf) struct buf id = {0};
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf out = {0};
	struct age_keys *k = age_keys_new();

	(void)state;
	age_generate(&id, &to);
	assert_int_equal(age_encrypt(&e, STR("secret"), &f, NULL), 0);
	assert_int_equal(open_file(buf_view(&f), &out), ERR_NOT_FOUND);
	assert_int_equal(age_keys_parse(k, buf_view(&id), NULL), 0);
	assert_int_equal(age_decrypt(k, buf_view(&f), &out, NULL), 0);
	age_keys_free(k);
	assert_int_equal(open_file(STR("age-encryption.org/v1\n-> ssh-rsa x\nQUJD\n--- "
				       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
				   &out),
			 ERR_NOT_FOUND);
}

void test_age__key_files_do_not_leak(void **state)
{
	struct age_keys *k = age_keys_new();
	struct err err = {0};

	(void)state;
	assert_int_equal(age_keys_parse(k, STR("# x\nAGE-SECRET-KEY-1WRONG\n"), &err), -1);
	assert_null(strstr(err.msg, "WRONG"));
	assert_non_null(strstr(err.msg, "line 2"));
	age_keys_free(k);
}

void test_age__bech32(void **state)
{
	/* From BIP 173. */
	static const char *const good[] = {
		"A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
		"split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w", "?1ezyfcl"};
	static const char *const bad[] = {"A12uEL5L",  "a12uel5m", "1qzzfhee", "pzry9x0s0muk",
					  "x1b4n0q5v", "li1dgmt3", "a1",       "de1lg7wt\xff"};
	AUTO(buf) struct buf hrp = {0};
	AUTO(buf) struct buf data = {0};
	AUTO(buf) struct buf again = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_reset(&hrp);
		buf_reset(&data);
		buf_reset(&again);
		if (bech32_decode(str_c(good[i]), &hrp, &data) != 0)
			fail_msg("%s", good[i]);
		bech32_encode(buf_view(&hrp), buf_view(&data), &again);
		assert_true(str_ieq(buf_view(&again), str_c(good[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(bech32_decode(str_c(bad[i]), &hrp, &data), -1);
}

void test_age__the_program_opens_ours(void **state)
{
	char dir[] = "/tmp/plumb-age-XXXXXX";
	struct age_recipient to;
	struct age_encrypt e = {&to, 1, true};
	struct proc_result r = {0};
	AUTO(buf) struct buf f = {0};
	struct err err = {0};

	(void)state;
	if (access("/usr/bin/age", X_OK) != 0) {
		print_message("needs the age program\n");
		skip();
	}
	assert_non_null(mkdtemp(dir));
	AUTO(free) char *key = xasprintf("%s/key", dir);
	AUTO(free) char *path = xasprintf("%s/file", dir);
	assert_int_equal(age_recipient_parse(str_c(recipient), &to, NULL), 0);
	assert_int_equal(age_encrypt(&e, STR("secret"), &f, NULL), 0);
	assert_int_equal(fs_write(key, str_c(identity), 0600, NULL), 0);
	assert_int_equal(fs_write(path, buf_view(&f), 0600, NULL), 0);
	const char *argv[] = {"age", "-d", "-i", key, path, NULL};
	struct proc_opts o = {.argv = argv};
	int rc = proc_run(&o, &r, &err);
	assert_int_equal(fs_remove_tree(dir, NULL), 0);
	assert_int_equal(rc, 0);
	assert_int_equal(r.status, 0);
	assert_string_equal(buf_cstr(&r.out), "secret");
	buf_release(&r.out);
	buf_release(&r.err);
}

/* ---- ssh-ed25519 ---- */

/* Made with ssh-keygen and age 1.1. */
static const char ssh_identity[] =
	"-----BEGIN OPENSSH PRIVATE KEY-----\n"
	"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
	"QyNTUxOQAAACAhQxEjIeWGS+6DaekWHGV8oDNNkX0bgktIUO9+4s8CVAAAAIgn3YCJJ92A\n"
	"iQAAAAtzc2gtZWQyNTUxOQAAACAhQxEjIeWGS+6DaekWHGV8oDNNkX0bgktIUO9+4s8CVA\n"
	"AAAEDZp3hrVUNtyaHuF5V8z0fdm+RP+fne7INrC18DRvQKTyFDESMh5YZL7oNp6RYcZXyg\n"
	"M02RfRuCS0hQ737izwJUAAAABHRlc3QB\n"
	"-----END OPENSSH PRIVATE KEY-----\n";
static const char ssh_recipient[] =
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICFDESMh5YZL7oNp6RYcZXygM02RfRuCS0hQ737izwJU test";
static const char ssh_file[] = "-----BEGIN AGE ENCRYPTED FILE-----\n"
			       "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNzaC1lZDI1NTE5IDRyWEtJZyBEM3FK\n"
			       "bXNEWm5UVS9zSmZFZXhjQS9WVWN2aVZaaXhtS3p0QXJCeEpUNVVjCnlsRnRkTEhv\n"
			       "TVozRG9XeWppVEtkUWtnVVdRcHE3ejhhNm1NRHB2b0xVQ2cKLS0tIHhjVU1ObFpN\n"
			       "WkF4bXdNamRVekxoUUNZcEo1Z1NLT2IxelJVb3FCVmxRNGsK91kBNbVYan2TIZfy\n"
			       "4Kydk4lFsC82fQLYEVv3tVbHb+GdFkX6D99x2n/M9HJJ\n"
			       "-----END AGE ENCRYPTED FILE-----\n";

void test_age__ssh_keys(void **state)
{
	struct age_keys *k = age_keys_new();
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf made = {0};
	struct age_recipient to[2];
	struct age_encrypt e = {to, 2, false};
	struct err err = {0};

	(void)state;
	assert_int_equal(age_keys_parse(k, str_c(ssh_identity), &err), 0);
	if (age_decrypt(k, str_c(ssh_file), &out, &err) != 0)
		fail_msg("%s", err.msg);
	assert_true(str_is(buf_view(&out), "correct horse"));
	/* Ours, beside an X25519 recipient: each opens it. */
	assert_int_equal(age_recipient_parse(str_c(recipient), &to[0], NULL), 0);
	assert_int_equal(age_recipient_parse(str_c(ssh_recipient), &to[1], NULL), 0);
	assert_int_equal(age_encrypt(&e, STR("both"), &made, &err), 0);
	buf_reset(&out);
	assert_int_equal(age_decrypt(k, buf_view(&made), &out, &err), 0);
	assert_true(str_is(buf_view(&out), "both"));
	age_keys_free(k);
	k = keys();
	buf_reset(&out);
	assert_int_equal(age_decrypt(k, buf_view(&made), &out, &err), 0);
	assert_int_equal(age_decrypt(k, str_c(ssh_file), &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	age_keys_free(k);
}

/* Every bit of a file for an ssh key; armor is another spelling of the same. */
void test_age__every_change_of_a_file_for_ssh_is_refused(void **state)
{
	struct age_keys *k = age_keys_new();
	struct age_recipient to;
	struct age_encrypt e = {&to, 1, false};
	AUTO(buf) struct buf f = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(age_keys_parse(k, str_c(ssh_identity), NULL), 0);
	assert_int_equal(age_recipient_parse(str_c(ssh_recipient), &to, NULL), 0);
	assert_int_equal(age_encrypt(&e, STR("secret"), &f, NULL), 0);
	assert_int_equal(age_decrypt(k, buf_view(&f), &out, NULL), 0);
	for (size_t n = 0; n < f.n; n++)
		assert_int_equal(age_decrypt(k, (struct str){f.p, n}, &out, NULL), -1);
	for (size_t bit = 0; bit < f.n * 8; bit++) {
		f.p[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_equal(age_decrypt(k, buf_view(&f), &out, NULL), -1);
		f.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	age_keys_free(k);
}

void test_age__recipients_of_others_are_refused_by_name(void **state)
{
	static const char *const rows[][2] = {{"ssh-rsa AAAA", "ssh-ed25519"},
					      {"age1pq1qqqq", "post-quantum"},
					      {"age1yubikey1qqqq", "plugins"},
					      {"age1xyz", "not an age recipient"}};
	struct age_recipient r;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(age_recipient_parse(str_c(rows[i][0]), &r, &err), -1);
		if (!strstr(err.msg, rows[i][1]))
			fail_msg("%s: %s", rows[i][0], err.msg);
	}
	/* Somebody mistook one for the other: it isn't repeated. */
	assert_int_equal(age_recipient_parse(str_trim(str_c(identity)), &r, &err), -1);
	assert_null(strstr(err.msg, "SECRET-KEY-1"));
	assert_non_null(strstr(err.msg, "keep it secret"));
}

void test_age__a_passphrase_is_refused_by_name(void **state)
{
	struct age_keys *k = keys();
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(
		age_decrypt(k,
			    STR("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 18\n"
				"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n--- "
				"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"),
			    &out, &err),
		-1);
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "passphrase"));
	age_keys_free(k);
}

void test_age__ssh_keys_that_are_none(void **state)
{
	static const char *const bad[] = {
		"-----BEGIN OPENSSH PRIVATE KEY-----\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n*\n-----END OPENSSH PRIVATE KEY-----\n"};
	struct age_keys *k = age_keys_new();
	struct age_recipient to;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(age_keys_parse(k, str_c(bad[i]), &err), -1);
	/* Every truncation of a whole one, too. */
	for (size_t n = sizeof(ssh_identity) - 40; n > 40; n--)
		assert_int_equal(age_keys_parse(k, (struct str){ssh_identity, n}, &err), -1);
	assert_int_equal(age_recipient_parse(STR("ssh-ed25519 AAAA"), &to, &err), -1);
	assert_int_equal(age_recipient_parse(STR("ssh-rsa AAAA"), &to, &err), -1);
	assert_int_equal(age_keys_count(k), 0);
	age_keys_free(k);
}
