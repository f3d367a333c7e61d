/*
 * kustomize's default configuration, as data: which fields labels, annotations, images, replicas,
 * namespaces and names of other objects stand in. Pod templates stand in many kinds at the same
 * distance, so what concerns them is written once per field. Pure; shared by all threads.
 */
#include <string.h>

#include "reconciler/kustomize/tables.h"

#include "lib/base/pure.h"

/* Kinds that hold a pod, and where. */
const struct kholder kholders[] = {
	{"", "v1", "Pod", "", HOLDS_POD},
	{"", "", "PodTemplate", "template/", HOLDS_TEMPLATE},
	{"", "", "Deployment", "spec/template/", HOLDS_DEPLOYMENT},
	{"", "", "ReplicaSet", "spec/template/", HOLDS_REPLICASET},
	{"", "", "DaemonSet", "spec/template/", HOLDS_DAEMONSET},
	{"", "", "StatefulSet", "spec/template/", HOLDS_STATEFULSET},
	{"", "", "Job", "spec/template/", HOLDS_JOB},
	{"", "", "CronJob", "spec/jobTemplate/spec/template/", HOLDS_CRONJOB},
	{"", "", "ReplicationController", "spec/template/", HOLDS_CONTROLLER},
};
const size_t nkholders = ARRAY_LEN(kholders);

#define REFS_OF_ALL                                                                                \
	(HOLDS_POD | HOLDS_TEMPLATE | HOLDS_DEPLOYMENT | HOLDS_REPLICASET | HOLDS_DAEMONSET |      \
	 HOLDS_STATEFULSET | HOLDS_JOB | HOLDS_CRONJOB)
#define REFS_OF_MOST                                                                               \
	(HOLDS_POD | HOLDS_DEPLOYMENT | HOLDS_DAEMONSET | HOLDS_STATEFULSET | HOLDS_JOB |          \
	 HOLDS_CRONJOB | HOLDS_CONTROLLER)

const struct kpodref kpodrefs[] = {
	{"ConfigMap", "spec/volumes/configMap/name", REFS_OF_ALL},
	{"ConfigMap", "spec/containers/env/valueFrom/configMapKeyRef/name", REFS_OF_ALL},
	{"ConfigMap", "spec/initContainers/env/valueFrom/configMapKeyRef/name", REFS_OF_ALL},
	{"ConfigMap", "spec/containers/envFrom/configMapRef/name", REFS_OF_ALL},
	{"ConfigMap", "spec/initContainers/envFrom/configMapRef/name", REFS_OF_ALL},
	{"ConfigMap", "spec/volumes/projected/sources/configMap/name", REFS_OF_ALL},
	{"Secret", "spec/volumes/secret/secretName", REFS_OF_ALL},
	{"Secret", "spec/containers/env/valueFrom/secretKeyRef/name", REFS_OF_ALL},
	{"Secret", "spec/initContainers/env/valueFrom/secretKeyRef/name", REFS_OF_ALL},
	{"Secret", "spec/containers/envFrom/secretRef/name", REFS_OF_ALL},
	{"Secret", "spec/initContainers/envFrom/secretRef/name", REFS_OF_ALL},
	{"Secret", "spec/imagePullSecrets/name", REFS_OF_ALL},
	{"Secret", "spec/volumes/projected/sources/secret/name", REFS_OF_ALL},
	{"ServiceAccount", "spec/serviceAccountName", REFS_OF_MOST},
	{"PersistentVolumeClaim", "spec/volumes/persistentVolumeClaim/claimName", REFS_OF_MOST},
	{"PriorityClass", "spec/priorityClassName", REFS_OF_MOST},
	{NULL, NULL, 0},
};

#define RBAC "rbac.authorization.k8s.io"
#define NGINX "metadata/annotations/nginx.ingress.kubernetes.io\\/"
#define ADMISSION "admissionregistration.k8s.io"

/* Kinds that are referred to. IngressClass isn't among them: kustomize's own row for it has its
 * group wrong, so that it never fixes those names, and nor do we. */
