/*
 * The keys that a run decrypts with: spec.decryption names a Secret beside the Kustomization, whose
 * entries *.agekey hold age identities. Kept in guarded memory for as long as the run, and nowhere
 * else. Its entry `recipients` says whom files are to be encrypted to. On the role's loop.
 */
#include "lib/base/codec.h"
#include "lib/kube/resources.h"
#include "reconciler/recipients.h"
#include "reconciler/run.h"
#include "secrets/age.h"

#define KEY_SUFFIX ".agekey"

static int add_key(struct run *run, struct str name, struct str encoded, struct err *err)
{
	struct buf text = {0};
	int rc = base64_decode(encoded, &text);

	if (rc)
		err_set(err, ERR_PARSE, "not base64");
	else
		rc = age_keys_parse(run->keys, buf_view(&text), err);
	buf_wipe(&text);
	return rc ? err_wrap(err, "%.*s", STR_ARG(name)) : 0;
}

/* Who writes something else there is told when it is looked at. */
static void take_recipients(struct run *run, struct str encoded)
{
	struct buf text = {0};

	if (base64_decode(encoded, &text) == 0)
		run->recipients = arena_str(&run->arena, buf_view(&text));
	buf_wipe(&text);
}

static int add_all(struct run *run, const struct json *data, struct err *err)
{
	const struct json_member *m = json_members(data);

	for (size_t i = 0; m && i < json_len(data); i++) {
		if (str_ends(m[i].key, STR(KEY_SUFFIX)) &&
		    add_key(run, m[i].key, json_str(&m[i].value), err))
			return -1;
		if (str_is(m[i].key, RECIPIENTS_KEY))
			take_recipients(run, json_str(&m[i].value));
	}
	if (!age_keys_count(run->keys))
		return err_set(err, ERR_INVALID, "it holds no entry *" KEY_SUFFIX);
	return 0;
}

static void on_secret(struct run *run, size_t i, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct err err = answer->err;
	const struct json *o = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);

	(void)i;
	run->keys = age_keys_new();
	if (!o || add_all(run, json_get(o, STR("data")), &err)) {
		run_fail(run, "BuildFailed",
			 arena_strf(&run->arena,
				    "cannot read the decryption keys in Secret %.*s: %s",
				    STR_ARG(json_str(
					    json_at(run->spec, "decryption", "secretRef", "name"))),
				    err.msg));
		return;
	}
	run->opts.keys = run->keys;
	run_vars(run);
}

void run_keys(struct run *run)
{
	const struct json *d = json_get(run->spec, STR("decryption"));
	struct str provider = json_str(json_get(d, STR("provider")));
	struct api_call call = {.verb = API_GET,
				.resource = &res_secrets,
				.namespace = run->opts.unit_namespace,
				.name = json_str(json_at(d, "secretRef", "name"))};

	run->phase = RUN_KEYS;
	if (!json_len(d)) {
		run_vars(run);
		return;
	}
	if (!str_is(provider, "sops"))
		run_fail(run, "BuildFailed",
			 arena_strf(&run->arena,
				    "spec.decryption.provider: '%.*s' is not supported",
				    STR_ARG(provider)));
	else if (!call.name.n)
		run_fail(run, "BuildFailed", STR("spec.decryption.secretRef is required"));
	else
		run_call(run, &call, 0, on_secret);
}
