/*
 * Request bodies of the front's own services into trees; protobuf has become JSON before. Pure;
 * whatever thread has the request.
 */
#include "apiserver/front-internal.h"
#include "lib/json/yaml.h"

struct json *body_parse(struct arena *a, struct str content_type, struct str body, struct err *err)
{
	struct str type, rest;
	struct yaml_docs docs;

	str_cut(content_type, ';', &type, &rest);
	type = str_trim(type);
	if (str_ieq(type, STR("application/yaml"))) {
		if (yaml_parse(a, body, 0, NULL, NULL, &docs, err))
			return NULL;
		if (docs.n == 1)
			return docs.v[0];
		err_set(err, ERR_BAD_REQUEST, "the body must hold one document");
		return NULL;
	}
	if (type.n && !str_ieq(type, STR("application/json"))) {
		err_set(err, ERR_UNSUPPORTED_MEDIA,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json, application/yaml, "
			"application/vnd.kubernetes.protobuf");
		return NULL;
	}
	return json_parse(a, body, NULL, err);
}
