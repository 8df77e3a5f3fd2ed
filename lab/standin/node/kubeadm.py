"""The command line of the stand-in kubeadm."""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

import yaml

from . import (
    addons,
    certs,
    documents,
    init,
    join,
    nodephases,
    preflight,
    reset,
    tokens,
)
from . import config as settings
from .common import MAJOR, MINOR, NUMBER, VERSION, Fatal, Obj, quote, run_main, say
from .configcommands import config_validate, images_list, images_pull, print_init, print_join
from .flags import Flags, no_mixing, parse


@dataclass(frozen=True)
class Command:
    """
    A command.

    + run: called with the arguments and flags
    + flags: the long flags it knows, besides --v and --help
    """

    run: Callable[[list[str], Flags], None]
    flags: str = ""


def init_config(flags: Flags) -> settings.Config:
    """From --config, or from flags."""
    no_mixing(flags)
    if "config" in flags:
        return settings.load_init(flags["config"], addons.new_token())
    point = {"advertiseAddress": flags.get("apiserver-advertise-address", "")}
    cluster: Obj = {"networking": {}}
    for flag, name in (
        ("kubernetes-version", "kubernetesVersion"),
        ("control-plane-endpoint", "controlPlaneEndpoint"),
        ("image-repository", "imageRepository"),
    ):
        if flag in flags:
            cluster[name] = flags[flag]
    for flag, name in (
        ("pod-network-cidr", "podSubnet"),
        ("service-cidr", "serviceSubnet"),
        ("service-dns-domain", "dnsDomain"),
    ):
        if flag in flags:
            cluster["networking"][name] = flags[flag]
    if "apiserver-cert-extra-sans" in flags:
        cluster["apiServer"] = {"certSANs": flags["apiserver-cert-extra-sans"].split(",")}
    documents = {
        "InitConfiguration": {"localAPIEndpoint": point, "nodeRegistration": _registration(flags)},
        "ClusterConfiguration": cluster,
    }
    return settings.with_defaults(documents, flags.get("token") or addons.new_token())


def _registration(flags: Flags) -> Obj:
    found = {"name": flags.get("node-name"), "criSocket": flags.get("cri-socket")}
    return {name: value for name, value in found.items() if value}


def _no_dry_run(flags: Flags) -> None:
    if "dry-run" in flags:
        raise Fatal("the stand-in has no --dry-run")


def do_init(arguments: list[str], flags: Flags) -> None:
    """kubeadm init [phase NAME [SUB]]"""
    _no_dry_run(flags)
    if arguments and arguments[0] != "phase":
        raise Fatal(f'unknown command {quote(arguments[0])} for "kubeadm init"')
    config = init_config(flags)
    ignored = preflight.ignored(
        flags.get("ignore-preflight-errors", ""),
        config.init["nodeRegistration"].get("ignorePreflightErrors"),
    )
    skipped = (
        flags.get("skip-phases", "").split(",")
        if "skip-phases" in flags
        else config.init.get("skipPhases") or []
    )
    run = nodephases.Run(config, ignored, set(skipped))
    if not arguments:
        init.all_phases(run)
    elif len(arguments) == 1:
        raise Fatal("missing phase: kubeadm init phase NAME")
    else:
        init.phase(run, arguments[1], arguments[2] if len(arguments) > 2 else "")


def do_join(arguments: list[str], flags: Flags) -> None:
    """kubeadm join"""
    _no_dry_run(flags)
    no_mixing({name: value for name, value in flags.items() if name != "token"})
    if "control-plane" in flags:
        raise Fatal("the stand-in has one control-plane node only: it can't join a second one")
    if "config" in flags:
        wanted = settings.load_join(flags["config"])
    else:
        hashes = [one for one in flags.get("discovery-token-ca-cert-hash", "").split(",") if one]
        unsafe = "discovery-token-unsafe-skip-ca-verification" in flags
        token = flags.get("token") or flags.get("discovery-token", "")
        wanted = join.from_flags(
            arguments[0] if arguments else "", token, hashes, unsafe, _registration(flags)
        )
    listed = wanted["nodeRegistration"].get("ignorePreflightErrors")
    join.run(wanted, preflight.ignored(flags.get("ignore-preflight-errors", ""), listed))


def do_reset(_: list[str], flags: Flags) -> None:
    """kubeadm reset"""
    _no_dry_run(flags)
    force = "force" in flags
    if "config" in flags:
        document = documents.decode(documents.read(flags["config"])).get("ResetConfiguration", {})
        force = force or bool(document.get("force"))
    reset.run(force, flags.get("cert-dir", ""))


