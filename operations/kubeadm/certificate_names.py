"""
Make the certificate of an API server valid for further names, with kubeadm's own phases.

The API server serves the new certificate without a restart. Certificate and key are two files: both
are made beside the old ones, in a folder that is renamed once they are complete, so that what a
power cut leaves there is known to be whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State

import remote
from facts.api_certificate import STAGED, ApiCertificate
from facts.certificates import PKI
from facts.kubeadm import CONFIG
from facts.kubectl import Objects
from formats.certificates import names
from formats.kubeadm import config
from formats.node import find
from messages import kubernetes as messages
from operations import files
from operations.base import Commands, HostFailure, operation, plan_change, read, understood
from operations.kubeadm.certificate_key import PHASE
from remote.failures import RemoteFailure

_CONFIG_MAP = "kube-system/configmap/kubeadm-config"

# $1: the folder; standard input: the configuration, which names it.
_MAKE = f"""{PHASE}
set -e; umask 077; rm -rf -- "$1"; mkdir -- "$1"; cp {PKI}/ca.crt {PKI}/ca.key "$1";
cat > "$1/config.yaml"; phase certs apiserver --config "$1/config.yaml";
rm "$1/ca.crt" "$1/ca.key" "$1/config.yaml"; sync; mv -T -- "$1" {STAGED}"""
_UPLOAD = f"""{PHASE} umask 077; t=$(mktemp -p /run bramble-config.XXXXXX) || exit;
trap 'rm -f -- "$t"' EXIT; cat > "$t"; phase upload-config kubeadm --config "$t\""""
_TAKE = f"""set -e; for f in key crt; do [ ! -e {STAGED}/apiserver.$f ] ||
mv -f {STAGED}/apiserver.$f {PKI}/apiserver.$f; done; sync; rm -rf {STAGED}"""


@operation()
def certified(node: str, address: str, endpoint: str, cert_names: Sequence[str]) -> Commands:
    """
    Have the API server of this node served at all names by which it is reached.

    The cluster's configuration gets them too, for control planes that join. Names that are no
    longer used stay. A node without an API server is not changed. To be run before
    ``kubeadm.init``, which waits for the API server: a power cut between certificate and key keeps
    that from starting.

    + node: the node's name in the cluster
    + address: its address in the cluster's network
    + endpoint: the name of the API server
    + cert_names: all other names and addresses at which it is reached
    """
    observed = read(ApiCertificate)
    if observed.is_staged:
        plan_change("put the API server's new certificate into place")
        yield FunctionCommand(_take, (), {})
        return
    with understood(f"{PKI}/apiserver.crt"):
        certified = names(observed.certificate) if observed.certificate else set()
    missing = sorted({endpoint, node, address, *cert_names} - certified)
    if not missing or not observed.certificate:
        host.noop("the API server's certificate has all names")
        return
    plan_change(f"make the API server's certificate valid for {', '.join(missing)}")
    registration = config.Registration(node, address)
    arguments = (registration, [endpoint, *cert_names], observed.config, missing)
    yield FunctionCommand(_certify, arguments, {})


def _certify(
    state: State,
    host: Host,
    registration: config.Registration,
    wanted: Sequence[str],
    own_config: str,
    missing: Sequence[str],
) -> bool:
    """
    Add names to the cluster's configuration, then make the certificate.

    + own_config: kubeadm's file on the node; "": there is none
    + missing: the names that the certificate does not have
    """
    here = remote.of(host)
    observed = here.gather(Objects(), [_CONFIG_MAP])
    if not observed.answers:
        raise HostFailure(messages.API_NOT_ANSWERING(reason=observed.why))
    stored = (find(observed.objects, _CONFIG_MAP) or {}).get("data", {})
    with understood("the cluster's kubeadm-config"):
        cluster = config.with_names(str(stored.get("ClusterConfiguration", "")), wanted)
    staging = f"{STAGED}.new"
    try:
        if own_config:
            with understood(CONFIG):
                text = config.with_names(own_config, wanted)
            here.execute(files.write_command(CONFIG, text, "600", "root", "root"))
        here.run(_UPLOAD, stdin=config.of_node(registration, cluster), seconds=300)
        text = config.of_node(registration, cluster, certificates=staging)
        here.run(_MAKE, staging, stdin=text, seconds=120)
    except RemoteFailure as failure:
        values = {"names": ", ".join(missing), "reason": failure.args[0].rstrip(".")}
        raise HostFailure(messages.CERTIFICATE_NAMES(**values)) from failure
    return _take(state, host)


def _take(state: State, host: Host) -> bool:
    remote.of(host).run(_TAKE)
    return True
