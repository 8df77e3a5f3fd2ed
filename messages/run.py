"""Runs: the connection to a node, the order of steps, two runs at once, the end of a run."""

from __future__ import annotations

from messages import Message

_AGAIN = "Run the same command again"

CONNECTION_LOST = Message("""RUN001
    the connection was lost ({reason})
    Remedy: Check the node's power and cable, then run the same command again.
    Meaning: The node stopped answering while a command ran on it, so the result of that command is
    not known. The next run reads the node's state again and continues from there.""")
NO_ANSWER = Message("""RUN002
    the node has not answered for {seconds} s
    Remedy: Check its power, cable and Wi-Fi, then run the same command again.
    Meaning: The node stopped answering in the middle of a step. Its connection is closed, so that
    the run does not wait for it forever.""")
DID_NOT_ANSWER = Message("""RUN003
    {node} did not answer ({reason})
    Remedy: Check its power and cable, then run the same command again.
    Meaning: A command was sent to the node and no answer came, so it is not known whether the
    command was run. The next run reads the node's state again.""")
NO_REASON = Message("""RUN004
    a command failed without an error message
    Remedy: Run the same command again with -vv to see which one.
    Meaning: A command ended with an error and printed nothing. With -vv each command is shown.""")
STILL_RUNS = Message(f"""RUN005
    {{unit}} is still running after {{minutes}} minutes and continues on the node
    Remedy: {_AGAIN} to see how it ends.
    Meaning: Long commands run in a systemd unit of their own and continue without this computer.
    `systemctl status` on the node shows it.""")
LOST_DURING_JOB = Message("""RUN006
    the connection was lost while {unit} was running ({reason})
    Remedy: Check the node's power and cable, then run the same command again.
    Meaning: Long commands run in a systemd unit of their own and continue without a connection, as
    long as the node has power. The next run waits for the one that still runs.""")
NOT_BACK = Message("""RUN007
    the node is not back {seconds} s after its reboot ({reason})
    Remedy: Check its power, its LED and its cable, then run the same command again.
    Meaning: A setting takes effect at boot, so the node was rebooted, and it does not answer since
    then. A file system check of a large card can take longer.""")
NOT_READ = Message("""RUN008
    could not read {fact} on {node}: {reason}
    Remedy: Log in to the node, correct what prints that, then run the same command again.
    Meaning: A command that reads the node's state failed, or printed an unexpected line. Nothing
    that depends on it was changed. The first such line is shown; only its number, if it may contain
    a secret.""")
DEPENDENCY_FAILED = Message("""RUN009
    skipped, because {other} failed
    Remedy: Correct {other} first, then run the same command again.
    Meaning: This node's next step needs the other node, so it was not started.""")
LOST_WITH = Message("""RUN010
    the connection was lost with that of {other} and could not be opened again ({reason})
    Remedy: Check the cable between them, then run the same command again.
    Meaning: This node is reached through the other one, which was rebooted or whose network was
    changed.""")
ANOTHER_RUN = Message("""RUN011
    another run is changing {node}: {holder}; {effect}
    Remedy: Wait until it has ended (or {seconds} s if its computer is off), then run the same
    command again.
    Meaning: Two runs at once would undo each other's changes, so a run that changes nodes locks
    them. The lock ends with the run that holds it.""")
NOT_LOCKED = Message("""RUN012
    this node could not be locked for this run ({reason})
    Remedy: Make /run/bramble on the node writable for root, then run the same command again.
    Meaning: A run locks each node before the first change, with a file in /run/bramble.""")
UNEXPECTED = Message("""RUN013
    unexpected {kind} in {place}: {error}
    Remedy: Report it, with the traceback: {log}.
    Meaning: A mistake in these scripts. Only this node has failed; the others continue.""")
LOCAL_FILE = Message("""RUN014
    {path} on this computer: {error}""")
PYINFRA_ERROR = Message("""RUN015
    {kind}: {error}""")
UNREACHABLE = Message("""RUN016
    {node}: unreachable
    Remedy: Check power, cable, its address in inventory.py, and that your SSH key is installed.
    Meaning: No SSH connection was opened; the red line of this node above says why. How a key gets
    onto a node is in README.md.""")
INTERRUPTED = Message(f"""RUN017
    interrupted: not all steps were run
    Remedy: {_AGAIN}: it continues from there.
    Meaning: Ctrl-C ended the run. A change of a node's network that was not confirmed is rolled
    back by the node.""")
DECLINED = Message("""RUN018
    nothing more was changed
    Remedy: Answer with Enter alone, or use -y.
    Meaning: pyinfra asks before it changes anything, and got another answer, or could not ask.""")
NOTHING_KNOWN = Message("""RUN019
    unknown: pyinfra ended before it had read the nodes' state
    Remedy: Correct what its lines above say, then run the same command again.
    Meaning: `make diff` and `make drift` start a dry run of pyinfra. It ended early, so nothing is
    known of the nodes, and nothing was changed.""")
SUMMARY_INCOMPLETE = Message("""RUN020
    the summary is incomplete, the run is not ({error})
    Remedy: Report it, with the log.
    Meaning: A mistake in what shows the run. It has no effect on the nodes.""")
NOT_DOWNLOADED = Message(f"""RUN021
    {{path}} was not downloaded: {{reason}}
    Remedy: {_AGAIN}.""")
RUN_ENDED = Message(f"""RUN022
    another run has ended while this one was reading the state of {{node}}; nothing was changed
    Remedy: {_AGAIN}.
    Meaning: What this run has read may be out of date, so it does not act on it. The next run reads
    the nodes' state again.""")
UNREACHABLE_BEHIND = Message("""RUN023
    {node}: not reached, because it is behind {gateway}, which failed
    Remedy: Correct {gateway} first, then run the same command again.
    Meaning: This computer reaches the node through the gateway alone. The node itself may be well:
    while the gateway is off, several control planes and their pods go on.""")
