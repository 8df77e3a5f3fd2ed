"""SSH access: keys and sshd."""

from __future__ import annotations

from messages import Message

NO_SSHD = Message("""SSH001
    sshd is not installed, so its password logins cannot be configured
    Remedy: Run `sudo apt-get install openssh-server`.""")
NO_USER = Message("""SSH002
    user "{user}" does not exist on this node
    Remedy: Create the user, or set admin_user in group_data/all.py.""")
NO_HOME = Message("""SSH003
    {path}, the home directory of user "{user}", does not exist
    Remedy: Create it, then run the same command again.""")
HOME_NOT_OWNED = Message("""SSH004
    {path} belongs to {owner}, so sshd ignores every key of {user}
    Remedy: Run `sudo chown {user} {path}`.
    Meaning: sshd's StrictModes accepts keys only if the home belongs to the user or root.""")
HOME_WRITABLE = Message("""SSH005
    {path} is writable by others (mode {mode}), so sshd ignores every key of {user}
    Remedy: Run `sudo chmod go-w {path}`.
    Meaning: sshd's StrictModes accepts keys only if nobody else can write to the home
    directory.""")
KEYS_ELSEWHERE = Message("""SSH006
    sshd reads the keys of {user} from {patterns}, not from {path}
    Remedy: Correct AuthorizedKeysFile in /etc/ssh/sshd_config.""")
KEY_IN_SECOND_FILE = Message("""SSH007
    {path}, which sshd reads too, also contains the key {key}
    Remedy: Remove the key from that file, or the file itself, then run the same command again.""")
KEY_IN_USE = Message("""SSH008
    {key} is in use: removing it from {user} would lock you out
    Remedy: Log in with another key first.
    Meaning: This run, or another session that the settings name, is logged in with that key.""")
KEY_IN_USE_RESTRICTED = Message("""SSH009
    {key} is in use: with a command= option, {user} would be locked out
    Remedy: Log in with another key first.
    Meaning: A key with command= can run that one command only, so the next run would fail.""")
