/* Any YAML that can be read, printed as sops would: it says the same, and is printed the same
 * again. And whatever a file says of its recipients is refused or read. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "secrets/sops_emit.h"
#include "secrets/sops_recipients.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool all_objects(const struct yaml_docs *docs)
{
	for (size_t i = 0; i < docs->n; i++)
		if (!json_is(docs->v[i], JSON_OBJECT))
			return false;
	return true;
}

static bool readable(struct str text)
{
	const struct yaml_limits core = {.core_booleans = true};
	AUTO(arena) struct arena a = {0};
	struct yaml_docs docs;

	return yaml_parse(&a, text, 0, NULL, &core, &docs, NULL) == 0;
}

static int print(struct arena *a, struct str text, struct yaml_docs *docs, struct buf *out)
{
	const struct yaml_limits core = {.core_booleans = true, .nodes = 10000};
	struct yaml_srcs srcs = {0};
	struct sops_docs d = {NULL, text, &srcs, docs};
	struct sops_emit e = {.d = &d};
	int rc = yaml_parse(a, text, 0, &srcs, &core, docs, NULL);

	if (rc == 0 && docs->n) {
		e.out = sops_holes(a, &d);
		sops_emit_yaml(&e, out);
		if (all_objects(docs) && !readable(buf_view(out)))
			abort();
		buf_reset(out);
		/* Without places: all that is known is the tree. */
		d.srcs = NULL;
		sops_emit_yaml(&e, out);
	}
	yaml_srcs_release(&srcs);
	return rc == 0 && docs->n ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = {(const char *)data, n};
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	AUTO(buf) struct buf again = {0};
	struct yaml_docs docs, read;
	struct sops_policy p;

	for (int f = SOPS_YAML; f <= SOPS_INI; f++)
		if (sops_recipients_of(&a, (enum sops_format)f, text, &p, NULL) == 0 &&
		    !sops_recipients_equal(&p, &p))
			abort();
	if (print(&a, text, &docs, &out) != 0 || !all_objects(&docs))
		return 0;
	if (print(&a, arena_str(&a, buf_view(&out)), &read, &again) != 0 || read.n != docs.n)
		abort();
	for (size_t i = 0; i < docs.n; i++)
		if (!json_equal(docs.v[i], read.v[i]))
			abort();
	if (!str_eq(buf_view(&out), buf_view(&again)))
		abort();
	return 0;
}
