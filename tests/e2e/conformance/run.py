"""usage: run.py [--quiet] [--nodes] KUBECONFIG [MODULE | GROUP | KIND]… or run.py [--nodes] --modules

The checks of the modules beside this one, as TAP without a plan; --quiet shows what fails alone. With --nodes those that
play nodes, which want a cluster without others.
"""
import importlib
import sys

from client import Api, Tap, namespace, run

MODULES = ["kinds", "machinery", "extension", "access", "workloads", "details", "admission"]
WITH_NODES = ["controllers", "scheduling"]


def main():
    args = sys.argv[1:]
    modules = WITH_NODES if "--nodes" in args else MODULES
    Tap.quiet = "--quiet" in args
    if "--modules" in args:
        print(" ".join(modules))
        return
    args = [a for a in args if not a.startswith("--")]
    api, wanted, todo = Api(args[0]), set(args[1:]), []
    for name in [m for m in modules if not wanted & set(modules) or m in wanted]:
        module, ns = importlib.import_module(name), "e2e-" + name
        groups = [(f, a) for f, a in module.groups(api, ns)
                  if not wanted or name in wanted or f.__name__ in wanted or set(map(str, a)) & wanted]
        if groups:
            namespace(api, ns)
        todo += groups
    run(todo)
    print("# %d checks, %d failed" % (Tap.count, Tap.bad))
    sys.exit(1 if Tap.bad or not Tap.count else 0)


main()
