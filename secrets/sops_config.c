/*
 * Whom a file is encrypted to: .sops.yaml, and changing the recipients of a file that is there. Its
 * data key stays, so nothing but the recipients' part moves; who is taken out could have kept the
 * key, so that what they knew must be changed too: the caller says so. Pure but for randomness.
 */
#include <sodium.h>
#include <stdlib.h>

#include "secrets/sops_open-internal.h"

static const char *const rules[] = {"unencrypted_suffix",        "encrypted_suffix",
				    "unencrypted_regex",         "encrypted_regex",
				    "unencrypted_comment_regex", "encrypted_comment_regex"};

/* ---- .sops.yaml ---- */

static int matches(struct str pattern, struct str path, bool *ret, struct err *err)
{
	AUTO(free) char *text = xstrndup(path.p, path.n);
	regex_t regex;

	*ret = !pattern.n;
	if (*ret)
		return 0;
	if (sops_regex(pattern, &regex, err) != 0)
		return err_wrap(err, "path_regex");
	*ret = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return 0;
}

static int add_recipient(struct sops_policy *p, struct str text, struct err *err)
{
	struct age_recipient ignored;

	text = str_trim(text);
	if (!text.n)
		return 0;
	if (p->n == SOPS_RECIPIENTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d recipients", SOPS_RECIPIENTS_MAX);
	if (age_recipient_parse(text, &ignored, err) != 0)
		return -1;
	p->recipients[p->n++] = text;
	return 0;
}

/* "age1…,age1…", or a list of them. */
static int add_recipients(struct sops_policy *p, const struct json *age, struct err *err)
{
	struct str all = json_str(age), one;

	while (all.n && str_next(&all, ',', &one))
		if (add_recipient(p, one, err) != 0)
			return -1;
	for (size_t i = 0; json_is(age, JSON_ARRAY) && i < json_len(age); i++)
		if (add_recipients(p, json_item(age, i), err) != 0)
			return -1;
	return 0;
}

static int only_age(const struct json *v, struct err *err)
{
	static const char *const others[] = {"pgp",
					     "kms",
					     "gcp_kms",
					     "hckms",
					     "azure_keyvault",
					     "azure_kv",
					     "hc_vault",
					     "hc_vault_transit_uri"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const struct json *o = json_get(v, str_c(others[i]));

		if (json_len(o) || json_str(o).n)
			return err_set(err, ERR_UNSUPPORTED,
				       "it wants a key of %s: only age is supported", others[i]);
	}
	return 0;
}

static int take(const struct json *rule, struct sops_policy *ret, struct err *err)
{
	const struct json *groups = json_get(rule, STR("key_groups"));

	if (json_len(groups) > 1 || json_int(json_get(rule, STR("shamir_threshold")), 0) > 1)
		return err_set(err, ERR_UNSUPPORTED,
			       "the key shared between several key_groups (shamir_threshold): only "
			       "one group is supported");
	if (json_len(json_get(json_item(groups, 0), STR("merge"))))
		return err_set(err, ERR_UNSUPPORTED, "key_groups[0].merge: list the keys in it");
	if (only_age(rule, err) != 0 || only_age(json_item(groups, 0), err) != 0 ||
	    add_recipients(ret, json_get(rule, STR("age")), err) != 0 ||
	    add_recipients(ret, json_get(json_item(groups, 0), STR("age")), err) != 0)
		return -1;
	if (!ret->n)
		return err_set(err, ERR_INVALID, "its creation rule has no age recipient");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct str v = json_str(json_get(rule, str_c(rules[i])));

		if (!v.n)
			continue;
		if (ret->rule)
			return err_set(err, ERR_INVALID, "%s and %s exclude each other", ret->rule,
				       rules[i]);
		ret->rule = rules[i];
		ret->value = v;
	}
	ret->mac_only_encrypted = json_bool(json_get(rule, STR("mac_only_encrypted")), false);
	return 0;
}

int sops_policy_find(struct arena *a, struct str config, struct str path, struct sops_policy *ret,
		     struct err *err)
{
	const struct json *list;
	struct yaml_docs docs;

	*ret = (struct sops_policy){.n = 0};
	if (yaml_parse(a, config, 0, NULL, NULL, &docs, err) != 0)
		return -1;
	list = docs.n ? json_get(docs.v[0], STR("creation_rules")) : NULL;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *rule = json_item(list, i);
		bool yes;

		if (matches(json_str(json_get(rule, STR("path_regex"))), path, &yes, err) != 0)
			return err_wrap(err, "creation_rules[%zu]", i);
		if (yes)
			return take(rule, ret, err) ? err_wrap(err, "creation_rules[%zu]", i) : 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no creation rule is for %.*s", STR_ARG(path));
}

/* ---- other recipients ---- */

static int replace_list(struct sops_open *o, const struct json *list, const struct json *now,
			struct sops_cuts *cuts)
{
	const struct yaml_src *src = yaml_src_of(&o->srcs, list);
	const struct json *last = json_item(list, json_len(list) - 1);
	AUTO(buf) struct buf text = {0};
	size_t from, to, end = 0;

	if (!src || !json_len(list))
		return -1;
	if (src->style == YAML_FLOW) {
		json_write(now, &text);
		sops_cuts_add(cuts, src->begin, src->end, arena_str(o->a, buf_view(&text)));
		return 0;
	}
	for (size_t i = 0; i < json_len(last); i++) {
		if (sops_range(o->text, &o->srcs, &json_members(last)[i].value, &from, &to) != 0)
			return -1;
		end = MAX(end, to);
	}
	from = src->begin;
	while (from && o->text.p[from - 1] == ' ')
		from--;
	if (from && o->text.p[from - 1] != '\n')
		return -1;
	sops_age_yaml(now, src->begin - from, &text);
	text.n--; /* its last line's end is there */
	sops_cuts_add(cuts, from, end, arena_str(o->a, buf_view(&text)));
	return 0;
}

int sops_edit_recipients(const struct sops_edit *e, const struct sops_policy *to, struct buf *out,
			 struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct sops_cuts cuts = {0};
	struct json *now = NULL;
	struct sops_open o;
	int rc = sops_open_init(&o, &a, e->keys, e->text, err);

	/* Else somebody's change would look like ours. */
	if (rc == 0)
		rc = sops_check(&o, err);
	if (rc == 0)
		rc = sops_wrap_all(&a, &o.key, to, json_get(o.metadata[0], STR("age")), &now, err);
	for (size_t i = 0; rc == 0 && i < o.docs.n; i++)
		if (o.metadata[i] &&
		    replace_list(&o, json_get(o.metadata[i], STR("age")), now, &cuts) != 0)
			rc = err_set(err, ERR_UNSUPPORTED,
				     "sops: the recipients are written in a way that can't be "
				     "edited");
	if (rc == 0)
		rc = sops_cuts_make(&cuts, e->text, out, err);
	sops_cuts_release(&cuts);
	sops_open_release(&o);
	return rc;
}
