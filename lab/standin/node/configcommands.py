"""kubeadm config: images list and pull, validate, print defaults."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import json

import yaml

from . import config as settings
from . import (
    cri,
    documents,
    images,
)
from .common import MINOR, Fatal, Obj, say
from .flags import Flags, output


def _image_config(flags: Flags) -> settings.Config:
    if "config" in flags:
        return settings.load_init(flags["config"])
    chosen = {"kubernetesVersion": flags.get("kubernetes-version", "")}
    if "image-repository" in flags:
        chosen["imageRepository"] = flags["image-repository"]
    return settings.with_defaults(
        {
            "ClusterConfiguration": dict(chosen),
            "InitConfiguration": {"localAPIEndpoint": {"advertiseAddress": "1.2.3.4"}},
        }
    )


def images_list(_: list[str], flags: Flags) -> None:
    """kubeadm config images list"""
    listed = images.wanted(_image_config(flags).cluster)
    if output(flags, "json", "yaml") == "json":
        say(
            json.dumps(
                {
                    "kind": "Images",
                    "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
                    "images": listed,
                },
                indent=4,
            )
        )
    else:
        say("\n".join(listed))


def images_pull(_: list[str], flags: Flags) -> None:
    """
    kubeadm config images pull: nothing is fetched that is there already, as with the real one's
    runtime.
    """
    config = _image_config(flags)
    runtime = cri.Runtime(flags.get("cri-socket") or config.init["nodeRegistration"]["criSocket"])
    try:
        runtime.version()
        for image in images.wanted(config.cluster):
            if not runtime.has_image(image):
                images.pull(runtime, image)
            say(f"[config/images] Pulled {image}")
    except cri.CriError as error:
        raise Fatal(
            f"could not connect to the container runtime: failed to create new CRI runtime service: {error}"
        ) from None


def config_validate(_: list[str], flags: Flags) -> None:
    """kubeadm config validate"""
    if "config" not in flags:
        raise Fatal("the --config flag is mandatory")
    found = documents.decode(documents.read(flags["config"]))
    if found.keys() & {"InitConfiguration", "ClusterConfiguration"}:
        settings.with_defaults(found)
    if "JoinConfiguration" in found:
        settings.join_defaults(found["JoinConfiguration"])
    say("ok")


def _printed(*several: Obj) -> None:
    print("---\n".join(yaml.safe_dump(one) for one in several), end="", flush=True)


def print_init(_: list[str], __: Flags) -> None:
    """kubeadm config print init-defaults"""
    config = settings.with_defaults(
        {
            "InitConfiguration": {
                "localAPIEndpoint": {"advertiseAddress": "1.2.3.4"},
                "nodeRegistration": {"name": "node"},
            },
            "ClusterConfiguration": {"kubernetesVersion": f"v1.{MINOR}.0"},
        },
        "abcdef.0123456789abcdef",
    )
    head = {"apiVersion": "kubeadm.k8s.io/v1beta4"}
    config.init["nodeRegistration"]["taints"] = None
    cluster = {
        name: one
        for name, one in config.cluster.items()
        if name not in ("controlPlaneEndpoint", "featureGates")
    }
    cluster["networking"].pop("podSubnet")
    cluster["kubernetesVersion"] = f"1.{MINOR}.0"
    _printed(
        head | {"kind": "InitConfiguration"} | config.init,
        head | {"kind": "ClusterConfiguration"} | cluster,
    )


def print_join(_: list[str], __: Flags) -> None:
    """kubeadm config print join-defaults"""
    given = {
        "apiServerEndpoint": "kube-apiserver:6443",
        "token": "abcdef.0123456789abcdef",
        "unsafeSkipCAVerification": True,
    }
    document = settings.join_defaults({"discovery": {"bootstrapToken": given}})
    document["nodeRegistration"]["taints"] = None
    _printed({"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration"} | document)