def do_version(_: list[str], flags: Flags) -> None:
    """kubeadm version"""
    chosen = flags.get("output", "")
    info = {
        "major": str(MAJOR),
        "minor": str(MINOR),
        "gitVersion": VERSION,
        "gitCommit": "stand-in",
        "gitTreeState": "clean",
        "buildDate": "2026-11-01T00:00:00Z",
        "goVersion": "none: stand-in",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
    if chosen == "short":
        say(VERSION)
    elif chosen == "json":
        say(json.dumps({"clientVersion": info}, indent=2))
    elif chosen == "yaml":
        print(yaml.safe_dump({"clientVersion": info}), end="")
    elif chosen:
        raise Fatal(f"invalid output format: {chosen}")
    else:
        say(
            f'kubeadm version: &version.Info{{Major:"{MAJOR}", Minor:"{MINOR}", GitVersion:"{VERSION}", GitCommit:"stand-in", GitTreeState:"clean", Platform:"linux/amd64"}}'
        )


INIT = "config ignore-preflight-errors skip-phases dry-run kubernetes-version pod-network-cidr service-cidr service-dns-domain apiserver-advertise-address apiserver-cert-extra-sans control-plane-endpoint image-repository node-name cri-socket token upload-certs skip-token-print"
JOIN = "config ignore-preflight-errors skip-phases dry-run token discovery-token discovery-token-ca-cert-hash discovery-token-unsafe-skip-ca-verification node-name cri-socket control-plane"
COMMANDS: dict[tuple[str, ...], Command] = {
    ("init",): Command(do_init, INIT),
    ("join",): Command(do_join, JOIN),
    ("reset",): Command(
        do_reset,
        "force config cri-socket cert-dir ignore-preflight-errors dry-run skip-phases cleanup-tmp-dir kubeconfig",
    ),
    ("version",): Command(do_version, "output"),
    ("token", "create"): Command(
        tokens.create, "config description groups ttl usages print-join-command kubeconfig"
    ),
    ("token", "list"): Command(lambda _, flags: tokens.listing(flags), "output kubeconfig"),
    ("token", "delete"): Command(tokens.delete, "kubeconfig"),
    ("token", "generate"): Command(lambda _, __: say(addons.new_token()), "kubeconfig"),
    ("certs", "check-expiration"): Command(
        lambda _, flags: certs.check_expiration(flags), "config output cert-dir kubeconfig"
    ),
    ("certs", "renew"): Command(certs.renew, "config cert-dir kubeconfig"),
    ("certs", "certificate-key"): Command(lambda _, __: certs.certificate_key()),
    ("kubeconfig", "user"): Command(
        lambda _, flags: certs.user(flags), "client-name org token validity-period config"
    ),
    ("config", "images", "list"): Command(
        images_list, "config output kubernetes-version image-repository kubeconfig feature-gates"
    ),
    ("config", "images", "pull"): Command(
        images_pull,
        "config kubernetes-version image-repository cri-socket kubeconfig feature-gates",
    ),
    ("config", "validate"): Command(config_validate, "config kubeconfig"),
    ("config", "print", "init-defaults"): Command(print_init, "kubeconfig"),
    ("config", "print", "join-defaults"): Command(print_join, "kubeconfig"),
}


def main(arguments: list[str]) -> None:
    """Find the command, parse its flags, run it."""
    words = [one for one in arguments if not one.startswith("-")]
    for length in (3, 2, 1):
        chosen = tuple(words[:length])
        if chosen in COMMANDS:
            command = COMMANDS[chosen]
            break
    else:
        above = (
            " ".join(["kubeadm", *words[:-1]])
            if len(words) > 1 and any(one[:1] == (words[0],) for one in COMMANDS)
            else "kubeadm"
        )
        raise Fatal(
            f'unknown command {quote(words[-1] if above != "kubeadm" else words[0])} for "{above}"'
            if words
            else "a command is needed: init, join, reset, token, certs, config, kubeconfig, version"
        )
    plain, flags = parse(arguments, set(command.flags.split()) | {"v", "help", "rootfs"})
    if "help" in flags:
        say(
            f"stand-in kubeadm {NUMBER}: {' '.join(chosen)}\n"
            + "".join(f"      --{one}\n" for one in sorted(command.flags.split()))
        )
        return
    command.run(plain[len(chosen) :], flags)


if __name__ == "__main__":
    sys.exit(run_main(main, sys.argv[1:]))
