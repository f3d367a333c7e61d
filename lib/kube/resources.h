/* The resources that Plumb's own parts speak of, one row each: name, group, version, plural, kind,
 * namespaced. */
#ifndef PLUMB_RESOURCES_H
#define PLUMB_RESOURCES_H

#include "lib/kube/client.h"

#define RESOURCES(X)                                                                               \
	X(namespaces, "", "v1", "namespaces", "Namespace", false)                                  \
	X(nodes, "", "v1", "nodes", "Node", false)                                                 \
	X(pods, "", "v1", "pods", "Pod", true)                                                     \
	X(services, "", "v1", "services", "Service", true)                                         \
	X(endpoints, "", "v1", "endpoints", "Endpoints", true)                                     \
	X(configmaps, "", "v1", "configmaps", "ConfigMap", true)                                   \
	X(secrets, "", "v1", "secrets", "Secret", true)                                            \
	X(persistentvolumeclaims, "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim",     \
	  true)                                                                                    \
	X(persistentvolumes, "", "v1", "persistentvolumes", "PersistentVolume", false)             \
	X(serviceaccounts, "", "v1", "serviceaccounts", "ServiceAccount", true)                    \
	X(events, "", "v1", "events", "Event", true)                                               \
	X(leases, "coordination.k8s.io", "v1", "leases", "Lease", true)                            \
	X(replicationcontrollers, "", "v1", "replicationcontrollers", "ReplicationController",     \
	  true)                                                                                    \
	X(deployments, "apps", "v1", "deployments", "Deployment", true)                            \
	X(replicasets, "apps", "v1", "replicasets", "ReplicaSet", true)                            \
	X(daemonsets, "apps", "v1", "daemonsets", "DaemonSet", true)                               \
	X(horizontalpodautoscalers, "autoscaling", "v2", "horizontalpodautoscalers",               \
	  "HorizontalPodAutoscaler", true)                                                         \
	X(statefulsets, "apps", "v1", "statefulsets", "StatefulSet", true)                         \
	X(controllerrevisions, "apps", "v1", "controllerrevisions", "ControllerRevision", true)    \
	X(jobs, "batch", "v1", "jobs", "Job", true)                                                \
	X(cronjobs, "batch", "v1", "cronjobs", "CronJob", true)                                    \
	X(poddisruptionbudgets, "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget",     \
	  true)                                                                                    \
	X(endpointslices, "discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true)       \
	X(customresourcedefinitions, "apiextensions.k8s.io", "v1", "customresourcedefinitions",    \
	  "CustomResourceDefinition", false)                                                       \
	X(storageclasses, "storage.k8s.io", "v1", "storageclasses", "StorageClass", false)         \
	X(runtimeclasses, "node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", false)            \
	X(clusterroles, "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false)   \
	X(certificatesigningrequests, "certificates.k8s.io", "v1", "certificatesigningrequests",   \
	  "CertificateSigningRequest", false)                                                      \
	X(flowschemas, "flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", false)   \
	X(prioritylevelconfigurations, "flowcontrol.apiserver.k8s.io", "v1",                       \
	  "prioritylevelconfigurations", "PriorityLevelConfiguration", false)                      \
	X(gitrepositories, "source.toolkit.fluxcd.io", "v1", "gitrepositories", "GitRepository",   \
	  true)                                                                                    \
	X(ocirepositories, "source.toolkit.fluxcd.io", "v1", "ocirepositories", "OCIRepository",   \
	  true)                                                                                    \
	X(helmreleases, "helm.toolkit.fluxcd.io", "v2", "helmreleases", "HelmRelease", true)       \
	X(helmrepositories, "source.toolkit.fluxcd.io", "v1", "helmrepositories",                  \
	  "HelmRepository", true)                                                                  \
	X(helmcharts, "source.toolkit.fluxcd.io", "v1", "helmcharts", "HelmChart", true)           \
	X(buckets, "source.toolkit.fluxcd.io", "v1", "buckets", "Bucket", true)                    \
	X(imagerepositories, "image.toolkit.fluxcd.io", "v1", "imagerepositories",                 \
	  "ImageRepository", true)                                                                 \
	X(imagepolicies, "image.toolkit.fluxcd.io", "v1", "imagepolicies", "ImagePolicy", true)    \
	X(imageupdateautomations, "image.toolkit.fluxcd.io", "v1", "imageupdateautomations",       \
	  "ImageUpdateAutomation", true)                                                           \
	X(kustomizations, "kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization",  \
	  true)                                                                                    \
	X(receivers, "notification.toolkit.fluxcd.io", "v1", "receivers", "Receiver", true)        \
	X(alerts, "notification.toolkit.fluxcd.io", "v1beta3", "alerts", "Alert", true)            \
	X(providers, "notification.toolkit.fluxcd.io", "v1beta3", "providers", "Provider", true)   \
	X(sealedsecrets, "plumb.dev", "v1", "sealedsecrets", "SealedSecret", true)                 \
	X(driftreports, "plumb.dev", "v1", "driftreports", "DriftReport", true)                    \
	X(applications, "argoproj.io", "v1alpha1", "applications", "Application", true)            \
	X(appprojects, "argoproj.io", "v1alpha1", "appprojects", "AppProject", true)               \
	X(applicationsets, "argoproj.io", "v1alpha1", "applicationsets", "ApplicationSet", true)

#define X(name, ...) extern const struct resource res_##name;
RESOURCES(X)
#undef X

/* Among those above, by apiVersion and kind; NULL when it is none of them. For anything a cluster
 * may hold use lib/kube/restmap.h. */
const struct resource *resource_known(struct str api_version, struct str kind);

#endif
