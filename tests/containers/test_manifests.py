"""Compose file and Kubernetes manifests: they name what the image has, and each other."""

import re
from pathlib import Path
from typing import Any

import yaml

from routecal.deployments.container_entry import SECRETS
from tests.test_layering import ROOT

FOLDER = ROOT / "deployments" / "containers"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
KUSTOMIZE = yaml.safe_load((FOLDER / "kubernetes" / "kustomization.yaml").read_text())
MANIFESTS = [
    one for name in KUSTOMIZE["resources"] for one in yaml.safe_load_all((FOLDER / "kubernetes" / name).read_text())
]


def pods() -> dict[str, Any]:
    """What each workload starts, by its name."""
    return {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in MANIFESTS if "template" in one["spec"]}


def test_every_service_runs_a_command_of_the_image() -> None:
    commands = {name: one["command"] for name, one in COMPOSE["services"].items() if "command" in one}
    found = {name: pod["containers"][0]["args"] for name, pod in pods().items() if "args" in pod["containers"][0]}
    assert commands == {**found, "worker-gpu": found["worker"]}
    assert commands["server"] == ["python", "-m", "routecal.deployments.patched_server"]
    assert commands["deploy"] == ["routecal", "deploy"]


def test_secrets_are_files_that_the_entry_point_reads_and_values_are_nowhere() -> None:
    for one in COMPOSE["services"].values():
        for name, value in one.get("environment", {}).items():
            assert not re.search(r"PASSWORD$|KEY$|://[^/]*:[^/]*@", f"{name}={value}".partition("=")[0])
            if name.endswith("_FILE") and name != "POSTGRES_PASSWORD_FILE":
                assert name.removesuffix("_FILE") in SECRETS
                assert Path(value).name in COMPOSE["secrets"]


def test_nothing_listens_beyond_this_machine_unless_somebody_says_so() -> None:
    ports = [port for one in COMPOSE["services"].values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert all(one["spec"].get("type", "ClusterIP") == "ClusterIP" for one in MANIFESTS if one["kind"] == "Service")


def test_what_a_pod_mounts_and_reads_is_there() -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in MANIFESTS}
    made |= {("ConfigMap", one["name"]) for one in KUSTOMIZE["configMapGenerator"]}
    for pod in pods().values():
        for volume in pod.get("volumes", ()):
            claim, config = volume.get("persistentVolumeClaim"), volume.get("configMap")
            assert (
                ("PersistentVolumeClaim", claim["claimName"]) in made
                if claim
                else ("ConfigMap", config["name"]) in made
            )
        for source in pod["containers"][0].get("envFrom", ()):
            assert "secretRef" in source or ("ConfigMap", source["configMapRef"]["name"]) in made


def test_nobody_runs_as_root_and_everything_has_bounds() -> None:
    for name, pod in pods().items():
        if name != "database":  # whose image changes its user itself
            assert pod["securityContext"]["runAsNonRoot"] is True
        assert {"requests", "limits"} <= pod["containers"][0]["resources"].keys()
    dockerfile = (FOLDER / "Dockerfile").read_text()
    assert dockerfile.rindex("\nUSER routecal\n") > dockerfile.rindex("\nFROM ")


def test_the_gpu_variant_patches_what_is_there() -> None:
    overlay = yaml.safe_load((FOLDER / "kubernetes" / "gpu" / "kustomization.yaml").read_text())
    (patch,) = overlay["patches"]
    limits, image = yaml.safe_load(patch["patch"])
    (container,) = pods()[patch["target"]["name"]]["containers"]
    assert limits["path"].startswith("/spec/template/spec/containers/0/resources/limits/")
    assert limits["value"] == 1
    assert "limits" in container["resources"]
    assert image["path"] == "/spec/template/spec/containers/0/image"
    assert COMPOSE["services"]["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == [
        "gpu"
    ]


def test_what_the_image_is_built_of_is_what_is_copied() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    sent = re.findall(r"^!(.+)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == set(sent)
    assert all((ROOT / name).exists() for name in sent)
