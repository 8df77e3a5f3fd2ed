"""Flags as Go's pflag reads them, with its words for what is wrong."""

from __future__ import annotations

from .common import Fatal

Flags = dict[str, str]


SHORT = {"o": "output", "f": "force", "h": "help", "v": "v"}


# Flags without a value; the same names take none in any command.
SWITCHES = frozenset(
    (
        "force",
        "dry-run",
        "print-join-command",
        "help",
        "discovery-token-unsafe-skip-ca-verification",
        "upload-certs",
        "skip-token-print",
        "skip-certificate-key-print",
        "control-plane",
        "allow-missing-template-keys",
        "show-managed-fields",
        "cleanup-tmp-dir",
    )
)


# What may stand beside --config.
BESIDE_CONFIG = frozenset(
    (
        "config",
        "ignore-preflight-errors",
        "skip-phases",
        "dry-run",
        "kubeconfig",
        "v",
        "output",
        "print-join-command",
        "certificate-key",
        "upload-certs",
        "skip-token-print",
        "skip-certificate-key-print",
        "node-name",
        "cri-socket",
        "patches",
        "force",
        "token",
    )
)


def parse(arguments: list[str], known: set[str]) -> tuple[list[str], Flags]:
    """(arguments, flags); Fatal in the words of Go's pflag."""
    plain: list[str] = []
    flags: Flags = {}
    pending = list(arguments)
    while pending:
        word = pending.pop(0)
        if word == "--":
            return plain + pending, flags
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--"):
            letter = name[0]
            if SHORT.get(letter) not in known:
                raise Fatal(f"unknown shorthand flag: '{letter}' in -{word.lstrip('-')}")
            value, equals = (value if equals else name[1:]), equals or name[1:]
            name = SHORT[letter]
        elif name not in known:
            raise Fatal(f"unknown flag: --{name}")
        if name in SWITCHES:
            flags[name] = value or "true"
        elif not equals and not pending:
            raise Fatal(f"flag needs an argument: --{name}")
        else:
            value = value if equals else pending.pop(0)
            repeated = name in (
                "discovery-token-ca-cert-hash",
                "ignore-preflight-errors",
                "skip-phases",
                "org",
            )
            flags[name] = f"{flags[name]},{value}" if repeated and name in flags else value
    return plain, flags


def no_mixing(flags: Flags) -> None:
    """--config stands alone."""
    if "config" in flags and (mixed := sorted(flags.keys() - BESIDE_CONFIG)):
        raise Fatal(f"can not mix '--config' with arguments [{' '.join(mixed)}]")


def output(flags: Flags, *allowed: str) -> str:
    """-o; Fatal for a format that isn't there."""
    chosen = flags.get("output", "text")
    if chosen not in ("text", *allowed):
        raise Fatal(f"invalid output format: {chosen}")
    return chosen
