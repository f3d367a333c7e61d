/*
 * The simulation: `sim --seed N [--verbose]` plays one, `sim --seeds N` many, and then plants
 * mistakes that the invariants must find. Prints TAP; a failure names the seed that replays it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/flags.h"
#include "lib/base/log.h"
#include "tests/sim/world.h"

#define GROUP 100 /* seeds of one TAP line */
#define DEEDS 12

static bool play(uint64_t seed, const char *plant, bool verbose, char wrong[400], bool *ret_planted)
{
	struct world w = {.plant = plant, .verbose = verbose};

	world_make(&w, seed);
	world_run(&w, 2 * NS_PER_S);
	for (int i = 0; i < DEEDS && !w.wrong[0]; i++) {
		workload_step(&w);
		world_run(&w, (int64_t)(200 + rng_below(&w.rng, 8000)) * NS_PER_MS);
	}
	workload_settle(&w);
	world_run(&w, 400 * NS_PER_S);
	if (!w.wrong[0])
		invariants_converged(&w);
	if (w.wrong[0])
		world_say(&w, "%s", w.wrong);
	if (verbose)
		printf("%ld commits\n", w.commits);
	memcpy(wrong, w.wrong, sizeof(w.wrong));
	*ret_planted = w.planted;
	world_free(&w);
	return !wrong[0];
}

static bool play_group(uint64_t from, uint64_t to, int line)
{
	char wrong[400];
	bool planted;

	for (uint64_t seed = from; seed <= to; seed++) {
		if (play(seed, NULL, false, wrong, &planted))
			continue;
		printf("not ok %d - seeds %llu to %llu\n# seed %llu: %s\n# replay: make sim "
		       "SEED=%llu\n",
		       line, (unsigned long long)from, (unsigned long long)to,
		       (unsigned long long)seed, wrong, (unsigned long long)seed);
		return false;
	}
	printf("ok %d - seeds %llu to %llu\n", line, (unsigned long long)from,
	       (unsigned long long)to);
	fflush(stdout);
	return true;
}

/* A planted mistake that nobody notices is a broken invariant. */
static bool find_planted(const char *plant, int line)
{
	char wrong[400];
	bool planted = false;

	for (uint64_t seed = 1; seed <= 20; seed++)
		if (!play(seed, plant, false, wrong, &planted) && planted) {
			printf("ok %d - %s is found: %s\n", line, plant, wrong);
			return true;
		}
	printf("not ok %d - %s is not found\n", line, plant);
	return false;
}

static int play_many(uint64_t seeds)
{
	static const char *const plants[] = {"skip-event", "over-capacity", "over-surge"};
	bool good = true;
	int line = 0;

	for (uint64_t from = 1; from <= seeds; from += GROUP)
		good = play_group(from, MIN(from + GROUP - 1, seeds), ++line) && good;
	for (size_t i = 0; i < ARRAY_LEN(plants); i++)
		good = find_planted(plants[i], ++line) && good;
	printf("1..%d\n", line);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	int64_t seed = 0, seeds = 0;
	bool verbose = false, planted;
	char wrong[400];
	struct err err = {0};
	int n;
	const struct flag flags[] = {{"seed", 0, FLAG_INT, &seed, "N", "play this one"},
				     {"seeds", 0, FLAG_INT, &seeds, "N", "play the first N"},
				     {"verbose", 'v', FLAG_BOOL, &verbose, NULL, "tell its story"},
				     {0}};

	log_init("sim", LOG_ERROR, "text");
	if (flags_parse(argc, argv, flags, "sim --seed N [--verbose] | --seeds N", &n, &err) ||
	    (!seed && !seeds)) {
		fprintf(stderr, "sim: %s\n", err.msg[0] ? err.msg : "--seed or --seeds");
		return 2;
	}
	if (!seed)
		return play_many((uint64_t)seeds);
	if (play((uint64_t)seed, NULL, verbose, wrong, &planted)) {
		puts("ok 1 - converged\n1..1");
		return 0;
	}
	printf("not ok 1 - %s\n1..1\n", wrong);
	return 1;
}
