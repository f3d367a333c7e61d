/*
 * What kinds' validate functions are made of: reporting a problem in Kubernetes' words, and the
 * rules that several kinds share. Pure.
 */
#ifndef PLUMB_APISERVER_RULES_H
#define PLUMB_APISERVER_RULES_H

#include "apiserver/kinds/kind.h"
#include "lib/schema/path.h"

/* ---- reporting; field may be NULL (the path itself), detail may be NULL ---- */
void rule_required(struct kind_ctx *c, const struct spath *at, const char *field,
		   const char *detail);
void rule_invalid(struct kind_ctx *c, const struct spath *at, const char *field,
		  const struct json *value, const char *detail);
void rule_forbidden(struct kind_ctx *c, const struct spath *at, const char *field,
		    const char *detail);
void rule_duplicate(struct kind_ctx *c, const struct spath *at, const char *field,
		    const struct json *value);
void rule_not_found(struct kind_ctx *c, const struct spath *at, const char *field,
		    const struct json *value);
/* allowed is NULL-terminated. */
void rule_unsupported(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *value, const char *const *allowed);
void rule_too_long(struct kind_ctx *c, const struct spath *at, const char *field, size_t max);
void rule_warn(struct kind_ctx *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- common rules ---- */
/* The object's metadata: names, labels, annotations, owners, finalizers, and what an update may not
 * change. */
void rule_metadata(struct kind_ctx *c, const struct kind *k, const struct json *next,
		   const struct json *live);
/* next's metadata.FIELD as live has it. */
void rule_keep_meta(struct kind_ctx *c, struct json *next, const struct json *live,
		    const char *field);
void rule_labels(struct kind_ctx *c, const struct spath *at, const char *field,
		 const struct json *labels);
void rule_annotations(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *annotations);
/* metav1.LabelSelector: operators, values, keys. */
void rule_selector(struct kind_ctx *c, const struct spath *at, const char *field,
		   const struct json *selector);
/* The key of a selector's requirement: a label's name. */
void rule_key(struct kind_ctx *c, const struct spath *at, const struct json *key);
/* Must be present and not empty, be well-formed, and match the template's labels. `spec` is where
 * both stand. False when it is nonsense, and the template's turn doesn't come. */
bool rule_selector_matches(struct kind_ctx *c, const struct spath *at, const struct json *spec);
/* "field is immutable" when the member differs semantically. */
void rule_immutable(struct kind_ctx *c, const struct spath *at, const struct json *next,
		    const struct json *live, const char *field);
/* Forbidden at "spec" when members other than `names` (NULL-terminated) differ. */
void rule_only(struct kind_ctx *c, const struct json *next, const struct json *live,
	       const char *const *names, const char *detail);
void rule_non_negative(struct kind_ctx *c, const struct spath *at, const struct json *object,
		       const char *field);
void rule_port(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value);
/* A port by number, or by name as containers name them. */
void rule_port_or_name(struct kind_ctx *c, const struct spath *at, const char *field,
		       const struct json *value);
/* An int-or-percent that is not negative. */
void rule_int_or_percent(struct kind_ctx *c, const struct spath *at, const char *field,
			 const struct json *value);
/* … and at most 100%. */
void rule_int_or_percent_100(struct kind_ctx *c, const struct spath *at, const char *field,
			     const struct json *value);
/* Text that must pass name_check_…: says why when it doesn't. Absent is fine. */
void rule_name(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value, const char *(*check)(struct str));
/* The same where no text means no name: Go's clients write "" for what nobody set. */
void rule_optional_name(struct kind_ctx *c, const struct spath *at, const char *field,
			const struct json *value, const char *(*check)(struct str));
/* Keys of ConfigMaps and Secrets. */
const char *rule_config_key(struct str key);
void rule_quantities(struct kind_ctx *c, const struct spath *at, const struct json *resources);

/* ---- names of what is bounded (rules_amounts.c) ---- */
enum amount_place { AMOUNT_OF_ANY, AMOUNT_OF_CONTAINER };
void rule_amount_name(struct kind_ctx *c, const struct spath *at, struct str name,
		      enum amount_place place);
bool amount_overcommits(struct str name); /* may be promised twice */

/* The value at a percentage or number of `total`, as Kubernetes rounds it. */
int64_t rule_scaled(const struct json *int_or_percent, int64_t total, bool up);

/* ---- pods and what makes them (podspec.c) ---- */
void podspec_defaults(struct kind_ctx *c, struct json *spec);
void podspec_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);
/* What of a pod that is there may change, through which sub-resource (rules_podupdate.c). */
void pod_update_prepare(struct kind_ctx *c, struct json *next, const struct json *live);
void pod_update_validate(struct kind_ctx *c, const struct json *next, const struct json *live);
/* A NodeSelector: its terms, of labels and of fields. */
void rule_node_selector(struct kind_ctx *c, const struct spath *at, const struct json *selector);
void rule_tolerations(struct kind_ctx *c, const struct spath *at, const struct json *list);
/* matchLabelKeys and mismatchLabelKeys of its affinity terms become a part of their selectors
 * (rules_podplacing.c). */
