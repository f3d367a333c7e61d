/*
 * Secrets. What they hold is encrypted at rest and never part of a message: problems name keys,
 * never values.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/codec.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define DATA_MAX (1024 * 1024)

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Type", "string", "Used to facilitate programmatic handling of secret data."),
	COL("Data", "string", "Number of entries."),
	COL_AGE,
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_get(o, STR("type"))));
	cell_int(c, cells, (int64_t)json_len(json_get(o, STR("data"))));
	cell_age(c, cells, o);
}

/* stringData is for writing only: it ends up in data, over what stands there. */
static void set_defaults(struct kind_ctx *c, struct json *o)
{
	const struct json *plain = json_get(o, STR("stringData"));

	default_base64(c, o, "data");
	if (json_len(plain)) {
		struct json *data = json_set_object(c->a, o, "data");
		for (size_t i = 0; i < json_len(plain); i++) {
			AUTO(buf) struct buf b = {0};
			base64_encode(json_str(&plain->members[i].value), &b);
			struct json *v = json_new_str(c->a, buf_view(&b));
			json_set(c->a, data, plain->members[i].key, v);
			buf_wipe(&b);
		}
	}
	json_del(o, STR("stringData"));
	default_str(c, o, "type", "Opaque");
}

static void require_key(struct kind_ctx *c, const struct json *data, const char *key)
{
	struct spath at = SPATH_FIELD(NULL, "data");
	struct spath here = SPATH_KEY(&at, str_c(key));

	if (!json_get(data, str_c(key)))
		rule_required(c, &here, NULL, NULL);
}

static void check_type(struct kind_ctx *c, const struct json *next, const struct json *data)
{
	struct str type = json_str(json_get(next, STR("type")));
	struct spath meta = SPATH_FIELD(NULL, "metadata");
	struct spath annotations = SPATH_FIELD(&meta, "annotations");

	if (str_is(type, "kubernetes.io/tls")) {
		require_key(c, data, "tls.crt");
		require_key(c, data, "tls.key");
	} else if (str_is(type, "kubernetes.io/dockerconfigjson")) {
		require_key(c, data, ".dockerconfigjson");
	} else if (str_is(type, "kubernetes.io/dockercfg")) {
		require_key(c, data, ".dockercfg");
	} else if (str_is(type, "kubernetes.io/ssh-auth")) {
		require_key(c, data, "ssh-privatekey");
	} else if (str_is(type, "kubernetes.io/basic-auth")) {
		if (!json_get(data, STR("username")) && !json_get(data, STR("password"))) {
			require_key(c, data, "username");
			require_key(c, data, "password");
		}
	} else if (str_is(type, "kubernetes.io/service-account-token")) {
		struct spath here =
			SPATH_KEY(&annotations, STR("kubernetes.io/service-account.name"));
		if (!meta_annotation(next, "kubernetes.io/service-account.name").n)
			rule_required(c, &here, NULL, NULL);
	}
}

static void check_frozen(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	if (!json_equal(json_get(next, STR("type")), json_get(live, STR("type"))))
		rule_invalid(c, NULL, "type", json_get(next, STR("type")), "field is immutable");
	if (!json_bool(json_get(live, STR("immutable")), false))
		return;
	if (!json_bool(json_get(next, STR("immutable")), false))
		rule_forbidden(c, NULL, "immutable", "field is immutable when `immutable` is set");
	if (!schema_equal(NULL, json_get(next, STR("data")), json_get(live, STR("data"))))
		rule_forbidden(c, NULL, "data", "field is immutable when `immutable` is set");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	const struct json *data = json_get(next, STR("data"));
	struct spath at = SPATH_FIELD(NULL, "data");
	size_t total = 0;

	for (size_t i = 0; i < json_len(data); i++) {
		const struct json_member *m = &data->members[i];
		struct spath here = SPATH_KEY(&at, m->key);
		const char *why = rule_config_key(m->key);
		if (why)
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key), why);
		total += json_str(&m->value).n / 4 * 3;
	}
	if (total > DATA_MAX)
		rule_too_long(c, NULL, "data", DATA_MAX);
	check_type(c, next, data);
	if (live)
		check_frozen(c, next, live);
}

static const char *const selectable[] = {"type", NULL};

const struct kind kind_secret = {
	.group = "",
	.version = "v1",
	.kind = "Secret",
	.plural = "secrets",
	.flags = KIND_NAMESPACED | KIND_SECRET | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.core.v1.Secret",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.set_defaults = set_defaults,
	.validate = validate,
};
