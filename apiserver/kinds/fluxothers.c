/*
 * Flux' kinds that are kept for those who have them in their repositories: nothing acts on them,
 * and the reconciler says so in their status. Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

extern const struct kind kind_ocirepository, kind_helmrepository, kind_helmchart, kind_bucket;

static const struct kind_column columns[] = {
	COL_NAME,
	COL_AGE,
	COL("Ready", "string", "Whether it works."),
	COL("Status", "string", "What stands in its way."),
	{0},
};

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *ready = condition_find(o, "Ready");

	cell_name(c, cells, o);
	cell_age(c, cells, o);
	cell_str(c, cells, json_str(json_get(ready, STR("status"))));
	cell_str(c, cells, json_str(json_get(ready, STR("message"))));
}

#define HELM "helm.toolkit.fluxcd.io"
#define IMAGE "image.toolkit.fluxcd.io"
#define SOURCE "source.toolkit.fluxcd.io"

static const char *const hr[] = {"hr", NULL};
static const char *const imgrepo[] = {"imgrepo", NULL};
static const char *const imgpol[] = {"imgpol", NULL};
static const char *const iua[] = {"iua", "imgupd", NULL};

const struct kind kind_helmrelease = {
	.group = HELM,
	.version = "v2",
	.kind = "HelmRelease",
	.plural = "helmreleases",
	.short_names = hr,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.helm.v2.HelmRelease",
	.columns = columns,
	.row = row,
};

const struct kind kind_imagerepository = {
	.group = IMAGE,
	.version = "v1",
	.kind = "ImageRepository",
	.plural = "imagerepositories",
	.short_names = imgrepo,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.image.v1.ImageRepository",
	.columns = columns,
	.row = row,
};

const struct kind kind_imagepolicy = {
	.group = IMAGE,
	.version = "v1",
	.kind = "ImagePolicy",
	.plural = "imagepolicies",
	.short_names = imgpol,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.image.v1.ImagePolicy",
	.columns = columns,
	.row = row,
};

const struct kind kind_imageupdateautomation = {
	.group = IMAGE,
	.version = "v1",
	.kind = "ImageUpdateAutomation",
	.plural = "imageupdateautomations",
	.short_names = iua,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_GENERATION,
	.schema_name = "io.fluxcd.toolkit.image.v1.ImageUpdateAutomation",
	.columns = columns,
	.row = row,
};

/* ---- as they were called before ---- */

const struct kind kind_imagerepository_v1beta2 = {
	.group = IMAGE,
	.version = "v1beta2",
	.kind = "ImageRepository",
	.plural = "imagerepositories",
	.stored = &kind_imagerepository,
	.schema_name = "io.fluxcd.toolkit.image.v1beta2.ImageRepository",
};

const struct kind kind_imagepolicy_v1beta2 = {
	.group = IMAGE,
	.version = "v1beta2",
	.kind = "ImagePolicy",
	.plural = "imagepolicies",
	.stored = &kind_imagepolicy,
	.schema_name = "io.fluxcd.toolkit.image.v1beta2.ImagePolicy",
};

const struct kind kind_imageupdateautomation_v1beta2 = {
	.group = IMAGE,
	.version = "v1beta2",
	.kind = "ImageUpdateAutomation",
	.plural = "imageupdateautomations",
	.stored = &kind_imageupdateautomation,
	.schema_name = "io.fluxcd.toolkit.image.v1beta2.ImageUpdateAutomation",
};

const struct kind kind_ocirepository_v1beta2 = {
	.group = SOURCE,
	.version = "v1beta2",
	.kind = "OCIRepository",
	.plural = "ocirepositories",
	.stored = &kind_ocirepository,
	.schema_name = "io.fluxcd.toolkit.source.v1beta2.OCIRepository",
};

const struct kind kind_helmrepository_v1beta2 = {
	.group = SOURCE,
	.version = "v1beta2",
	.kind = "HelmRepository",
	.plural = "helmrepositories",
	.stored = &kind_helmrepository,
	.schema_name = "io.fluxcd.toolkit.source.v1beta2.HelmRepository",
};

const struct kind kind_helmchart_v1beta2 = {
	.group = SOURCE,
	.version = "v1beta2",
	.kind = "HelmChart",
	.plural = "helmcharts",
	.stored = &kind_helmchart,
	.schema_name = "io.fluxcd.toolkit.source.v1beta2.HelmChart",
};

const struct kind kind_bucket_v1beta2 = {
	.group = SOURCE,
	.version = "v1beta2",
	.kind = "Bucket",
	.plural = "buckets",
	.stored = &kind_bucket,
	.schema_name = "io.fluxcd.toolkit.source.v1beta2.Bucket",
};
