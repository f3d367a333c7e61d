/* PersistentVolumes, the claims to them, and the classes that make them. Pure. */
#include "apiserver/kinds/rules.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Capacity", "string", "How much it holds."),
	COL("Access Modes", "string", "Who may mount it, and how."),
	COL("Reclaim Policy", "string", "What becomes of it afterwards."),
	COL("Status", "string", "Available, Bound, Released, Failed."),
	COL("Claim", "string", "Who has it."),
	COL("StorageClass", "string", "What made it."),
	COL("Reason", "string", "Why it is so."),
	COL_AGE,
	COL("VolumeMode", "string", "Files or blocks.", .priority = 1),
	{0},
};

static void cell_modes(struct kind_ctx *c, const struct json *modes, struct json *cells)
{
	static const char *const shorts[][2] = {{"ReadWriteOnce", "RWO"},
						{"ReadOnlyMany", "ROX"},
						{"ReadWriteMany", "RWX"},
						{"ReadWriteOncePod", "RWOP"}};
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < ARRAY_LEN(shorts); i++)
		for (size_t k = 0; k < json_len(modes); k++) {
			if (!str_is(json_str(json_item(modes, k)), shorts[i][0]))
				continue;
			buf_printf(&b, "%s%s", b.n ? "," : "", shorts[i][1]);
			break;
		}
	cell_str(c, cells, buf_view(&b));
}

static void cell_or(struct kind_ctx *c, struct json *cells, const struct json *v, const char *none)
{
	struct str s = json_str(v);

	cell_str(c, cells, s.n ? s : str_c(none));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *claim = json_get(spec, STR("claimRef"));
	bool ends = json_str(json_at(o, "metadata", "deletionTimestamp")).n > 0;

	cell_name(c, cells, o);
	cell_str(c, cells, json_str(json_at(spec, "capacity", "storage")));
	cell_modes(c, json_get(spec, STR("accessModes")), cells);
	cell_str(c, cells, json_str(json_get(spec, STR("persistentVolumeReclaimPolicy"))));
	cell_str(c, cells, ends ? STR("Terminating") : json_str(json_at(o, "status", "phase")));
	if (claim)
		cell_text(c, cells, "%.*s/%.*s",
			  STR_ARG(json_str(json_get(claim, STR("namespace")))),
			  STR_ARG(json_str(json_get(claim, STR("name")))));
	else
		cell_str(c, cells, STR(""));
	cell_str(c, cells, json_str(json_get(spec, STR("storageClassName"))));
	cell_str(c, cells, json_str(json_at(o, "status", "reason")));
	cell_age(c, cells, o);
	cell_or(c, cells, json_get(spec, STR("volumeMode")), "<unset>");
}

static void prepare(struct kind_ctx *c, struct json *next, const struct json *live)
{
	if (!live)
		json_set_str(c->a, json_set_object(c->a, next, "status"), "phase", STR("Pending"));
}

static const char *const short_names[] = {"pv", NULL};

const struct kind kind_persistentvolume = {
	.group = "",
	.version = "v1",
	.kind = "PersistentVolume",
	.plural = "persistentvolumes",
	.short_names = short_names,
	.flags = KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE | KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.PersistentVolume",
	.columns = columns,
	.row = row,
	.prepare = prepare,
	.validate = volume_validate,
};

/* ---- claims ---- */

static const struct kind_column claim_columns[] = {
	COL_NAME,
	COL("Status", "string", "Pending, Bound, Lost."),
	COL("Volume", "string", "What it got."),
	COL("Capacity", "string", "How much that holds."),
	COL("Access Modes", "string", "Who may mount it, and how."),
	COL("StorageClass", "string", "What makes its volume."),
	COL_AGE,
	COL("VolumeMode", "string", "Files or blocks.", .priority = 1),
	{0},
};

static void claim_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *spec = json_get(o, STR("spec"));
	struct str volume = json_str(json_get(spec, STR("volumeName")));
	bool ends = json_str(json_at(o, "metadata", "deletionTimestamp")).n > 0;

	cell_name(c, cells, o);
	cell_str(c, cells, ends ? STR("Terminating") : json_str(json_at(o, "status", "phase")));
	cell_str(c, cells, volume);
	cell_str(c, cells,
		 volume.n ? json_str(json_at(o, "status", "capacity", "storage")) : STR(""));
	cell_modes(c, volume.n ? json_at(o, "status", "accessModes") : NULL, cells);
	cell_str(c, cells, json_str(json_get(spec, STR("storageClassName"))));
	cell_age(c, cells, o);
	cell_or(c, cells, json_get(spec, STR("volumeMode")), "<unset>");
}

static const char *const claim_short_names[] = {"pvc", NULL};

const struct kind kind_persistentvolumeclaim = {
	.group = "",
	.version = "v1",
	.kind = "PersistentVolumeClaim",
	.plural = "persistentvolumeclaims",
	.short_names = claim_short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_UNCONDITIONAL_UPDATE |
		 KIND_SHOWS_GONE,
	.schema_name = "io.k8s.api.core.v1.PersistentVolumeClaim",
	.columns = claim_columns,
	.row = claim_row,
	.prepare = prepare,
	.validate = claim_validate,
};
