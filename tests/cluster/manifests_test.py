"""The manifests, at a real API server: manifests_test.py BIN_DIR NAME."""

import subprocess

from control_plane import Api
from world import MANIFESTS, NAMESPACE, check, collection, documents, main

CONTROLLER_REVISIONS = {"policy/v1": "policy/v1beta1"}  # Before 1.21.


def resources(folder):
    """Of a kustomization, with those that it is built on."""
    found = []
    names = documents(folder / "kustomization.yaml")[0]["resources"]
    for name in names:
        path = (folder / name).resolve()
        found += resources(path) if path.is_dir() else documents(path)
    return found


def every_file_is_used(folder, others=()):
    listed = documents(folder / "kustomization.yaml")[0]["resources"]
    files = sorted(file.name for file in folder.glob("*.yaml"))
    check(files == sorted([name for name in listed if name.endswith(".yaml")]
                          + ["kustomization.yaml", *others]), f"{folder}: {files}, {listed}")


def the_manifests_are_taken(world):
    every_file_is_used(MANIFESTS / "base")
    every_file_is_used(MANIFESTS / "example", ["pool.yaml"])
    groups = {group["name"]: [version["groupVersion"] for version in group["versions"]]
              for group in world.admin.get("/apis")["groups"]}
    taken = []
    for one in resources(MANIFESTS / "example"):
        group = one["apiVersion"]
        if "/" in group and group not in groups[group.partition("/")[0]]:
            world.say(f"this cluster has no {group}: tried as {CONTROLLER_REVISIONS[group]}")
            one["apiVersion"] = CONTROLLER_REVISIONS[group]
        prefix, plural = collection(one["kind"])
        prefix = f"/apis/{one['apiVersion']}" if "/" in group else prefix
        # What the world has made already must be the same but for its name.
        one["metadata"]["name"] += "-tried"
        place = "" if one["kind"] == "Namespace" else f"/namespaces/{NAMESPACE}"
        for subject in one.get("subjects", []):
            subject["namespace"] = NAMESPACE
        world.admin.must("POST", f"{prefix}{place}/{plural}?dryRun=All", one)
        taken.append(one["kind"])
    check({"StatefulSet", "PodDisruptionBudget", "NetworkPolicy", "Role"} <= set(taken), taken)
    world.say(f"taken: {', '.join(taken)}")


def the_configuration_is_good(world):
    """With certificates in place of those of a Secret."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=world.directory)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "tls.key", "-out",
            "tls.crt", "-days", "1", "-subj", "/CN=shadowd")
    (world.directory / "tls.key").chmod(0o600)
    (world.directory / "ca.crt").write_text((world.directory / "tls.crt").read_text())
    text = documents(MANIFESTS / "base" / "config.yaml")[0]["data"]["shadowd.textproto"]
    file = world.directory / "shadowd.textproto"
    file.write_text(text.replace("/etc/shadowd-tls", str(world.directory)))
    done = subprocess.run([world.binaries / "shadowd", "--config", file, "--check-config"],
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)


def the_rights_are_few(world):
    own = Api(world.cluster.port, world.cluster.ca_file, world.token_file.read_text())

    def may(method, path, body=None):
        return own.call(method, path, body)[0] != 403
    lease = {"metadata": {"name": "shadowd"}, "spec": {}}
    check(may("POST", world.path("Lease"), lease), "it cannot make its Lease")
    check(may("GET", world.path("Lease", "shadowd")), "it cannot read its Lease")
    check(may("GET", world.path("Pod")), "it cannot list pods")
    for method, path in [
            ("GET", world.path("Lease", "another")), ("GET", world.path("Lease")),
            ("DELETE", world.path("Lease", "shadowd")), ("GET", world.path("Secret")),
            ("GET", world.path("ConfigMap")), ("GET", world.path("Deployment")),
            ("DELETE", world.path("Deployment", "web")), ("GET", "/api/v1/pods"),
            ("GET", "/api/v1/namespaces/default/pods"), ("GET", "/api/v1/nodes"),
            ("DELETE", world.path("Pod")), ("GET", world.path("Role")),
            ("POST", world.path("Pod", "web") + "/exec")]:
        check(not may(method, path), f"it may {method} {path}")
    for one in documents(MANIFESTS / "base" / "rbac.yaml"):
        for rule in one.get("rules", []):
            check("*" not in str(rule), f"a wildcard in {rule}")


def manifests(world):
    the_manifests_are_taken(world)
    the_configuration_is_good(world)
    the_rights_are_few(world)


if __name__ == "__main__":
    main({"the manifests are taken, and their rights are few": manifests})
