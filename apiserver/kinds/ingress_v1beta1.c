/* Ingresses as networking.k8s.io/v1beta1 says them: backends in two flat members. Pure. */
#include "apiserver/kinds/rules.h"
#include "apiserver/kinds/versions.h"

#include "lib/base/pure.h"

extern const struct kind kind_ingress;

static void backend_from_stored(struct arena *a, struct json *b)
{
	const struct json *service = json_get(b, STR("service")),
			  *number = json_at(service, "port", "number"),
			  *name = json_at(service, "port", "name");

	if (!json_is(service, JSON_OBJECT))
		return;
	json_set(a, b, STR("serviceName"), json_get(service, STR("name")));
	json_set(a, b, STR("servicePort"), number ? number : name);
	json_del(b, STR("service"));
	if (!number && !name)
		json_del(b, STR("servicePort"));
}

static void backend_to_stored(struct arena *a, struct json *b)
{
	const struct json *name = json_get(b, STR("serviceName")),
			  *port = json_get(b, STR("servicePort"));
	struct json *service;

	if (!name && !port)
		return;
	service = json_new(a, JSON_OBJECT);
	if (name)
		json_set(a, service, STR("name"), name);
	if (port)
		json_set(a, json_set_object(a, service, "port"),
			 json_is(port, JSON_INT) ? STR("number") : STR("name"), port);
	json_set(a, b, STR("service"), service);
	json_del(b, STR("serviceName"));
	json_del(b, STR("servicePort"));
}

static void each_backend(struct arena *a, struct json *spec, const char *standard,
			 void (*fn)(struct arena *a, struct json *b))
{
	const struct json *rules = json_get(spec, STR("rules"));
	struct json *b = json_get(spec, str_c(standard));

	if (json_is(b, JSON_OBJECT))
		fn(a, b);
	for (size_t i = 0; i < json_len(rules); i++) {
		const struct json *paths = json_at(json_item(rules, i), "http", "paths");

		for (size_t j = 0; j < json_len(paths); j++) {
			b = json_get(json_item(paths, j), STR("backend"));
			if (json_is(b, JSON_OBJECT))
				fn(a, b);
		}
	}
}

static void from_stored(struct arena *a, struct json *o)
{
	struct json *spec = json_get(o, STR("spec"));

	version_move(a, spec, "defaultBackend", "backend");
	each_backend(a, spec, "backend", backend_from_stored);
}

static void to_stored(struct arena *a, struct json *o)
{
	struct json *spec = json_get(o, STR("spec"));

	version_move(a, spec, "backend", "defaultBackend");
	each_backend(a, spec, "defaultBackend", backend_to_stored);
}

const struct kind kind_ingress_v1beta1 = {
	.group = "networking.k8s.io",
	.version = "v1beta1",
	.kind = "Ingress",
	.plural = "ingresses",
	.stored = &kind_ingress,
	.schema_name = "io.k8s.api.networking.v1beta1.Ingress",
	.from_stored = from_stored,
	.to_stored = to_stored,
};
