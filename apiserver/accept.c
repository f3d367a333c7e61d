/*
 * Accept: media ranges in the order of the client's preference (weights are not looked at, no
 * Kubernetes client sends them), each with parameters that name a transformation. Unknown ranges
 * are passed over. Pure.
 */
#include "apiserver/accept.h"

#include "lib/base/pure.h"

struct media {
	struct str type, as, version, group;
};

static void parse_media(struct str range, struct media *m)
{
	struct str part;

	*m = (struct media){0};
	str_next(&range, ';', &part);
	m->type = str_trim(part);
	while (str_next(&range, ';', &part)) {
		struct str key, value;
		str_cut(str_trim(part), '=', &key, &value);
		if (str_ieq(key, STR("as")))
			m->as = str_trim(value);
		else if (str_ieq(key, STR("v")))
			m->version = str_trim(value);
		else if (str_ieq(key, STR("g")))
			m->group = str_trim(value);
	}
}

static void offer_discovery(struct accepts *r, enum accept_discovery d)
{
	if (r->discovery == DISCOVERY_NONE)
		r->discovery = d;
}

static void offer_form(struct accepts *r, enum core_form form, struct str version, bool yaml)
{
	r->object |= form == CORE_FORM_OBJECT;
	if (r->resource)
		return;
	r->resource = true;
	r->form = form;
	r->form_version = version;
	r->yaml = yaml;
}

static void take_transformed(struct accepts *r, const struct media *m)
{
	if (str_is(m->as, "APIGroupDiscoveryList")) {
		if (!str_is(m->group, "apidiscovery.k8s.io"))
			return;
		if (str_is(m->version, "v2"))
			offer_discovery(r, DISCOVERY_V2);
		else if (str_is(m->version, "v2beta1"))
			offer_discovery(r, DISCOVERY_V2BETA1);
		return;
	}
	if (!str_is(m->group, "meta.k8s.io") ||
	    (!str_is(m->version, "v1") && !str_is(m->version, "v1beta1")))
		return;
	if (str_is(m->as, "Table"))
		offer_form(r, CORE_FORM_TABLE, m->version, false);
	else if (str_is(m->as, "PartialObjectMetadata") ||
		 str_is(m->as, "PartialObjectMetadataList"))
		offer_form(r, CORE_FORM_PARTIAL, m->version, false);
}

/* Taken only where nothing else will do: what is stored, and sent fastest, is JSON. */
static void offer_proto(struct accepts *proto, const struct media *m)
{
	if (m->as.n)
		take_transformed(proto, m);
	else
		offer_form(proto, CORE_FORM_OBJECT, STR("v1"), false);
}

static void settle_proto(struct accepts *r, const struct accepts *proto)
{
	if (r->resource || !proto->resource || proto->form == CORE_FORM_TABLE)
		return;
	offer_form(r, proto->form, proto->form_version, false);
	r->object |= proto->object;
	r->proto = true;
}

void accept_parse(struct str header, struct accepts *ret)
{
	struct accepts proto = {0};
	struct str range;
	struct media m;

	*ret = (struct accepts){0};
	if (!str_trim(header).n)
		header = STR("*/*");
	while (str_next(&header, ',', &range)) {
		parse_media(range, &m);
		if (str_ieq(m.type, STR("application/vnd.kubernetes.protobuf")))
			offer_proto(&proto, &m);
		bool yaml = str_ieq(m.type, STR("application/yaml"));
		if (!yaml && !str_ieq(m.type, STR("application/json")) &&
		    !str_is(m.type, "application/*") && !str_is(m.type, "*/*"))
			continue;
		if (m.as.n && !yaml) {
			take_transformed(ret, &m);
			continue;
		}
		offer_form(ret, CORE_FORM_OBJECT, STR("v1"), yaml);
		if (!yaml)
			offer_discovery(ret, DISCOVERY_PLAIN);
	}
	settle_proto(ret, &proto);
}
