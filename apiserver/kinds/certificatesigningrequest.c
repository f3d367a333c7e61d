/*
 * CertificateSigningRequests: who asks whom to sign what. The request is what it was when it was
 * made; approval and certificate come by the subresources, each writing its own part only. Who asks
 * is stamped by admission (admission/certificates.c). Pure.
 * Specification: pkg/apis/certificates/validation, pkg/registry/certificates.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define EXPIRATION_MIN 600

/* ---- rows ---- */

static const struct kind_column columns[] = {
	COL_NAME,
	COL_AGE,
	COL("SignerName", "string", "Who is to sign."),
	COL("Requestor", "string", "Who asks."),
	COL("RequestedDuration", "string", "For how long."),
	COL("Condition", "string", "How far it is."),
	{0},
};

/* As Kubernetes prints durations for people, in one or two units. */
static void cell_duration(struct kind_ctx *c, struct json *cells, const struct json *seconds)
{
	int64_t s = json_int(seconds, 0), h = s / 3600, d = h / 24;

	if (!json_is(seconds, JSON_INT))
		cell_str(c, cells, STR("<none>"));
	else if (s < 120)
		cell_text(c, cells, "%llds", (long long)s);
	else if (s < 600 && s % 60)
		cell_text(c, cells, "%lldm%llds", (long long)s / 60, (long long)s % 60);
	else if (s < 3 * 3600)
		cell_text(c, cells, "%lldm", (long long)s / 60);
	else if (h < 8 && s / 60 % 60)
		cell_text(c, cells, "%lldh%lldm", (long long)h, (long long)s / 60 % 60);
	else if (h < 48)
		cell_text(c, cells, "%lldh", (long long)h);
	else if (d < 8 && h % 24)
		cell_text(c, cells, "%lldd%lldh", (long long)d, (long long)h % 24);
	else if (d < 2 * 365)
		cell_text(c, cells, "%lldd", (long long)d);
	else if (d < 8 * 365 && d % 365)
		cell_text(c, cells, "%lldy%lldd", (long long)d / 365, (long long)d % 365);
	else
		cell_text(c, cells, "%lldy", (long long)d / 365);
}

static void cell_condition(struct kind_ctx *c, struct json *cells, const struct json *o)
{
	bool denied = condition_find(o, "Denied") != NULL;
	AUTO(buf) struct buf b = {0};

	buf_puts(&b, denied ? "Denied" : condition_find(o, "Approved") ? "Approved" : "Pending");
	if (condition_find(o, "Failed"))
		buf_puts(&b, ",Failed");
	if (json_str(json_at(o, "status", "certificate")).n)
		buf_puts(&b, ",Issued");
	cell_str(c, cells, buf_view(&b));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec"));

	cell_name(c, cells, o);
	cell_age(c, cells, o);
	cell_str(c, cells, json_str_or(json_get(spec, STR("signerName")), STR("<none>")));
	cell_str(c, cells, json_str_or(json_get(spec, STR("username")), STR("")));
	cell_duration(c, cells, json_get(spec, STR("expirationSeconds")));
	cell_condition(c, cells, o);
}

/* ---- who may change what ---- */

static const struct json *condition_in(const struct json *list, struct str type)
{
	for (size_t i = 0; i < json_len(list); i++)
		if (str_eq(json_str(json_get(json_item(list, i), STR("type"))), type))
			return json_item(list, i);
	return NULL;
}

static void stamp_conditions(struct kind_ctx *c, struct json *list, const struct json *before)
{
	char text[TIME_TEXT_MAX];
	struct str now = time_format(c->now_ns, text);

	for (size_t i = 0; i < json_len(list); i++) {
		struct json *n = json_item(list, i);
		const struct json *was;

		if (!json_is(n, JSON_OBJECT))
			continue;
		was = condition_in(before, json_str(json_get(n, STR("type"))));
		if (!json_str(json_get(n, STR("lastUpdateTime"))).n)
			json_set_str(c->a, n, "lastUpdateTime", now);
		if (json_str(json_get(n, STR("lastTransitionTime"))).n)
			continue;
		if (was && str_eq(json_str(json_get(was, STR("status"))),
				  json_str(json_get(n, STR("status")))))
			json_set(c->a, n, STR("lastTransitionTime"),
				 json_get(was, STR("lastTransitionTime")));
		else
			json_set_str(c->a, n, "lastTransitionTime", now);
	}
}

