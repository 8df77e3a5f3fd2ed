"""The settings of pyinfra's SSH connector, and which of them bramble derives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from messages import settings as messages
from settings.fields import Number, Switch, Text, between, of_command_line

NO_PORT = "Remove it, and let sshd listen at port 22."


def _instead(remedy: str) -> BeforeValidator:
    def refuse(value: object) -> None:
        raise ValueError(messages.NOT_SUPPORTED(value=repr(value), remedy=remedy))

    return BeforeValidator(refuse)


_Seconds = Annotated[float, Strict(), of_command_line(float), between(0, 3600)]


class Derived(BaseModel):
    """Those of the whole cluster: .cluster/ssh_config holds how each node is reached."""

    model_config = ConfigDict(frozen=True, defer_build=True)  # which only the whole model needs

    ssh_config_file: Literal[".cluster/ssh_config"]
    ssh_known_hosts_file: Literal[".cluster/known_hosts"]
    ssh_strict_host_key_checking: Literal["accept-new", "yes"]
    ssh_allow_agent: Switch
    ssh_look_for_keys: Switch


class PerNode(BaseModel):
    """Those of a node."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    ssh_hostname: Annotated[None, _instead("Remove it: `address` is where the node answers.")] = (
        None
    )
    ssh_user: Annotated[None, _instead("Remove it, and write `admin_user`.")] = None
    ssh_key: Annotated[None, _instead("Remove it, and write `ssh_private_key`.")] = None
    ssh_port: Annotated[None, _instead(NO_PORT)] = None
    ssh_password: Text | None = Field(default=None, repr=False)
    ssh_key_password: Text | None = Field(default=None, repr=False)
    ssh_forward_agent: Switch | None = None
    ssh_paramiko_connect_kwargs: Annotated[
        None, _instead("Remove it: OpenSSH reaches the nodes too, and does not know it.")
    ] = None
    ssh_connect_retries: Annotated[Number, between(0, 1000)] | None = None
    ssh_connect_retry_min_delay: _Seconds | None = None
    ssh_connect_retry_max_delay: _Seconds | None = None
    ssh_file_transfer_protocol: Literal["sftp", "scp"] | None = None
