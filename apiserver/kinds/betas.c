/*
 * Versions that differ from the stored one by their names only, for clients of their time. Nothing
 * of a kind is said here but where it is found. Pure.
 */
#include "apiserver/kinds/kind.h"

#include "lib/base/pure.h"

extern const struct kind kind_clusterrole, kind_clusterrolebinding, kind_cronjob, kind_csidriver,
	kind_csinode, kind_csistoragecapacity, kind_horizontalpodautoscaler, kind_ingressclass,
	kind_lease, kind_priorityclass, kind_role, kind_rolebinding, kind_runtimeclass,
	kind_self_subject_review, kind_storageclass, kind_validatingadmissionpolicy,
	kind_validatingadmissionpolicybinding, kind_volumeattachment;

#define RENAMED(of, g, v, k, p, package)                                                           \
	{                                                                                          \
		.group = g, .version = v, .kind = k, .plural = p, .stored = &kind_##of,            \
		.schema_name = "io.k8s.api." package "." k                                         \
	}

#define ADMISSION "admissionregistration.k8s.io"
#define RBAC "rbac.authorization.k8s.io"
#define STORAGE "storage.k8s.io"

const struct kind kind_clusterrole_v1beta1 =
	RENAMED(clusterrole, RBAC, "v1beta1", "ClusterRole", "clusterroles", "rbac.v1beta1");
const struct kind kind_clusterrolebinding_v1beta1 =
	RENAMED(clusterrolebinding, RBAC, "v1beta1", "ClusterRoleBinding", "clusterrolebindings",
		"rbac.v1beta1");
const struct kind kind_role_v1beta1 =
	RENAMED(role, RBAC, "v1beta1", "Role", "roles", "rbac.v1beta1");
const struct kind kind_rolebinding_v1beta1 =
	RENAMED(rolebinding, RBAC, "v1beta1", "RoleBinding", "rolebindings", "rbac.v1beta1");
const struct kind kind_cronjob_v1beta1 =
	RENAMED(cronjob, "batch", "v1beta1", "CronJob", "cronjobs", "batch.v1beta1");
const struct kind kind_lease_v1beta1 =
	RENAMED(lease, "coordination.k8s.io", "v1beta1", "Lease", "leases", "coordination.v1beta1");
const struct kind kind_priorityclass_v1beta1 =
	RENAMED(priorityclass, "scheduling.k8s.io", "v1beta1", "PriorityClass", "priorityclasses",
		"scheduling.v1beta1");
const struct kind kind_runtimeclass_v1beta1 = RENAMED(
	runtimeclass, "node.k8s.io", "v1beta1", "RuntimeClass", "runtimeclasses", "node.v1beta1");
const struct kind kind_storageclass_v1beta1 = RENAMED(
	storageclass, STORAGE, "v1beta1", "StorageClass", "storageclasses", "storage.v1beta1");
const struct kind kind_csidriver_v1beta1 =
	RENAMED(csidriver, STORAGE, "v1beta1", "CSIDriver", "csidrivers", "storage.v1beta1");
const struct kind kind_csinode_v1beta1 =
	RENAMED(csinode, STORAGE, "v1beta1", "CSINode", "csinodes", "storage.v1beta1");
const struct kind kind_csistoragecapacity_v1beta1 =
	RENAMED(csistoragecapacity, STORAGE, "v1beta1", "CSIStorageCapacity",
		"csistoragecapacities", "storage.v1beta1");
const struct kind kind_volumeattachment_v1beta1 =
	RENAMED(volumeattachment, STORAGE, "v1beta1", "VolumeAttachment", "volumeattachments",
		"storage.v1beta1");
const struct kind kind_ingressclass_v1beta1 =
	RENAMED(ingressclass, "networking.k8s.io", "v1beta1", "IngressClass", "ingressclasses",
		"networking.v1beta1");
const struct kind kind_horizontalpodautoscaler_v2beta2 =
	RENAMED(horizontalpodautoscaler, "autoscaling", "v2beta2", "HorizontalPodAutoscaler",
		"horizontalpodautoscalers", "autoscaling.v2beta2");
/* kubectl 1.27's `auth whoami` knows no other. */
const struct kind kind_self_subject_review_v1beta1 =
	RENAMED(self_subject_review, "authentication.k8s.io", "v1beta1", "SelfSubjectReview",
		"selfsubjectreviews", "authentication.v1beta1");
const struct kind kind_validatingadmissionpolicy_v1beta1 =
	RENAMED(validatingadmissionpolicy, ADMISSION, "v1beta1", "ValidatingAdmissionPolicy",
		"validatingadmissionpolicies", "admissionregistration.v1beta1");
const struct kind kind_validatingadmissionpolicybinding_v1beta1 = RENAMED(
	validatingadmissionpolicybinding, ADMISSION, "v1beta1", "ValidatingAdmissionPolicyBinding",
	"validatingadmissionpolicybindings", "admissionregistration.v1beta1");
