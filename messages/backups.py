"""Backups of the cluster: deploys/backup.py."""

from __future__ import annotations

from messages import Message

DAMAGED = Message("""BAK001
    the archive is damaged: {reason}
    Meaning: Something has changed the file since it was written, or it was not copied completely.
    `make backups` lists the other backups. Each part of the archive has a checksum in its
    manifest.""")
NEWER_FORMAT = Message("""BAK002
    a newer bramble wrote this backup, in format {format}
    Remedy: Use the version of bramble that wrote it.""")
NOT_DECRYPTED = Message("""BAK003
    the backup cannot be decrypted
    Remedy: Use the passphrase or the secret key that it was encrypted for; `make backups` says
    whether the file is damaged.
    Meaning: A backup is opened by the passphrase of the day on which it was made, or by the secret
    key that belongs to backup_encryption of that day.""")
DECRYPTS_TOO_SLOWLY = Message("""BAK018
    this computer is too slow, or too busy, to decrypt the backup
    Remedy: Run the same command again when it has less to do, or decrypt the file with `age -d` and
    name the result with `--data backup=FILE`.
    Meaning: A passphrase costs about a second of work on the computer that encrypts; this one would
    need more than 16 times as long.""")
NO_IDENTITY = Message("""BAK004
    the file of backup_key_file is not the secret key of an age recipient
    Remedy: Set backup_key_file to the file that `age-keygen` has written.""")
NO_PASSPHRASE = Message("""BAK005
    there is no passphrase for the backup
    Remedy: Write it into {path} (as its only line, `chmod 600`), or set {variable}.
    Meaning: backup_encryption is "passphrase", and stdin is not a terminal, so nobody can be
    asked.""")
KEY_PUBLIC = Message("""BAK006
    {path}, the file of backup_key_file, can be read by others
    Remedy: Run `chmod 600 {path}`.""")
KEY_UNREADABLE = Message("""BAK007
    {path}, the file of backup_key_file, cannot be read: {reason}
    Remedy: Correct backup_key_file in group_data/all.py, or the file.""")
PASSPHRASES_DIFFER = Message("""BAK008
    the two passphrases differ, or are empty
    Remedy: Run the same command again.""")
NOT_MADE = Message("""BAK010
    no backup was made: {reason}
    Remedy: Correct that, then run the same command again.
    Meaning: The reason is etcd's, or that of the program that writes the archive. Earlier backups
    are as they were.""")
NOT_STORED = Message("""BAK011
    the backup was not stored in {path}: {reason}
    Remedy: Correct that, then run the same command again.
    Meaning: It is in /var/lib/bramble/backups on the control plane. Earlier backups are as they
    were.""")
NO_CLUSTER = Message("""BAK015
    there is no cluster to back up
    Remedy: Make one with `pyinfra inventory.py deploys/cluster.py`, or bring the one of a backup
    back with `pyinfra inventory.py deploys/restore.py`.""")
NO_SENDER_KEY = Message("""BAK016
    {node} has no key to send copies of its backups with
    Remedy: Run `pyinfra inventory.py deploys/backup_schedule.py`.""")
SCHEDULED_FAILED = Message("""BAK017
    {unit} has failed: {reason}
    Remedy: Correct that (`sudo journalctl -u {unit}` on the node has more), then run the same
    command again.
    Meaning: The timer tries again at its time. Earlier backups are as they were.""")
NO_LAST_BACKUP = Message("""BAK014
    the last backup was not made, so nothing is deleted: {reason}
    Remedy: Correct that and run the same command again, or delete the cluster without a backup:
    `--data backup=no`.""")
NODE_SILENT = Message("""BAK013
    {node} does not answer: its backups are not listed
    Remedy: See why with `make preflight`.""")
NO_COPY = Message("""BAK012
    {node} has no good copy of a backup, and the control plane is away
    Remedy: Use a backup on this computer: `make backups` lists them.
    Meaning: Copies are made with backup_schedule and backup_to.""")
