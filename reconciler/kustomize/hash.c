/*
 * The suffix of generated names: ten digits of the SHA-256 over a fixed JSON encoding of what the
 * object holds, some of them mapped to letters. Any difference in a byte of that encoding renames
 * people's ConfigMaps on the day they change over, so it follows kustomize to the letter: keys
 * sorted, strings escaped as Go's encoder does when it has HTML in mind, absent fields as "".
 * For other kinds kustomize hashes how their YAML happened to be laid out, which nothing can
 * depend on: there the whole object counts here.
 *
 * Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "reconciler/kustomize/kustomize.h"

#include "lib/base/pure.h"

#define HASH_LEN 10

/* Sorted JSON, with <, > and & escaped; these stand nowhere in JSON but in strings. */
static void encode(const struct json *v, struct buf *out)
{
	AUTO(buf) struct buf plain = {0};

	json_write_sorted(v, &plain);
	for (size_t i = 0; i < plain.n; i++) {
		char c = plain.p[i];

		if (c == '<' || c == '>' || c == '&')
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_putc(out, c);
	}
	buf_wipe(&plain);
}

/* A scalar is taken for its text, whatever its type. */
static void put_field(struct arena *a, struct json *to, const char *as, const struct json *v)
{
	if (!v || json_is(v, JSON_NULL))
		json_set_str(a, to, as, STR(""));
	else
		json_set(a, to, str_c(as), v);
}

static struct json *hashed_part(struct arena *a, const struct json *tree, bool secret)
{
	const char *extra = secret ? "stringData" : "binaryData";
	struct json *part = json_new(a, JSON_OBJECT);

	json_set_str(a, part, "kind", secret ? STR("Secret") : STR("ConfigMap"));
	if (secret)
		put_field(a, part, "type", json_get(tree, STR("type")));
	json_set_str(a, part, "name", STR("")); /* kustomize looks for it where it never is */
	put_field(a, part, "data", json_get(tree, STR("data")));
	if (json_is(json_get(tree, str_c(extra)), JSON_OBJECT))
		json_set(a, part, str_c(extra), json_get(tree, str_c(extra)));
	return part;
}

/* No vowels that could make words, no digits that look like letters. */
static char letter(char hex)
{
	static const char from[] = "013ae", to[] = "ghkmt";
	const char *at = memchr(from, hex, sizeof(from) - 1);

	return at ? to[at - from] : hex;
}

struct str kustomize_hash(struct arena *a, const struct json *tree)
{
	struct str kind = json_str(json_get(tree, STR("kind")));
	AUTO(buf) struct buf text = {0};
	char hex[65], *out = arena_alloc(a, HASH_LEN + 1);

	if (str_is(kind, "ConfigMap"))
		tree = hashed_part(a, tree, false);
	else if (str_is(kind, "Secret"))
		tree = hashed_part(a, tree, true);
	encode(tree, &text);
	sha256_hex(buf_view(&text), hex);
	buf_wipe(&text);
	for (size_t i = 0; i < HASH_LEN; i++)
		out[i] = letter(hex[i]);
	return (struct str){out, HASH_LEN};
}
