"""Services that turn swap on at boot are found by what they call, not by their names."""

from __future__ import annotations

import shlex

from lab.api import Lab
from messages import codes
from tests.lab.runs import ok, pyinfra

# A program that turns swap on and another that only looks at it; a service without an [Install]
# section that a timer starts; a line of cron's. The swap itself is never turned on: /x is missing.
MAKE = r"""
cd /etc/systemd/system || exit
printf '#!/bin/sh\n[ -e /x ] && swapon -p 5 /dev/zram0\nexit 0\n' > /usr/local/bin/zram-on
printf '#!/bin/sh\nswapon --show > /run/mine\n' > /usr/local/bin/look
chmod 755 /usr/local/bin/zram-on /usr/local/bin/look
printf '[Service]\nRemainAfterExit=yes\nExecStart=/usr/local/bin/zram-on\n' > zram.service
printf '[Service]\nType=oneshot\nExecStart=/usr/local/bin/look\n' > look.service
printf '[Install]\nWantedBy=multi-user.target\n' | tee -a zram.service >> look.service
printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "true || /sbin/swapon /x"\n' > later.service
printf '[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n' > later.timer
mkdir -p /etc/cron.d; echo '@reboot root swapon /x' > /etc/cron.d/swap
systemctl daemon-reload; systemctl enable --now zram.service look.service later.timer
systemctl start later.service
"""
UNDO = """systemctl disable --now zram.service look.service later.timer
cd /etc/systemd/system; rm -f zram.service look.service later.service later.timer /etc/cron.d/swap
rm -f /usr/local/bin/zram-on /usr/local/bin/look; systemctl daemon-reload"""
OFF = "from operations import swap\n\nswap.off()\n"


def as_root(lab: Lab, script: str) -> str:
    return ok(lab.ssh("node3", f"sudo sh -ec {shlex.quote(script)}"))


def test_services_that_call_swapon_are_disabled_and_other_callers_are_reported(lab: Lab) -> None:
    (lab.project / "off.py").write_text(OFF)
    as_root(lab, MAKE)
    try:
        only = ("-y", "--limit", "node3")
        run = pyinfra(lab, *only, "--diff", deploys=["off.py"])
        assert run.status == 0, run.output
        said = "\n".join(run.lines("node3"))
        assert "disable zram.service" in said, said
        assert "disable later.timer" in said, said
        assert "look.service" not in said, said
        assert any(
            "/etc/cron.d/swap" in line and codes(line) == ["NOD012"] for line in run.lines("node3")
        ), said
        states = "systemctl is-enabled zram.service later.timer look.service || :"
        assert as_root(lab, states).split() == ["disabled", "disabled", "enabled"]
        assert pyinfra(lab, *only, deploys=["off.py"]).left_alone("node3")
    finally:
        as_root(lab, UNDO)