void podspec_apply_label_keys(struct kind_ctx *c, struct json *pod);
/* Gates and constraints of spreading: each once. */
void podspec_validate_placing(struct kind_ctx *c, const struct spath *at, const struct json *spec);
/* Takes over into `copy` what a pod behind gates may say anew of where it goes. */
void podspec_allow_narrower(struct kind_ctx *c, struct json *copy, const struct json *spec);
/* A PodTemplateSpec: its metadata and its spec. */
void podtemplate_defaults(struct kind_ctx *c, struct json *template);
void podtemplate_validate(struct kind_ctx *c, const struct spath *at, const struct json *template);
/* The template of what keeps its pods running: no end, always restarted. `owner` is the kind. */
void rule_template(struct kind_ctx *c, const struct spath *at, const struct json *template,
		   const char *owner);
/* The object under `field` sets exactly one of `names` (NULL-terminated). */
void rule_one_of(struct kind_ctx *c, const struct spath *at, const struct json *object,
		 const char *const *names, const char *missing, const char *many);
void rule_range(struct kind_ctx *c, const struct spath *at, const struct json *object,
		const char *field, int64_t min, int64_t max);
void containers_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);
void volumes_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);
/* The disks among a volume's or a PersistentVolume's sources. */
void volume_disks_validate(struct kind_ctx *c, const struct spath *at, const struct json *v);

/* ---- volumes and claims (rules_pv.c) ---- */
void volume_validate(struct kind_ctx *c, const struct json *next, const struct json *live);
void claim_validate(struct kind_ctx *c, const struct json *next, const struct json *live);
/* Also of the templates of claims. */
void claim_spec_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);

/* ---- counts in a status (rules_status.c) ---- */
void rule_status_counts(struct kind_ctx *c, const struct json *next);
/* … and none of them above status.replicas. */
void rule_status_replicas(struct kind_ctx *c, const struct json *next);

/* ---- Jobs (rules_job.c) ---- */
/* What indexes, policies and owners ask of a JobSpec. */
void job_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);
void job_validate_selector(struct kind_ctx *c, const struct spath *at, const struct json *job);
/* How many indexes "0,2-4" names; -1 when it isn't a list in order of some below that number. */
int64_t job_count_indexes(struct str text, int64_t below);
/* Whether two such lists name the same one. */
bool job_indexes_overlap(struct str a, struct str b);
/* What its status may say and may become (rules_jobstatus.c). */
void job_validate_status(struct kind_ctx *c, const struct json *next, const struct json *live);

/* ---- quotas (rules_quota.c) ---- */
void quota_validate(struct kind_ctx *c, const struct json *next, const struct json *live);

/* ---- ValidatingAdmissionPolicies, but for expressions (rules_policies.c) ---- */
void policy_validate(struct kind_ctx *c, const struct spath *at, const struct json *policy);
void policy_binding_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec);

/* ---- roles and bindings (rules_rbac.c) ---- */
extern const struct kind_column rbac_role_columns[], rbac_binding_columns[];
void rbac_rules_validate(struct kind_ctx *c, const struct json *next, bool namespaced);
void rbac_binding_row(struct kind_ctx *c, const struct json *o, struct json *cells);
void rbac_binding_defaults(struct kind_ctx *c, struct json *o);
void rbac_binding_validate(struct kind_ctx *c, const struct json *next, const struct json *live);

/* ---- rows ---- */
#define COL_NAME                                                                                   \
	{                                                                                          \
		.name = "Name", .type = "string", .format = "name",                                \
		.description = "Name, unique within a namespace.", .path = ".metadata.name"        \
	}
#define COL_AGE                                                                                    \
	{                                                                                          \
		.name = "Age", .type = "string", .description = "Time since it was made.",         \
		.path = ".metadata.creationTimestamp"                                              \
	}
#define COL(n, t, d, ...)                                                                          \
	{                                                                                          \
		.name = n, .type = t, .description = d, ##__VA_ARGS__                              \
	}
/* Appends a cell. */
void cell_str(struct kind_ctx *c, struct json *cells, struct str s);
void cell_int(struct kind_ctx *c, struct json *cells, int64_t i);
void cell_text(struct kind_ctx *c, struct json *cells, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* metadata.name; time since metadata.creationTimestamp. */
void cell_name(struct kind_ctx *c, struct json *cells, const struct json *o);
void cell_age(struct kind_ctx *c, struct json *cells, const struct json *o);
void cell_since(struct kind_ctx *c, struct json *cells, const struct json *time);
/* "a=b,c=d" of a map, or of a LabelSelector; "<none>" when empty. */
void cell_labels(struct kind_ctx *c, struct json *cells, const struct json *map);
void cell_selector(struct kind_ctx *c, struct json *cells, const struct json *selector);
/* CONTAINERS and IMAGES of a pod spec: two cells. */
void cell_containers(struct kind_ctx *c, struct json *cells, const struct json *podspec);

/* Answers a member of the object by its dotted path, "" when absent: for kind.field. */
struct str field_at(const struct json *o, struct str dotted, struct arena *a);

/* In place: object[key] = text when absent. */
/* Takes line breaks out of the base64 texts of a map, as decoding and encoding would. */
void default_base64(struct kind_ctx *c, struct json *object, const char *key);
void default_str(struct kind_ctx *c, struct json *object, const char *key, const char *value);
void default_int(struct kind_ctx *c, struct json *object, const char *key, int64_t value);

#endif