/* The core lets both subresources write status only; here approval keeps to the conditions. */
static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	const struct json *before = json_at(live, "status", "conditions"), *spec;
	struct json conditions;
	bool some;

	if (!live)
		return;
	spec = json_get(live, STR("spec"));
	if (spec)
		json_set(c->a, next, STR("spec"), spec);
	if (!c->subresource)
		return;
	if (json_is(json_at(next, "status", "conditions"), JSON_ARRAY))
		stamp_conditions(c, json_at(next, "status", "conditions"), before);
	if (!str_is(str_c(c->subresource), "approval"))
		return;
	some = json_at(next, "status", "conditions") != NULL;
	if (some)
		conditions = *json_at(next, "status", "conditions");
	json_del(next, STR("status"));
	if (json_get(live, STR("status")))
		json_set(c->a, next, STR("status"), json_copy(c->a, json_get(live, STR("status"))));
	if (some)
		json_set(c->a, json_set_object(c->a, next, "status"), STR("conditions"),
			 &conditions);
}

/* ---- rules ---- */

static const char *signer_problem(struct str name)
{
	struct str domain, path;

	if (!str_cut(name, '/', &domain, &path))
		return "must be a fully qualified domain and path of the form "
		       "'example.com/signer-name'";
	if (name_check_dns1123_subdomain(domain) || str_find(domain, STR(".")) < 0)
		return "should be a domain with at least two segments separated by dots";
	if (!path.n || name_check_dns1123_subdomain(path))
		return "validating label: a lowercase RFC 1123 subdomain must consist of lower "
		       "case alphanumeric characters, '-' or '.', and must start and end with an "
		       "alphanumeric character";
	if (str_is(name, "kubernetes.io/legacy-unknown"))
		return "the legacy signerName is not allowed via this API version";
	return NULL;
}

static void check_request(struct kind_ctx *c, const struct spath *at, const struct json *request)
{
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {0};
	struct str text;
	bool good = false;

	if (base64_decode(json_str_or(request, STR("")), &pem))
		return; /* the schema says so */
	text = str_trim(buf_view(&pem));
	if (str_starts(text, STR("-----BEGIN CERTIFICATE REQUEST-----")) &&
	    str_ends(text, STR("-----END CERTIFICATE REQUEST-----"))) {
		good = !cert_info(buf_view(&pem), &info, NULL);
		cert_info_release(&info);
	}
	if (!good)
		rule_invalid(c, at, "request", request ? request : json_new_str(c->a, STR("")),
			     "PEM block type must be CERTIFICATE REQUEST");
}

static void check_usages(struct kind_ctx *c, const struct spath *at, const struct json *usages)
{
	static const char *const known[] = {"any",
					    "cert sign",
					    "client auth",
					    "code signing",
					    "content commitment",
					    "crl sign",
					    "data encipherment",
					    "decipher only",
					    "digital signature",
					    "email protection",
					    "encipher only",
					    "ipsec end system",
					    "ipsec tunnel",
					    "ipsec user",
					    "key agreement",
					    "key encipherment",
					    "microsoft sgc",
					    "netscape sgc",
					    "ocsp signing",
					    "s/mime",
					    "server auth",
					    "signing",
					    "timestamping",
					    NULL};
	struct spath all = SPATH_FIELD(at, "usages");

	if (!json_len(usages))
		rule_required(c, at, "usages", NULL);
	for (size_t i = 0; i < json_len(usages); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		struct str u = json_str(json_item(usages, i));
		const char *const *k = known;

		while (*k && !str_is(u, *k))
			k++;
		if (!*k)
			rule_unsupported(c, &here, NULL, json_item(usages, i), known);
		for (size_t j = 0; j < i; j++)
			if (str_eq(json_str(json_item(usages, j)), u)) {
				rule_duplicate(c, &here, NULL, json_item(usages, i));
				break;
			}
	}
}

