/*
 * Runs a fuzz target over files instead of an engine: `fuzz_x FILE-OR-FOLDER…`. Each input is a
 * test; a fault in one ends the program, which the test runner sees.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned ran;

static void run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	AUTO(buf) struct buf b = {0};
	char piece[4096];
	size_t n;

	if (!f) {
		fprintf(stderr, "cannot open %s\n", path);
		exit(1);
	}
	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		buf_put(&b, piece, n);
	fclose(f);
	/* A copy of its exact size, so that AddressSanitizer sees a read beyond it. */
	uint8_t *exact = malloc(b.n ? b.n : 1);
	if (b.n)
		memcpy(exact, b.p, b.n);
	LLVMFuzzerTestOneInput(exact, b.n);
	free(exact);
	printf("ok %u - %s\n", ++ran, path);
}

static void run(const char *path)
{
	struct stat st;
	struct dirent *e;
	DIR *d;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	d = opendir(path);
	while (d && (e = readdir(d))) {
		char *below = xasprintf("%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			run(below);
		free(below);
	}
	if (d)
		closedir(d);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run(argv[i]);
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	printf("ok %u - empty input\n", ran + 1);
	return 0;
}
