/*
 * The store over a bad disk: power cuts that lose, tear and reorder what was not synced; each
 * operation failing in turn; no space left. What was acknowledged is there, what was refused is
 * not, nothing is there by halves, and when the disk is well again the store goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "apiserver/store/store.h"
#include "tests/unit/apiserver/faultfs.h"

#define KEYS 12
#define BATCH_MAX 6
#define PATH "/disk/store.db"

/* What the store should hold: by key, the revision of its last write; 0 = absent. */
struct picture {
	uint64_t revision;
	uint64_t row[KEYS];
};

struct player {
	struct store *s;
	struct picture acked, tried; /* tried: when the commit that failed did happen */
	struct rng rng;
	bool ends; /* the commit in flight was cut */
};

static void value_of(uint64_t revision, int key, struct buf *out)
{
	struct rng r;

	/* Derived from the revision, so that a reader knows every byte; some over several pages. */
	rng_seed(&r, revision * KEYS + (uint64_t)key);
	size_t n = 1 + rng_below(&r, rng_below(&r, 8) ? 300 : 20000);
	buf_reset(out);
	buf_printf(out, "%llu:", (unsigned long long)revision);
	while (out->n < n)
		buf_i64(out, (int64_t)rng_u64(&r));
}

static void key_of(int i, char out[32])
{
	snprintf(out, 32, "apps/things/ns%d/%c", i % 3, 'a' + i);
}

/* ---- checking ---- */

struct reading {
	struct picture got;
	const char *wrong;
};

static int read_row(void *arg, struct str key, struct str value, uint64_t revision)
{
	struct reading *r = arg;
	AUTO(buf) struct buf want = {0};

	for (int i = 0; i < KEYS; i++) {
		char name[32];

		key_of(i, name);
		if (!str_is(key, name))
			continue;
		value_of(revision, i, &want);
		if (!str_eq(buf_view(&want), value))
			r->wrong = "a value that nobody wrote";
		r->got.row[i] = revision;
		return 0;
	}
	r->wrong = "a key that nobody wrote";
	return 0;
}