static void check_spec(struct kind_ctx *c, const struct json *spec)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *signer = json_get(spec, STR("signerName")),
			  *expires = json_get(spec, STR("expirationSeconds"));
	const char *problem;

	check_request(c, &at, json_get(spec, STR("request")));
	check_usages(c, &at, json_get(spec, STR("usages")));
	problem = json_str(signer).n ? signer_problem(json_str(signer)) : NULL;
	if (problem)
		rule_invalid(c, &at, "signerName", signer, problem);
	if (json_is(expires, JSON_INT) && expires->i < EXPIRATION_MIN)
		rule_invalid(c, &at, "expirationSeconds", expires,
			     "may not specify a duration less than 600 seconds (10 minutes)");
}

static bool is_verdict(struct str type)
{
	return str_is(type, "Approved") || str_is(type, "Denied");
}

static void check_conditions(struct kind_ctx *c, const struct json *list)
{
	static const char *const only_true[] = {"True", NULL};
	struct spath status = SPATH_FIELD(NULL, "status"), all = SPATH_FIELD(&status, "conditions");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *n = json_item(list, i);
		struct str type = json_str(json_get(n, STR("type")));
		struct spath here = SPATH_INDEX(&all, i);

		if (!type.n)
			rule_required(c, &here, "type", NULL);
		if (!json_str(json_get(n, STR("status"))).n)
			rule_required(c, &here, "status", NULL);
		else if ((is_verdict(type) || str_is(type, "Failed")) &&
			 !str_is(json_str(json_get(n, STR("status"))), "True"))
			rule_unsupported(c, &here, "status", json_get(n, STR("status")), only_true);
		if (condition_in(list, type) != n)
			rule_duplicate(c, &here, "type", json_get(n, STR("type")));
		if (str_is(type, "Denied") && condition_in(list, STR("Approved")))
			rule_invalid(c, &here, "type", json_get(n, STR("type")),
				     "Approved and Denied conditions are mutually exclusive");
	}
}

/* Verdicts are given through /approval only, and stay. */
static void check_verdicts(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	static const char *const types[] = {"Approved", "Denied"};
	struct spath at = SPATH_FIELD(NULL, "status");
	const struct json *now = json_at(next, "status", "conditions"),
			  *before = json_at(live, "status", "conditions");
	bool approval = c->subresource && str_is(str_c(c->subresource), "approval");

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct json *is = condition_in(now, str_c(types[i])),
				  *was = condition_in(before, str_c(types[i]));

		if (was && !is)
			rule_forbidden(c, &at, "conditions",
				       arena_printf(c->a,
						    "updates may not remove a condition of type "
						    "\"%s\"",
						    types[i]));
		else if (is && !was && !approval)
			rule_forbidden(c, &at, "conditions",
				       arena_printf(c->a,
						    "updates may not add a condition of type "
						    "\"%s\"",
						    types[i]));
	}
	if (json_str(json_at(live, "status", "certificate")).n &&
	    !json_equal(json_at(next, "status", "certificate"),
			json_at(live, "status", "certificate")))
		rule_forbidden(c, &at, "certificate",
			       "updates may not set certificate content, it has been set already");
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	if (!live)
		check_spec(c, json_get(next, STR("spec")));
	check_conditions(c, json_at(next, "status", "conditions"));
	if (live)
		check_verdicts(c, next, live);
}

static const char *const selectable[] = {"spec.signerName", NULL};
static const char *const short_names[] = {"csr", NULL};
static const char *const subresources[] = {"approval", NULL};

const struct kind kind_certificatesigningrequest = {
	.group = "certificates.k8s.io",
	.version = "v1",
	.kind = "CertificateSigningRequest",
	.plural = "certificatesigningrequests",
	.short_names = short_names,
	.flags = KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE,
	.subresources = subresources,
	.schema_name = "io.k8s.api.certificates.v1.CertificateSigningRequest",
	.columns = columns,
	.row = row,
	.selectable = selectable,
	.field = field_at,
	.prepare = prepare,
	.validate = validate,
};
