#!/bin/bash
# CEL as kubectl meets it: ValidatingAdmissionPolicies with bindings and parameters, validation rules
# of CustomResourceDefinitions, and what is refused when it is written. No root needed.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "policies" "needs kubectl"
start --nodes 0
says() {
	local want=$1 out; shift
	out=$("$@" 2>&1)
	case $out in *"$want"*) return 0;; esac
	printf '%s\n' "$out" "lacks: $want"; return 1
}
refused() { local want=$1; shift; ! "$@" >"$work/refused" 2>&1 && grep -qF -- "$want" "$work/refused" || { cat "$work/refused"; return 1; }; }
apply() { k apply -f "$1"; }
deploy() { k create deployment "$1" --image=x --replicas="$2" "${@:3}"; }

# ---- a policy with a binding ----
cat >"$work/policy.yaml" <<'Y'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas.example.com}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments, deployments/scale]}
  matchConditions:
  - {name: not-exempt, expression: "!has(object.metadata.labels) || !('exempt' in object.metadata.labels)"}
  variables:
  - {name: max, expression: "int(params.data.max)"}
  validations:
  - expression: "object.spec.replicas <= variables.max"
    messageExpression: "'at most ' + string(variables.max) + ' in ' + namespaceObject.metadata.name + ', not ' + string(object.spec.replicas)"
  - expression: "object.metadata.name != 'evil' || request.operation == 'UPDATE'"
    reason: Forbidden
Y
cat >"$work/binding.yaml" <<'Y'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas-default}
spec:
  policyName: replicas.example.com
  validationActions: [Deny]
  paramRef: {name: limits, namespace: default, parameterNotFoundAction: Deny}
  matchResources:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
Y
denied="ValidatingAdmissionPolicy 'replicas.example.com' with binding 'replicas-default' denied request: "
ok "a policy is made" apply "$work/policy.yaml"
ok "its status says that it was looked at" soon 5 says '{"observedGeneration":1,"typeChecking":{}}' \
	k get validatingadmissionpolicy replicas.example.com -o 'jsonpath={.status}'
ok "without a binding it does nothing" deploy before 9
ok "a binding is made" apply "$work/binding.yaml"
ok "parameters that are missing are a refusal" refused \
	"${denied}failed to configure binding: no params found for policy binding with \`Deny\` parameterNotFoundAction" deploy a 1
k create configmap limits --from-literal=max=3 >/dev/null
ok "what is within bounds comes in" deploy a 2
ok "what is not doesn't, and hears why" refused "${denied}at most 3 in default, not 5" deploy b 5
ok "without a message the expression is told" refused \
	"${denied}failed expression: object.metadata.name != 'evil' || request.operation == 'UPDATE'" deploy evil 1
ok "updates are held to it" refused "${denied}at most 3 in default, not 7" k patch deployment a -p '{"spec":{"replicas":7}}'
ok "and scaling" refused "${denied}at most 3 in default, not 8" k scale deployment a --replicas=8
ok "scaling within bounds works" k scale deployment a --replicas=3
ok "other namespaces are nobody's business" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig create namespace o && \
	$KUBECTL --kubeconfig $data/admin.kubeconfig create deployment b -n o --image=x --replicas=9"
ok "a condition lets some through" says created k apply -f - <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata: {name: e, labels: {exempt: "yes"}}
spec: {replicas: 9, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}}
Y
k create configmap limits --from-literal=max=many --dry-run=client -o yaml | k replace -f - >/dev/null
ok "an expression that fails is a refusal" refused "resulted in error: type conversion error" deploy c 1
k patch validatingadmissionpolicy replicas.example.com --type=merge -p '{"spec":{"failurePolicy":"Ignore"}}' >/dev/null
ok "unless failures are ignored" deploy c 1
k create configmap limits --from-literal=max=3 --dry-run=client -o yaml | k replace -f - >/dev/null
k patch validatingadmissionpolicybinding replicas-default --type=merge -p '{"spec":{"validationActions":["Warn"]}}' >/dev/null
ok "a binding may only warn" says \
	"Warning: Validation failed for ValidatingAdmissionPolicy 'replicas.example.com' with binding 'replicas-default': at most 3 in default, not 5" deploy d 5
ok "and what is warned of is there" k get deployment d
k patch validatingadmissionpolicybinding replicas-default --type=merge -p '{"spec":{"validationActions":["Deny"]}}' >/dev/null
ok "a policy that is gone holds nobody" k delete validatingadmissionpolicy replicas.example.com
ok "so anything comes in" deploy b 50

# ---- what is refused when it is written ----
bad() { sed "$1" "$work/policy.yaml" | k apply -f -; }
ok "an unknown name is refused" refused "spec.validations[0].expression: Invalid value: \"objct.spec.replicas <= variables.max\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'objct' (in container '')" \
	bad 's/"object.spec.replicas/"objct.spec.replicas/'
ok "an unknown variable is refused" refused "undefined field 'min'" bad 's/<= variables.max/<= variables.min/'
ok "what is no condition is refused" refused "must evaluate to a bool" bad 's/object.spec.replicas <= variables.max/1 + 1/'
ok "half an expression is refused" refused "Syntax error" bad 's/int(params.data.max)/int(params.data.max/'

# ---- who may do more ----
cat >"$work/owner.yaml" <<'Y'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: owner}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE, DELETE], resources: [configmaps]}
  validations:
  - expression: "authorizer.group('').resource('secrets').namespace('default').check('create').allowed()"
    message: only for those who may make Secrets
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: owner}
spec: {policyName: owner, validationActions: [Deny]}
Y
k create role cm --verb=create,delete,get --resource=configmaps >/dev/null
k create rolebinding cm --role=cm --user=eve >/dev/null
ok "a policy asks what else one may do" apply "$work/owner.yaml"
ok "who may not is refused" refused "denied request: only for those who may make Secrets" k create configmap x --as=eve
ok "who may comes in" k create configmap x
ok "deleting is asked about, too" refused "denied request: only for those" k delete configmap x --as=eve
k delete validatingadmissionpolicybinding owner >/dev/null

# ---- rules of custom resources ----
cat >"$work/crd.yaml" <<'Y'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: shops.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: shops, kind: Shop}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: "self.min <= self.max", message: "min must not be above max"}
            - {rule: "self.kind == oldSelf.kind", messageExpression: "'kind is ' + oldSelf.kind + ' for ever'", fieldPath: .kind}
            properties:
              min: {type: integer}
              max: {type: integer}
              kind: {type: string, default: small}
Y
shop() { printf 'apiVersion: example.com/v1\nkind: Shop\nmetadata: {name: a}\nspec: {min: %s, max: %s, kind: %s}\n' "$@" | k apply -f -; }
ok "a definition with rules is made" apply "$work/crd.yaml"
k wait --for=condition=Established crd/shops.example.com >/dev/null
wrong() { sed 's/self.min <=/self.mim <=/' "$work/crd.yaml" | k apply -f -; }
ok "a rule about what doesn't exist is refused" refused "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule: Invalid value: apiextensions.ValidationRule{" wrong
ok "… with the place" grep -qF "compilation failed: ERROR: <input>:1:5: undefined field 'mim'" "$work/refused"
ok "an object that breaks a rule is refused" refused 'spec: Invalid value: "object": min must not be above max' shop 3 2 small
ok "one that keeps it comes in" shop 1 2 small
ok "changes are judged by what was there" refused 'spec.kind: Invalid value: "object": kind is small for ever' shop 1 2 large
ok "and others come in" shop 2 2 small

finish
