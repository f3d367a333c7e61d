/*
 * kubeconfig files: the current context's server, authority and credentials. Files that it names
 * are read beside it. Blocking; start-up only. Never logs what it reads: keys pass through here.
 * Specification: k8s.io/client-go/tools/clientcmd/api/v1.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/json/yaml.h"
#include "lib/kube/client.h"
#include "lib/os/fs.h"

#define KUBECONFIG_MAX (1 << 20)

/* The `inner` object of the entry of that name in a list of {name, inner}. */
static const struct json *named(const struct json *list, struct str name, const char *inner)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *entry = json_item(list, i);

		if (str_eq(json_str(json_at(entry, "name")), name))
			return json_get(entry, str_c(inner));
	}
	return NULL;
}

static char *from_file(const char *config_path, struct str name, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	struct str dir, base;
	char *path, *ret = NULL;

	if (name.p[0] == '/' || !str_rcut(str_c(config_path), '/', &dir, &base))
		path = xstrndup(name.p, name.n);
	else
		path = xasprintf("%.*s/%.*s", STR_ARG(dir), STR_ARG(name));
	if (!fs_read(path, KUBECONFIG_MAX, &text, err))
		ret = buf_take(&text);
	free(path);
	return ret;
}

/* Either `field-data` (base64) or `field` (a file). *ret stays NULL when neither is there. */
static int pem_of(const struct json *o, const char *field, const char *config_path, char **ret,
		  struct err *err)
{
	AUTO(buf) struct buf key = {0};
	AUTO(buf) struct buf pem = {0};
	struct str data, file = json_str(json_get(o, str_c(field)));

	buf_printf(&key, "%s-data", field);
	data = json_str(json_get(o, buf_view(&key)));
	if (data.n) {
		if (base64_decode(data, &pem))
			return err_set(err, ERR_PARSE, "%s: %s is not base64",
				       config_path ?: "kubeconfig", buf_cstr(&key));
		*ret = buf_take(&pem);
	} else if (file.n && !config_path) {
		return err_set(err, ERR_INVALID, "%s names a file, %s-data is expected", field,
			       field);
	} else if (file.n) {
		*ret = from_file(config_path, file, err);
		return *ret ? 0 : -1;
	}
	return 0;
}

static char *text_of(const struct json *o, const char *field)
{
	struct str s = json_str(json_get(o, str_c(field)));

	return s.n ? xstrndup(s.p, s.n) : NULL;
}

static int fill(const struct json *config, const char *path, struct kubeconfig *k, struct err *err)
{
	const struct json *context = named(json_at(config, "contexts"),
					   json_str(json_at(config, "current-context")), "context");
	const struct json *cluster = named(json_at(config, "clusters"),
					   json_str(json_at(context, "cluster")), "cluster");
	const struct json *user =
		named(json_at(config, "users"), json_str(json_at(context, "user")), "user");

	k->server = text_of(cluster, "server");
	if (!k->server)
		return err_set(err, ERR_PARSE,
			       "%s: the current context names no cluster with a server",
			       path ?: "kubeconfig");
	if (!path && (json_get(user, STR("exec")) || json_get(user, STR("auth-provider")) ||
		      json_str(json_get(user, STR("tokenFile"))).n))
		return err_set(err, ERR_UNSUPPORTED,
			       "a kubeconfig that runs programs or names files is refused");
	k->tls_server_name = text_of(cluster, "tls-server-name");
	k->insecure = json_bool(json_get(cluster, STR("insecure-skip-tls-verify")), false);
	k->token = text_of(user, "token");
	if (pem_of(cluster, "certificate-authority", path, &k->ca_pem, err) ||
	    pem_of(user, "client-certificate", path, &k->cert_pem, err) ||
	    pem_of(user, "client-key", path, &k->key_pem, err))
		return -1;
	return 0;
}

int kubeconfig_load(const char *path, struct kubeconfig *ret, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct yaml_docs docs;

	*ret = (struct kubeconfig){0};
	if (fs_read(path, KUBECONFIG_MAX, &text, err))
		return -1;
	if (yaml_parse(&a, buf_view(&text), 0, NULL, NULL, &docs, err))
		return err_wrap(err, "%s", path);
	if (!fill(docs.n ? docs.v[0] : NULL, path, ret, err))
		return 0;
	kubeconfig_release(ret);
	return -1;
}

int kubeconfig_parse(struct str text, struct kubeconfig *ret, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct yaml_docs docs;

	*ret = (struct kubeconfig){0};
	if (text.n > KUBECONFIG_MAX)
		return err_set(err, ERR_LIMIT, "a kubeconfig of more than %d bytes",
			       KUBECONFIG_MAX);
	if (yaml_parse(&a, text, 0, NULL, NULL, &docs, err))
		return err_wrap(err, "kubeconfig");
	if (!fill(docs.n ? docs.v[0] : NULL, NULL, ret, err))
		return 0;
	kubeconfig_release(ret);
	return -1;
}

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void kubeconfig_release(struct kubeconfig *k)
{
	wipe(&k->server);
	wipe(&k->ca_pem);
	wipe(&k->cert_pem);
	wipe(&k->key_pem);
	wipe(&k->token);
	wipe(&k->tls_server_name);
}

static void field_data(struct buf *out, const char *field, const char *pem)
{
	if (!pem)
		return;
	buf_printf(out, "    %s-data: ", field);
	base64_encode(str_c(pem), out);
	buf_putc(out, '\n');
}

static void field_text(struct buf *out, const char *field, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "    %s: ", field);
	json_write_string(str_c(value), out); /* a JSON string is YAML, whatever it holds */
	buf_putc(out, '\n');
}

void kubeconfig_write(const struct kubeconfig *k, const char *cluster, const char *user,
		      struct buf *out)
{
	buf_printf(out, "apiVersion: v1\nkind: Config\nclusters:\n- name: %s\n  cluster:\n",
		   cluster);
	if (k->server)
		buf_printf(out, "    server: %s\n",
			   k->server); /* plain, for those who read it with sed */
	field_text(out, "tls-server-name", k->tls_server_name);
	field_data(out, "certificate-authority", k->ca_pem);
	if (k->insecure)
		buf_puts(out, "    insecure-skip-tls-verify: true\n");
	buf_printf(out, "users:\n- name: %s\n  user:\n", user);
	field_data(out, "client-certificate", k->cert_pem);
	field_data(out, "client-key", k->key_pem);
	field_text(out, "token", k->token);
	buf_printf(out, "contexts:\n- name: %s\n  context:\n    cluster: %s\n    user: %s\n",
		   cluster, cluster, user);
	buf_printf(out, "current-context: %s\npreferences: {}\n", cluster);
}
