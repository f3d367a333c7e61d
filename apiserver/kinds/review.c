/*
 * Reviews: questions about who somebody is and what they may do. They are created, answered by the
 * front (apiserver/reviews.c) and never stored; here they are told to discovery and OpenAPI.
 *
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

#define AUTHN "authentication.k8s.io"
#define AUTHZ "authorization.k8s.io"

const struct kind kind_self_subject_review = {
	.group = AUTHN,
	.version = "v1",
	.kind = "SelfSubjectReview",
	.plural = "selfsubjectreviews",
	.flags = KIND_NO_STORE,
	.schema_name = "io.k8s.api.authentication.v1.SelfSubjectReview",
};

const struct kind kind_token_review = {
	.group = AUTHN,
	.version = "v1",
	.kind = "TokenReview",
	.plural = "tokenreviews",
	.flags = KIND_NO_STORE,
	.schema_name = "io.k8s.api.authentication.v1.TokenReview",
};

const struct kind kind_local_subject_access_review = {
	.group = AUTHZ,
	.version = "v1",
	.kind = "LocalSubjectAccessReview",
	.plural = "localsubjectaccessreviews",
	.flags = KIND_NO_STORE | KIND_NAMESPACED,
	.schema_name = "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
};

const struct kind kind_self_subject_access_review = {
	.group = AUTHZ,
	.version = "v1",
	.kind = "SelfSubjectAccessReview",
	.plural = "selfsubjectaccessreviews",
	.flags = KIND_NO_STORE,
	.schema_name = "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
};

const struct kind kind_self_subject_rules_review = {
	.group = AUTHZ,
	.version = "v1",
	.kind = "SelfSubjectRulesReview",
	.plural = "selfsubjectrulesreviews",
	.flags = KIND_NO_STORE,
	.schema_name = "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
};

const struct kind kind_subject_access_review = {
	.group = AUTHZ,
	.version = "v1",
	.kind = "SubjectAccessReview",
	.plural = "subjectaccessreviews",
	.flags = KIND_NO_STORE,
	.schema_name = "io.k8s.api.authorization.v1.SubjectAccessReview",
};
