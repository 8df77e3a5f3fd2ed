"""The command line of the stand-in kubeadm."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

from . import certs, init, join, reset, tokens, upgrade
from . import config as settings
from .common import VERSION, Fatal, quote, say, text
from .containerd import CriError, Runtime
from .images import of_cluster, pull_missing


def _fail(message: str) -> NoReturn:
    raise Fatal(message)


def _image_config(options: argparse.Namespace) -> settings.Config:
    if options.config:
        return settings.load_init(options.config)
    wanted = {"kubernetesVersion": options.kubernetes_version}
    wanted["imageRepository"] = options.image_repository
    return settings.with_defaults({"ClusterConfiguration": wanted})


def images_list(options: argparse.Namespace) -> None:
    """kubeadm config images list."""
    say("\n".join(of_cluster(_image_config(options).cluster).values()))


def images_pull(options: argparse.Namespace) -> None:
    """kubeadm config images pull: fetches nothing that the node has."""
    config = _image_config(options)
    runtime = Runtime(config.init["nodeRegistration"]["criSocket"])
    try:
        for image, why in pull_missing(runtime, config.cluster):
            if why:
                raise Fatal(why)
            say(f"[config/images] Pulled {image}")
    except CriError as error:
        raise Fatal(text("no-runtime-service", why=error)) from None


INIT = "--config --upload-certs!"
IMAGES = "--config --kubernetes-version --image-repository"
# Each command's function and flags; a "!" marks a flag without a value.
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "init": (init.main, f"{INIT} --ignore-preflight-errors --skip-token-print!"),
    "init phase": (init.one_phase, INIT),
    "join": (join.main, "--config --ignore-preflight-errors"),
    "reset": (reset.main, "-f|--force!"),
    "upgrade plan": (upgrade.plan, "-o|--output --ignore-preflight-errors"),
    "upgrade apply": (upgrade.apply, "-y|--yes! --config --ignore-preflight-errors"),
    "upgrade node": (upgrade.node, "--config --ignore-preflight-errors"),
    "version": (lambda _: say(VERSION), "-o|--output"),
    "token create": (tokens.create, "--ttl"),
    "token delete": (tokens.delete, ""),
    "certs check-expiration": (certs.check_expiration, "-o|--output --config"),
    "certs renew": (certs.renew, "--config"),
    "kubeconfig user": (certs.user_kubeconfig, "--config --client-name --org"),
    "config images list": (images_list, IMAGES),
    "config images pull": (images_pull, IMAGES),
}


def main(arguments: list[str]) -> None:
    """Find the command, parse its flags, run it."""
    names = (" ".join(arguments[:length]) for length in (3, 2, 1))
    name = next((one for one in names if one in COMMANDS), "")
    if not name:
        raise Fatal(f'unknown command {quote(arguments[0] if arguments else "")} for "kubeadm"')
    run, flags = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"kubeadm {name}", allow_abbrev=False)
    parser.error = _fail  # type: ignore[method-assign]
    for flag in ["--v", *flags.split()]:
        options = flag.removesuffix("!").split("|")
        if flag.endswith("!"):
            parser.add_argument(*options, action="store_true")
        else:
            parser.add_argument(*options, default="")
    parser.add_argument("words", nargs="*")
    run(parser.parse_intermixed_args(arguments[len(name.split()) :]))


def run(arguments: list[str]) -> int:
    """Run a command, print an error as kubeadm does; return the exit status."""
    try:
        main(arguments)
    except Fatal as error:
        print(f"error: {error}", file=sys.stderr)
        print("To see the stack trace of this error execute with --v=5 or higher", file=sys.stderr)
        return 1
    return 0
