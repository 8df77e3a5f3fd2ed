"""Read the service that runs ``kubectl proxy`` on the control plane."""

from __future__ import annotations

from dataclasses import dataclass

from facts.base import State, WholeFact, one_of, text_of

UNIT = "bramble-kubectl-proxy.service"
PATH = f"/etc/systemd/system/{UNIT}"

# is-active and is-enabled print one word for a missing unit too.
_SCRIPT = f"""systemctl is-active {UNIT} 2>/dev/null | head -n1 | sed 's/^/active /';
systemctl is-enabled {UNIT} 2>/dev/null | head -n1 | sed 's/^/enabled /';
[ ! -e {PATH} ] || echo "unit $(base64 -w0 {PATH})\""""


@dataclass(frozen=True)
class ProxyState(State):
    """
    + unit: the unit file's text; None without one
    + active, enabled: whether it runs now, and at boot
    """

    unit: str | None
    active: bool
    enabled: bool


class ProxyService(WholeFact[ProxyState]):
    """Read the service that runs ``kubectl proxy``: a ``ProxyState``."""

    script = (_SCRIPT,)

    def parse(self, *lines: str) -> ProxyState:
        said = {}
        for line in lines:
            word, _, rest = line.partition(" ")
            said[one_of(word, "active", "enabled", "unit")] = rest
        text = said.get("unit")
        return ProxyState(
            None if text is None else text_of(text, "replace"),
            said.get("active") == "active",
            said.get("enabled") == "enabled",
        )
