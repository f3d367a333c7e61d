/*
 * How Kubernetes checks names. Each answers what stands behind "must" in the error, or NULL. Pure.
 * Specification: k8s.io/apimachinery/pkg/util/validation, pkg/api/validation/path.
 */
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define DNS1123_LABEL                                                                              \
	"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "   \
	"and must start and end with an "                                                          \
	"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "     \
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
#define DNS1123_SUBDOMAIN                                                                          \
	"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "  \
	"or "                                                                                      \
	"'.', and must start and end with "                                                        \
	"an alphanumeric character (e.g. 'example.com', regex used for validation is "             \
	"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define DNS1035_LABEL                                                                              \
	"a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with "  \
	"an alphabetic "                                                                           \
	"character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex " \
	"used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
#define QUALIFIED                                                                                  \
	"name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "  \
	"end "                                                                                     \
	"with an "                                                                                 \
	"alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "     \
	"validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
#define SLASHES                                                                                    \
	"a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must "     \
	"start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "         \
	"'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') "     \
	"with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
#define LABEL_VALUE                                                                                \
	"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "   \
	"or '.', and must "                                                                        \
	"start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "       \
	"'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

static bool is_dns_label(struct str s)
{
	if (!s.n || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_lower_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

const char *name_check_dns1123_label(struct str s)
{
	if (s.n > 63)
		return "must be no more than 63 characters";
	return is_dns_label(s) ? NULL : DNS1123_LABEL;
}

const char *name_check_dns1035_label(struct str s)
{
	if (s.n > 63)
		return "must be no more than 63 characters";
	return is_dns_label(s) && s.p[0] >= 'a' ? NULL : DNS1035_LABEL;
}

const char *name_check_dns1123_subdomain(struct str s)
{
	struct str rest = s, part;

	if (s.n > 253)
		return "must be no more than 253 characters";
	if (!s.n || s.p[s.n - 1] == '.')
		return DNS1123_SUBDOMAIN;
	while (str_next(&rest, '.', &part))
		if (!is_dns_label(part))
			return DNS1123_SUBDOMAIN;
	return NULL;
}

static bool is_name_part(struct str s)
{
	if (!s.n || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return true;
}

const char *name_check_qualified(struct str s)
{
	struct str prefix, name = s;

	if (str_cut(s, '/', &prefix, &name)) {
		if (str_find(name, STR("/")) >= 0)
			return SLASHES;
		if (!prefix.n)
			return "prefix part must be non-empty";
		if (name_check_dns1123_subdomain(prefix))
			return "prefix part " DNS1123_SUBDOMAIN;
	} else {
		name = s;
	}
	if (!name.n)
		return "name part must be non-empty";
	if (name.n > 63)
		return "name part must be no more than 63 characters";
	return is_name_part(name) ? NULL : QUALIFIED;
}

const char *name_check_label_value(struct str s)
{
	if (s.n > 63)
		return "must be no more than 63 characters";
	return !s.n || is_name_part(s) ? NULL : LABEL_VALUE;
}

const char *name_check_path_segment(struct str s)
{
	if (str_eq(s, STR(".")))
		return "may not be '.'";
	if (str_eq(s, STR("..")))
		return "may not be '..'";
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '/' || s.p[i] == '%')
			return s.p[i] == '/' ? "may not contain '/'" : "may not contain '%'";
	return NULL;
}
