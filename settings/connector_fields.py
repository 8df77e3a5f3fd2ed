"""What pyinfra's SSH connector may be told, and what of it bramble derives from other settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from settings.fields import Mapping, Number, Switch, Text


def _instead(remedy: str) -> BeforeValidator:
    def refuse(value: object) -> None:
        raise ValueError(f"{value!r} is not supported: {remedy}")

    return BeforeValidator(refuse)


_Seconds = Annotated[float, Field(ge=0), Strict()]


class Derived(BaseModel):
    """One for the whole cluster: .cluster/ssh_config says how each node is reached."""

    ssh_config_file: Literal[".cluster/ssh_config"]
    ssh_known_hosts_file: Literal[".cluster/known_hosts"]
    ssh_strict_host_key_checking: Literal["accept-new", "yes"]
    ssh_allow_agent: Switch
    ssh_look_for_keys: Switch


class PerNode(BaseModel):
    """A node's own, as pyinfra's connector takes it."""

    model_config = ConfigDict(frozen=True)

    ssh_hostname: Annotated[None, _instead("remove it, `address` is where the node answers")] = None
    ssh_user: Annotated[None, _instead("remove it, and write `admin_user`")] = None
    ssh_key: Annotated[None, _instead("remove it, and write `ssh_private_key`")] = None
    ssh_port: Annotated[
        None, _instead("every node's sshd is asked at port 22: remove it, and let it listen there")
    ] = None
    ssh_password: Text | None = Field(default=None, repr=False)
    ssh_key_password: Text | None = Field(default=None, repr=False)
    ssh_forward_agent: Switch | None = None
    ssh_paramiko_connect_kwargs: Mapping | None = None
    ssh_connect_retries: Annotated[Number, Field(ge=0)] | None = None
    ssh_connect_retry_min_delay: _Seconds | None = None
    ssh_connect_retry_max_delay: _Seconds | None = None
    ssh_file_transfer_protocol: Literal["sftp", "scp"] | None = None