const struct kreftarget kreftargets[] = {
	{"", "", "Deployment"},
	{"", "", "ReplicationController"},
	{"", "", "ReplicaSet"},
	{"", "", "StatefulSet"},
	{"", "v1", "ConfigMap"},
	{"", "v1", "Secret"},
	{"", "v1", "Service"},
	{RBAC, "", "Role"},
	{RBAC, "", "ClusterRole"},
	{"", "v1", "ServiceAccount"},
	{"", "v1", "PersistentVolumeClaim"},
	{"", "v1", "PersistentVolume"},
	{"storage.k8s.io", "v1", "StorageClass"},
	{"scheduling.k8s.io", "v1", "PriorityClass"},
	{ADMISSION, "", "ValidatingAdmissionPolicy"},
	{NULL, NULL, NULL},
};

const struct krefrow krefrows[] = {
	{"Deployment", "", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
	{"ReplicationController", "", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
	{"ReplicaSet", "", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
	{"StatefulSet", "", "", "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"},
	{"ConfigMap", "", "", "Node", "spec/configSource/configMap"},
	{"ConfigMap", "", "", "Role", "rules/resourceNames"},
	{"ConfigMap", "", "", "ClusterRole", "rules/resourceNames"},
	{"ConfigMap", "", "", "Ingress", NGINX "fastcgi-params-configmap"},
	{"Secret", "", "", "Ingress", "spec/tls/secretName"},
	{"Secret", "", "", "Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret"},
	{"Secret", "", "", "Ingress", NGINX "auth-secret"},
	{"Secret", "", "", "Ingress", NGINX "auth-tls-secret"},
	{"Secret", "", "", "ServiceAccount", "imagePullSecrets/name"},
	{"Secret", "", "", "StorageClass", "parameters/secretName"},
	{"Secret", "", "", "StorageClass", "parameters/adminSecretName"},
	{"Secret", "", "", "StorageClass", "parameters/userSecretName"},
	{"Secret", "", "", "StorageClass", "parameters/secretRef"},
	{"Secret", "", "", "Role", "rules/resourceNames"},
	{"Secret", "", "", "ClusterRole", "rules/resourceNames"},
	{"Secret", "serving.knative.dev", "v1", "Service",
	 "spec/template/spec/containers/env/valueFrom/secretKeyRef/name"},
	{"Secret", "", "", "PersistentVolume", "spec/azureFile/secretName"},
	{"Service", "apps", "", "StatefulSet", "spec/serviceName"},
	{"Service", "", "", "Ingress", "spec/rules/http/paths/backend/serviceName"},
	{"Service", "", "", "Ingress", "spec/backend/serviceName"},
	{"Service", "", "", "Ingress", "spec/rules/http/paths/backend/service/name"},
	{"Service", "", "", "Ingress", "spec/defaultBackend/service/name"},
	{"Service", "apiregistration.k8s.io", "", "APIService", "spec/service/name"},
	{"Service", ADMISSION, "", "ValidatingWebhookConfiguration",
	 "webhooks/clientConfig/service"},
	{"Service", ADMISSION, "", "MutatingWebhookConfiguration", "webhooks/clientConfig/service"},
	{"Role", RBAC, "", "RoleBinding", "roleRef/name"},
	{"ClusterRole", RBAC, "", "RoleBinding", "roleRef/name"},
	{"ClusterRole", RBAC, "", "ClusterRoleBinding", "roleRef/name"},
	{"ServiceAccount", RBAC, "", "RoleBinding", "subjects"},
	{"ServiceAccount", RBAC, "", "ClusterRoleBinding", "subjects"},
	{"PersistentVolume", "", "", "PersistentVolumeClaim", "spec/volumeName"},
	{"PersistentVolume", "", "", "ClusterRole", "rules/resourceNames"},
	{"StorageClass", "", "", "PersistentVolume", "spec/storageClassName"},
	{"StorageClass", "", "", "PersistentVolumeClaim", "spec/storageClassName"},
	{"StorageClass", "", "", "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"},
	{"ValidatingAdmissionPolicy", ADMISSION, "", "ValidatingAdmissionPolicyBinding",
	 "spec/policyName"},
	{NULL, NULL, NULL, NULL, NULL},
};

#define AFFINITY "spec/template/spec/affinity/"
#define PREFERRED                                                                                  \
	"preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/labelSelector/"           \
	"matchLabels"
#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution/labelSelector/matchLabels"
#define SPREAD "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels"
#define JOB_TEMPLATE "spec/jobTemplate/spec/template/metadata/"
#define NETWORK "networking.k8s.io"

const struct kspecrow klabel_selectors[] = {
	{"", "v1", "Service", "spec/selector", true},
	{"", "v1", "ReplicationController", "spec/selector", true},
	{"", "", "Deployment", "spec/selector/matchLabels", true},
	{"apps", "", "Deployment", AFFINITY "podAffinity/" PREFERRED, false},
	{"apps", "", "Deployment", AFFINITY "podAffinity/" REQUIRED, false},
	{"apps", "", "Deployment", AFFINITY "podAntiAffinity/" PREFERRED, false},
	{"apps", "", "Deployment", AFFINITY "podAntiAffinity/" REQUIRED, false},
	{"apps", "", "Deployment", SPREAD, false},
	{"", "", "ReplicaSet", "spec/selector/matchLabels", true},
	{"", "", "DaemonSet", "spec/selector/matchLabels", true},
	{"apps", "", "StatefulSet", "spec/selector/matchLabels", true},
	{"apps", "", "StatefulSet", AFFINITY "podAffinity/" PREFERRED, false},
	{"apps", "", "StatefulSet", AFFINITY "podAffinity/" REQUIRED, false},
	{"apps", "", "StatefulSet", AFFINITY "podAntiAffinity/" PREFERRED, false},
	{"apps", "", "StatefulSet", AFFINITY "podAntiAffinity/" REQUIRED, false},
	{"apps", "", "StatefulSet", SPREAD, false},
	{"batch", "", "Job", "spec/selector/matchLabels", false},
	{"batch", "", "CronJob", "spec/jobTemplate/spec/selector/matchLabels", false},
	{"policy", "", "PodDisruptionBudget", "spec/selector/matchLabels", false},
	{NETWORK, "", "NetworkPolicy", "spec/podSelector/matchLabels", false},
	{NETWORK, "", "NetworkPolicy", "spec/ingress/from/podSelector/matchLabels", false},
	{NETWORK, "", "NetworkPolicy", "spec/egress/to/podSelector/matchLabels", false},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow klabel_templates[] = {
	{"", "", "", "metadata/labels", true},
	{"", "v1", "ReplicationController", "spec/template/metadata/labels", true},
	{"", "", "Deployment", "spec/template/metadata/labels", true},
	{"", "", "ReplicaSet", "spec/template/metadata/labels", true},
	{"", "", "DaemonSet", "spec/template/metadata/labels", true},
	{"apps", "", "StatefulSet", "spec/template/metadata/labels", true},
	{"apps", "", "StatefulSet", "spec/volumeClaimTemplates[]/metadata/labels", true},
	{"batch", "", "Job", "spec/template/metadata/labels", true},
	{"batch", "", "CronJob", "spec/jobTemplate/metadata/labels", true},
	{"batch", "", "CronJob", JOB_TEMPLATE "labels", true},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow kannotations[] = {
	{"", "", "", "metadata/annotations", true},
	{"", "v1", "ReplicationController", "spec/template/metadata/annotations", true},
	{"", "", "Deployment", "spec/template/metadata/annotations", true},
	{"", "", "ReplicaSet", "spec/template/metadata/annotations", true},
	{"", "", "DaemonSet", "spec/template/metadata/annotations", true},
	{"", "", "StatefulSet", "spec/template/metadata/annotations", true},
	{"batch", "", "Job", "spec/template/metadata/annotations", true},
	{"batch", "", "CronJob", "spec/jobTemplate/metadata/annotations", true},
	{"batch", "", "CronJob", JOB_TEMPLATE "annotations", true},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow kimages[] = {
	{"", "", "", "spec/containers[]/image", true},
	{"", "", "", "spec/initContainers[]/image", true},
	{"", "", "", "spec/template/spec/containers[]/image", true},
	{"", "", "", "spec/template/spec/initContainers[]/image", true},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow kreplicas[] = {
	{"", "", "Deployment", "spec/replicas", true},
	{"", "", "ReplicationController", "spec/replicas", true},
	{"", "", "ReplicaSet", "spec/replicas", true},
	{"", "", "StatefulSet", "spec/replicas", true},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow knamespaces[] = {
	{"", "", "Namespace", "metadata/name", true},
	{"apiregistration.k8s.io", "", "APIService", "spec/service/namespace", true},
	{"apiextensions.k8s.io", "", "CustomResourceDefinition",
	 "spec/conversion/webhook/clientConfig/service/namespace", false},
	{NULL, NULL, NULL, NULL, false},
};

const struct kspecrow knames[] = {
	{"", "", "", "metadata/name", false},
	{NULL, NULL, NULL, NULL, false},
};
