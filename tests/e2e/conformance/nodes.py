"""Nodes without machines: Node objects that are kept alive, and pods on them that run by being said to.

What a pod's annotation "fake" says: "pending" never gets ready, "succeed" and "fail" end at once, "linger" stays when it is
deleted until it is let go. An image that begins with "bad" never gets ready either.
"""
import threading
import time

from client import STRATEGIC, dig

ROOM = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def container_statuses(pod, state, ready):
    return [{"name": c["name"], "image": c["image"], "imageID": "i", "restartCount": 0, "ready": ready, "state": state}
            for c in pod["spec"]["containers"]]


class Nodes:
    def __init__(self, api, names, labels=None, room=None):
        self.api, self.names, self.over, self.ip = api, set(names), False, 0
        for name in names:
            api.post("/api/v1/nodes", {"metadata": {"name": name, "labels": dict({"kubernetes.io/hostname": name},
                                                                                **(labels or {}).get(name, {}))}})
            api.post("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", {"metadata": {"name": name}})
            room_of = dict(ROOM, **(room or {}))
            api.patch("/api/v1/nodes/%s/status" % name, {"status": {
                "capacity": room_of, "allocatable": room_of,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now(),
                                "lastTransitionTime": now()}]}})
        for work in (self.live, self.run):
            threading.Thread(target=work, daemon=True).start()

    def live(self):
        while not self.over:
            for name in self.names:
                self.api.patch("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/" + name,
                               {"spec": {"renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}})
            time.sleep(5)

    def run(self):
        while not self.over:
            watch = self.api.watch("/api/v1/pods", timeoutSeconds="600")
            while not self.over:
                event = watch.next(60)
                if event is None:
                    break
                if event["type"] in ("ADDED", "MODIFIED"):
                    self.look(event["object"])
            watch.close()

    def look(self, pod):
        meta, said = pod["metadata"], dig(pod, "metadata.annotations.fake") or ""
        path = "/api/v1/namespaces/%s/pods/%s" % (meta["namespace"], meta["name"])
        if dig(pod, "spec.nodeName") not in self.names:
            return
        if meta.get("deletionTimestamp"):
            if said != "linger" and not meta.get("deletionGracePeriodSeconds") == 0:
                self.api.delete(path, {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
            return
        if dig(pod, "status.phase") != "Pending" or said == "pending":
            return
        self.say(path, pod, {"succeed": "Succeeded", "fail": "Failed"}.get(said, "Running"))

    def say(self, path, pod, phase):
        ready = phase == "Running" and not pod["spec"]["containers"][0]["image"].startswith("bad")
        if phase == "Running" and not ready:
            return
        state = {"running": {"startedAt": now()}} if phase == "Running" else {
            "terminated": {"exitCode": 0 if phase == "Succeeded" else 1, "finishedAt": now()}}
        self.ip += 1
        self.api.patch(path + "/status", {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {
            "phase": phase, "podIP": "10.9.%d.%d" % (self.ip >> 8, self.ip & 255), "startTime": now(),
            "podIPs": [{"ip": "10.9.%d.%d" % (self.ip >> 8, self.ip & 255)}],
            "containerStatuses": container_statuses(pod, state, ready),
            "conditions": [{"type": t, "status": "True" if ready else "False", "lastTransitionTime": now()}
                           for t in ("Ready", "ContainersReady")]}}, STRATEGIC)

    def stop(self):
        self.over = True


def end_pod(api, pod, phase, code=0):
    """The pod's containers have ended."""
    meta = pod["metadata"]
    return api.patch("/api/v1/namespaces/%s/pods/%s/status" % (meta["namespace"], meta["name"]), {"status": {
        "phase": phase, "containerStatuses": container_statuses(
            pod, {"terminated": {"exitCode": code, "finishedAt": now()}}, False),
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now()}]}}, STRATEGIC)
