#!/bin/bash
# kubectl against the API server alone: create, get, apply, patch, watch, errors. No root needed.
. "$(dirname "$0")/lib.sh"
command -v "$KUBECTL" >/dev/null || skip_all "kubectl against the API" "needs kubectl"
start --nodes 0

ok "version" k version
ok "the default namespaces exist" soon 5 k get namespace default kube-system kube-node-lease plumb-system
ok "create namespace" k create namespace shop
ok "create configmap from literals" k -n shop create configmap settings --from-literal=colour=blue
ok "get prints a table" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get configmap settings | grep -q '^settings  *1 '"
ok "get -o jsonpath" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get cm settings -o jsonpath={.data.colour})\" = blue ]"

cat >"$work/deploy.yaml" <<'Y'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: front
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: front}
  template:
    metadata:
      labels: {app: front}
    spec:
      containers:
        - name: main
          image: busybox
Y
ok "apply creates" k apply -f "$work/deploy.yaml"
ok "apply again changes nothing" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig apply -f $work/deploy.yaml | grep -q unchanged"
sed -i 's/replicas: 2/replicas: 4/' "$work/deploy.yaml"
ok "apply changes" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig apply -f $work/deploy.yaml | grep -q configured"
ok "defaults are filled in" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get deploy front -o jsonpath={.spec.strategy.rollingUpdate.maxSurge})\" = 25% ]"
ok "server-side apply conflicts name the manager" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig apply --server-side -f $work/deploy.yaml --field-manager=other 2>$work/err; grep -q 'conflict with' $work/err || [ ! -s $work/err ]"
ok "controllers make pods of it" soon 10 sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get pods --no-headers | wc -l)\" = 4 ]"
ok "without nodes pods are Pending" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get pods --no-headers | grep -q Pending"
ok "scale" k -n shop scale deployment front --replicas=1
ok "… leaves one pod" soon 10 sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get pods --no-headers | grep -vc Terminating)\" = 1 ]"
ok "label, annotate" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n shop label deploy front tier=web && $KUBECTL --kubeconfig $data/admin.kubeconfig -n shop annotate deploy front note=x"
ok "select by label" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get deploy -l tier=web -o name)\" = deployment.apps/front ]"
ok "an unknown field is refused" sh -c "sed 's/replicas/replcas/' $work/deploy.yaml | $KUBECTL --kubeconfig $data/admin.kubeconfig replace -f - 2>&1 | grep -q 'replcas'"
ok "a wrong type is refused" sh -c "! sed 's/replicas: 4/replicas: many/' $work/deploy.yaml | $KUBECTL --kubeconfig $data/admin.kubeconfig replace -f - 2>&1 | grep -q replaced"
bad='{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"bad"},"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"x"}]}}}}'
ok "what is invalid is named, with the field" sh -c "echo '$bad' | $KUBECTL --kubeconfig $data/admin.kubeconfig create --validate=false -f - 2>&1 | grep -q 'The Deployment \"bad\" is invalid: spec.replicas'"
ok "describe" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig -n shop describe deployment front | grep -q 'StrategyType:  *RollingUpdate'"
ok "explain" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig explain deployment.spec.replicas | grep -qi integer"
ok "api-resources lists our kinds" sh -c "$KUBECTL --kubeconfig $data/admin.kubeconfig api-resources | grep -q driftreports"
ok "auth can-i" sh -c "[ \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig auth can-i delete pods)\" = yes ]"
ok "edit" sh -c "EDITOR='sed -i s/tier:.web/tier:\ edge/' $KUBECTL --kubeconfig $data/admin.kubeconfig -n shop edit deployment front"
# A pod comes right behind its namespace, which has no account yet.
for i in 1 2 3 4 5; do
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: new%s}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: new%s}\nspec: {containers: [{name: c, image: x}]}\n---\n' $i $i
done >"$work/new.yaml"
ok "apply of namespaces with pods in them" k apply -f "$work/new.yaml"
ok "delete" k -n shop delete deployment front
ok "… takes its pods with it" soon 10 sh -c "[ -z \"\$($KUBECTL --kubeconfig $data/admin.kubeconfig -n shop get pods,rs --no-headers 2>/dev/null)\" ]"
ok "delete namespace" k delete namespace shop --timeout=180s
ok "… it is gone with everything in it" sh -c "! $KUBECTL --kubeconfig $data/admin.kubeconfig get namespace shop 2>/dev/null"
ok "no client certificate, no entry" sh -c "curl -sk -o /dev/null -w '%{http_code}' \$(sed -n 's/ *server: //p' $data/admin.kubeconfig)/api/v1/pods | grep -q 401"
ok "clean stop" stop
finish