static bool same(const struct picture *a, const struct picture *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Whether the store holds `want` or, when the last commit's end is unknown, `or_else`. */
static const char *compare(struct store *s, struct picture *want, const struct picture *or_else)
{
	struct reading r = {0};
	struct err err = {0};

	if (s->ops->load(s, read_row, &r, &err))
		return "cannot be read";
	r.got.revision = s->ops->revision(s);
	if (r.wrong)
		return r.wrong;
	if (same(&r.got, want))
		return NULL;
	if (!or_else || !same(&r.got, or_else))
		return "neither the old nor the new state";
	*want = r.got;
	return NULL;
}

/* ---- writing ---- */

static int commit_some(struct player *p, struct err *err)
{
	size_t n = 1 + rng_below(&p->rng, BATCH_MAX);
	struct store_write w[BATCH_MAX];
	struct buf values[BATCH_MAX] = {0};
	char keys[BATCH_MAX][32];
	int rc;

	p->tried = p->acked;
	for (size_t i = 0; i < n; i++) {
		int k = (int)rng_below(&p->rng, KEYS);
		bool del = p->tried.row[k] && !rng_below(&p->rng, 4);

		p->tried.revision++;
		p->tried.row[k] = del ? 0 : p->tried.revision;
		key_of(k, keys[i]);
		value_of(p->tried.revision, k, &values[i]);
		w[i] = (struct store_write){str_c(keys[i]), del ? STR_NONE : buf_view(&values[i]),
					    p->tried.revision};
	}
	rc = p->s->ops->commit(p->s, w, n, p->tried.revision, err);
	if (!rc)
		p->acked = p->tried;
	for (size_t i = 0; i < n; i++)
		buf_release(&values[i]);
	return rc;
}

static struct store *open_well(void)
{
	struct err err = {0};
	struct store *s = store_sqlite_open(PATH, &err);

	if (!s)
		fail_msg("%s", err.msg);
	return s;
}

/* Writes, tidies, and now and then starts anew, until the power goes. */
static void play_until_cut(struct player *p)
{
	disk.cut_at = disk.ops + 1 + (int64_t)rng_below(&disk.rng, 120);
	p->tried = p->acked;
	while (!disk.fired) {
		struct err err = {0};

		if (!p->s)
			p->s = store_sqlite_open(PATH, &err);
		if (!p->s)
			break;
		switch (rng_below(&p->rng, 12)) {
		case 0:
			store_free(p->s);
			p->s = NULL;
			break;
		case 1:
		case 2:
			(void)p->s->ops->maintain(p->s, &err);
			break;
		default:
			(void)commit_some(p, &err);
		}
	}
	store_free(p->s); /* writes nothing any more */
	p->s = NULL;
}

/* Number of the first round that went wrong, or 0. */
static int play_cuts(uint64_t seed, int rounds, bool lies, const char **ret_why)
{
	struct player p = {0};
	int round;

	faultfs_register(seed);
	rng_seed(&p.rng, seed);
	disk.lies = lies;
	*ret_why = NULL;
	for (round = 1; round <= rounds && !*ret_why; round++) {
		struct err err = {0};

		play_until_cut(&p);
		faultfs_power_cut();
		disk.fired = 0;
		p.s = store_sqlite_open(PATH, &err);
		*ret_why = p.s ? compare(p.s, &p.acked, &p.tried) : "cannot be opened";
		if (rng_below(&p.rng, 2)) { /* else the next cut meets a log from before this one */
			store_free(p.s);
			p.s = NULL;
		}
	}
	store_free(p.s);
	faultfs_wipe();
	return *ret_why ? round - 1 : 0;
}

void test_store_faults__power_cuts_lose_nothing_that_was_acknowledged(void **state)
{
	const char *rounds = getenv("STORE_CUTS"), *why;
	int n = rounds ? (int)strtol(rounds, NULL, 10) : 5000, bad;

	(void)state;
	for (uint64_t seed = 1; n > 0; seed++, n -= 250) {
		bad = play_cuts(seed, MIN(n, 250), false, &why);
		if (bad)
			fail_msg("seed %llu, cut %d: %s", (unsigned long long)seed, bad, why);
	}
}

/* The same play must notice a disk that says it has synced and has not. */
void test_store_faults__a_disk_that_lies_is_found_out(void **state)
{
	int found = 0;
	const char *why;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		found += play_cuts(seed, 200, true, &why) > 0;
	assert_int_equal(found, 10);
}

/* ---- one operation fails ---- */

/* A fixed play; every error must leave the store as it was before that commit. Returns whether the
 * fault was met at all. */
static bool play_failing(int64_t nth, bool for_ever)
{
	struct player p = {0};
	struct err err = {0};
	const char *why;

	faultfs_register(7);
	rng_seed(&p.rng, 7);
	p.s = open_well();
	for (int i = 0; i < 5; i++)
		assert_int_equal(commit_some(&p, NULL), 0);
	disk.fail_at = disk.ops + nth;
	disk.fail_for_ever = for_ever;
	disk.fired = 0;
	for (int i = 0; i < 12; i++) {
		if (i % 4 == 3)
			(void)p.s->ops->maintain(p.s, NULL);
		else if (commit_some(&p, &err))
			assert_true(err.code == ERR_IO || err.code == ERR_NO_SPACE);
	}
	bool fired = disk.fired;
	disk.fail_at = 0;
	why = compare(p.s, &p.acked, NULL);
	if (why)
		fail_msg("operation %lld fails: %s", (long long)nth, why);
	if (commit_some(&p, &err)) /* the disk is well again */
		fail_msg("operation %lld failed, and nothing works since: %s", (long long)nth,
			 err.msg);
	store_free(p.s);
	p.s = open_well();
	why = compare(p.s, &p.acked, NULL);
	if (why)
		fail_msg("operation %lld failed, after a restart: %s", (long long)nth, why);
	store_free(p.s);
	faultfs_wipe();
	return fired;
}

void test_store_faults__any_operation_may_fail_once(void **state)
{
	int64_t n = 1;

	(void)state;
	while (play_failing(n, false))
		n++;
	assert_true(n > 30);
}

void test_store_faults__any_operation_may_begin_to_fail(void **state)
{
	int64_t n = 1;

	(void)state;
	while (play_failing(n, true))
		n++;
	assert_true(n > 30);
}

/* A start over a failing disk is refused or right; a later one is right. */
void test_store_faults__a_start_may_fail_anywhere(void **state)
{
	bool fired = true;

	(void)state;
	for (int64_t nth = 1; fired; nth++) {
		struct player p = {0};
		struct err err = {0};
		const char *why = NULL;

		faultfs_register(9);
		rng_seed(&p.rng, 9);
		p.s = open_well();
		for (int i = 0; i < 8; i++)
			assert_int_equal(commit_some(&p, NULL), 0);
		disk.cut_at = disk.ops + 1; /* leaves a log */
		store_free(p.s);
		faultfs_power_cut();
		disk.fired = 0;
		disk.fail_at = disk.ops + nth;
		p.s = store_sqlite_open(PATH, &err);
		fired = disk.fired;
		disk.fail_at = 0;
		if (p.s)
			why = compare(p.s, &p.acked, NULL);
		else
			assert_true(err.msg[0] != 0);
		if (why)
			fail_msg("operation %lld of a start fails: %s", (long long)nth, why);
		store_free(p.s);
		p.s = open_well();
		why = compare(p.s, &p.acked, NULL);
		if (why)
			fail_msg("operation %lld of a start failed, the next: %s", (long long)nth,
				 why);
		store_free(p.s);
		faultfs_wipe();
	}
}

/* ---- no space ---- */

void test_store_faults__a_full_disk_refuses_and_recovers(void **state)
{
	struct player p = {0};
	int refused = 0;
	const char *why;

	(void)state;
	faultfs_register(11);
	rng_seed(&p.rng, 11);
	p.s = open_well();
	disk.room = 256 << 10;
	for (int i = 0; i < 400; i++) {
		struct err err = {0};

		if (!commit_some(&p, &err))
			continue;
		refused++;
		assert_int_equal(err.code, ERR_NO_SPACE);
		assert_true(str_find(str_c(err.msg), STR("full")) >= 0);
		why = compare(p.s, &p.acked, NULL); /* reads go on */
		if (why)
			fail_msg("full: %s", why);
	}
	assert_true(refused > 0);
	disk.room = 0;
	for (int i = 0; i < 50; i++)
		assert_int_equal(commit_some(&p, NULL), 0);
	store_free(p.s);
	p.s = open_well();
	why = compare(p.s, &p.acked, NULL);
	if (why)
		fail_msg("after a restart: %s", why);
	store_free(p.s);
	faultfs_wipe();
}
