"""
A small crictl: version, info, images, inspecti, pull, pods, ps. There are no containers to list.
"""
# Recorded texts and tables stay in one piece, so that they can be searched for.
# ruff: noqa: E501
# Recorded texts and tables stay in one piece, so that they can be searched for.

from __future__ import annotations

import json
import sys

from . import cri
from .common import CRI_SOCKET, Obj, say

USAGE = "stand-in crictl: version | info | images [-q] [-o json] | inspecti IMAGE | pull IMAGE | ps | pods"


def _size(count: int) -> str:
    return f"{count / 1e6:.3g}MB" if count >= 1e6 else f"{count / 1e3:.3g}kB"


def _images(runtime: cri.Runtime, arguments: list[str]) -> None:
    listed = runtime.images()
    if "json" in arguments:
        shown: list[Obj] = [
            one | {"size": str(one["size"]), "username": "", "spec": None, "pinned": False}
            for one in listed
        ]
        say(json.dumps({"images": shown}, indent=2))
    elif "-q" in arguments or "--quiet" in arguments:
        say("\n".join(str(one["id"]) for one in listed))
    else:
        say(f"{'IMAGE':<52}{'TAG':<20}{'IMAGE ID':<20}SIZE")
        for one in listed:
            for name in one["repoTags"] or ["<none>:<none>"]:
                repository, _, tag = name.rpartition(":")
                say(
                    f"{repository:<52}{tag:<20}{str(one['id']).removeprefix('sha256:')[:13]:<20}{_size(one['size'])}"
                )


def main(arguments: list[str]) -> int:
    """Run one command."""
    endpoint = CRI_SOCKET
    while arguments and arguments[0] in ("-r", "--runtime-endpoint", "-i", "--image-endpoint"):
        endpoint, arguments = arguments[1], arguments[2:]
    if arguments and arguments[0].startswith(("--runtime-endpoint=", "-r=")):
        endpoint, arguments = arguments[0].partition("=")[2], arguments[1:]
    runtime = cri.Runtime(endpoint)
    command, rest = (arguments or [""])[0], arguments[1:]
    try:
        if command == "version":
            name, version = runtime.version()
            say(
                f"Version:  0.1.0\nRuntimeName:  {name}\nRuntimeVersion:  {version}\nRuntimeApiVersion:  v1"
            )
        elif command == "info":
            conditions, info = runtime.status()
            listed = [
                {"type": kind, "status": good, "reason": reason, "message": message}
                for kind, (good, reason, message) in conditions.items()
            ]
            say(json.dumps(info | {"status": {"conditions": listed}}, indent=2))
        elif command in ("images", "image", "img"):
            _images(runtime, rest)
        elif command == "inspecti" and rest:
            if not runtime.has_image(rest[-1]):
                print(f'E no such image "{rest[-1]}" present', file=sys.stderr)
                return 1
            say(
                json.dumps(
                    {
                        "status": next(
                            (one for one in runtime.images() if rest[-1] in one["repoTags"]), {}
                        )
                    },
                    indent=2,
                )
            )
        elif command == "pull" and rest:
            runtime.pull(rest[-1])
            say(f"Image is up to date for {rest[-1]}")
        elif command == "ps":
            say(
                "CONTAINER           IMAGE               CREATED             STATE               NAME                ATTEMPT             POD ID              POD                 NAMESPACE"
            ) if "-q" not in rest else None
        elif command == "pods":
            say(
                "POD ID              CREATED             STATE               NAME                NAMESPACE           ATTEMPT             RUNTIME"
            ) if "-q" not in rest else None
        else:
            print(USAGE, file=sys.stderr)
            return 1
    except cri.CriError as error:
        print(f"FATA[0000] {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
