"""usage: run.py [--quiet] KUBECONFIG [MODULE | GROUP | KIND]… or run.py --modules

The checks of the modules beside this one, as TAP without a plan; --quiet shows what fails alone.
"""
import importlib
import sys

from client import Api, Tap, run

MODULES = ["kinds", "machinery", "extension", "access", "workloads"]


def main():
    args = sys.argv[1:]
    if args == ["--modules"]:
        print(" ".join(MODULES))
        return
    if args[0] == "--quiet":
        Tap.quiet = bool(args.pop(0))
    api, wanted, todo = Api(args[0]), set(args[1:]), []
    for name in MODULES:
        module, ns = importlib.import_module(name), "e2e-" + name
        groups = [(f, a) for f, a in module.groups(api, ns)
                  if not wanted or name in wanted or f.__name__ in wanted or set(map(str, a)) & wanted]
        if groups:
            api.post("/api/v1/namespaces", {"metadata": {"name": ns}})
        todo += groups
    run(todo)
    print("# %d checks, %d failed" % (Tap.count, Tap.bad))
    sys.exit(1 if Tap.bad or not Tap.count else 0)


main()
