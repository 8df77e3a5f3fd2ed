"""Node preparation: system, swap, kernel, clock, packages, files."""

from __future__ import annotations

from messages import Message

# --- system ------------------------------------------------------------------------------------

NO_DPKG = Message("""NOD001
    the system has no dpkg
    Remedy: Write Debian, Raspberry Pi OS or Ubuntu to its SD card.""")
NO_KUBERNETES_FOR = Message("""NOD002
    the system is of architecture {architecture}{kernel}, for which there is no Kubernetes
    Remedy: Write a 64-bit image to its SD card, such as Raspberry Pi OS Lite (64-bit).
    Meaning: pkgs.k8s.io has no packages for this architecture. A 64-bit board can run a 32-bit
    system.""")
NO_MACHINE_ID = Message("""NOD003
    /etc/machine-id is {value!r}
    Remedy: Create one with `{command}`, then run the same command again.
    Meaning: The image was prepared for copying, and no id was created when the node booted.""")
SAME_MACHINE_ID = Message("""NOD004
    machine-id is the same as on {others}: the SD card is a copy
    Remedy: Create a new one with `{command}`, then run the same command again.
    Meaning: Nodes with the same machine-id get the same addresses from flannel and from DHCP.""")

# --- swap --------------------------------------------------------------------------------------

SWAP_FULL = Message("""NOD010
    {used} MB are swapped out, but only {available} MB of memory are available
    Remedy: Stop what uses the memory, or reboot (swap stays off then), and run the same command
    again.
    Meaning: Swap cannot be turned off while its content does not fit into memory.""")
SWAP_NOT_OFF = Message("""NOD011
    swap on {devices} cannot be turned off: {reason}
    Remedy: Stop what uses the memory, or reboot (swap stays off then), and run the same command
    again.
    Meaning: swapoff failed. What turns swap on at boot is already disabled.""")
SWAP_IN_SCRIPT = Message("""NOD012
    swap is turned on again at the next boot: {path} calls swapon
    Remedy: Remove that line from {path}.
    Meaning: A script or cron job calls swapon. bramble does not edit scripts, and the kubelet does
    not start while swap is on.""")
SWAP_UNEXPLAINED = Message("""NOD013
    swap on {devices} may be turned on again at the next boot: its origin was not found
    Remedy: Run `swapon --show` after a reboot, and disable what turned it on (`systemctl
    list-units`, root's crontab).
    Meaning: No unit, no line of fstab and no script accounts for that swap. It is off now.""")

# --- kernel ------------------------------------------------------------------------------------

NO_CMDLINE = Message("""NOD020
    the memory cgroup is off, and there is no cmdline.txt (not a Raspberry Pi?)
    Remedy: Add {argument} to the kernel's command line (GRUB_CMDLINE_LINUX in /etc/default/grub)
    and reboot.
    Meaning: Kubernetes needs the memory cgroup. The boot loader is not that of a Raspberry Pi.""")
BOOT_NOT_MOUNTED = Message("""NOD021
    the memory cgroup is off, and {path}, which turns it on, is missing
    Remedy: Mount the boot partition on /boot/firmware, then run the same command again.
    Meaning: /boot/cmdline.txt is only a note that names the real file.""")
CMDLINE_INVALID = Message("""NOD022
    {path} is not a kernel command line: {problem}
    Remedy: Correct the file, then run the same command again.
    Meaning: cmdline.txt has to be one line that is not empty, with all quotes closed.""")
NO_MEMORY_CGROUP = Message("""NOD023
    the kernel was started with {argument} and still has no memory cgroup
    Remedy: Use the kernel of Raspberry Pi OS or Debian.
    Meaning: The kernel was built without the memory cgroup.""")
CGROUP_STILL_OFF = Message("""NOD024
    the memory cgroup is still off after the reboot, although {path} contains {argument}
    Remedy: Check in /proc/cmdline which arguments the kernel was given.
    Meaning: The boot loader reads another file.""")
NO_MODULE = Message("""NOD025
    kernel {kernel} has no module {modules}
    Remedy: Reboot if the kernel was upgraded since the last boot, or install the package of its
    modules (Ubuntu: linux-modules-extra-raspi).
    Meaning: The modules of the running kernel are not installed.""")
SYSCTL_OVERRIDDEN = Message("""NOD027
    {key} = {value} in {path} has no effect at boot: {other}
    Remedy: Remove that line, then run the same command again.
    Meaning: Files of sysctl.d are read in the order of their names, and a later one has another
    value.""")
NO_SYSCTL = Message("""NOD028
    the kernel has no parameter {key}
    Remedy: Load the kernel module that provides it.
    Meaning: Some parameters exist only once a module is loaded, such as br_netfilter.""")

# --- clock -------------------------------------------------------------------------------------

CLOCK_WRONG = Message("""NOD030
    the clock shows {shown} UTC, {distance}, and nothing corrects it
    Remedy: Check `timedatectl timesync-status` (NTP needs UDP port 123 to the internet), or set it
    with `sudo date -u -s TIME`.
    Meaning: Certificates and tokens are not valid on a node with a wrong clock. Boards without a
    battery depend on NTP.""")
CLOCK_HERE_WRONG = Message("""NOD031
    the clock is {distance}, and synchronized
    Remedy: Set the clock of this computer.
    Meaning: The node's clock agrees with NTP, so the clock of the computer that runs bramble is
    wrong.""")

# --- packages and files ------------------------------------------------------------------------

INSTALL_FAILED = Message("""NOD040
    cannot install {packages}: {reason}""")
UPDATE_FAILED = Message("""NOD041
    cannot fetch the package lists of {source}: {reason}""")
PURGE_FAILED = Message("""NOD055
    cannot remove {packages}: {reason}""")
NOT_UTF8 = Message("""NOD042
    {path}, line {line} is not UTF-8
    Remedy: Correct the line, then run the same command again.""")
NOT_A_FILE = Message("""NOD043
    {path} is a {kind}, not a {desired}
    Remedy: Remove it, then run the same command again.
    Meaning: Something else is at the path of a file that bramble writes, and it may belong to
    somebody.""")
BIND_MOUNT = Message("""NOD044
    {path} is a bind mount, which cannot be replaced
    Remedy: Unmount it with `sudo umount {path}`, or change the file where it is mounted from.
    Meaning: Something (a container?) mounts the file from elsewhere.""")
WRITE_FAILED = Message("""NOD045
    cannot write {path}: {reason}
    Meaning: The reason is the words of the system. A read-only file system is often an SD card at
    the end of its life.""")
DISK_FULL = Message("""NOD046
    cannot write {path}: the disk is full
    Remedy: Free some space (`df -h`, `sudo apt-get clean`), then run the same command again.
    Meaning: The file system has no free space or no free inodes.""")

# --- the record, and removals --------------------------------------------------------------------

RECORD_NOT_WRITTEN = Message("""NOD050
    cannot write {path}: {reason}
    Remedy: Free some space (`df -h`, `sudo apt-get clean`), then run the same command again.
    Meaning: Before a resource is made on a node, the node's record gets it, so that it can be
    removed again when the settings no longer have it. Nothing is changed without that.""")
RECORD_DAMAGED = Message("""NOD051
    the record of what bramble manages is damaged ({reason}): nothing is removed in this run
    Meaning: /var/lib/bramble/record.json could not be understood. What the settings have now is
    recorded anew; what they no longer had before stays on the node.""")
RECORD_NEWER = Message("""NOD052
    the record of what bramble manages was written by a newer bramble: nothing is removed or
    recorded
    Remedy: Run the newer bramble (git pull).
    Meaning: /var/lib/bramble/record.json has a format that this bramble does not know.""")
CHANGED_SINCE = Message("""NOD053
    {resource} is no longer in the settings, but was changed since bramble made it, and is left
    Remedy: Remove it as root on the node (`{command}`), or write it into the settings again.
    Meaning: Its content is not the one that bramble gave it, so somebody may need it. It is named
    in each run until it is removed.""")
OTHER_INVENTORY = Message("""NOD054
    the node was set up from another inventory (with the nodes {nodes}), and this one has no use for
    most of it ({count} resources)
    Remedy: Check that this is the right node; if it is, run the same command again with `--data
    take_over={node}`, which removes these resources.
    Meaning: A run removes what the settings no longer have. Where that is most of what is recorded
    on a node, and the record is of an inventory with other nodes, the address may be that of the
    wrong node.""")
OTHER_SETTINGS = Message("""NOD056
    the node was last set up with other settings than those of this folder's last run (by {by}), and
    these have no use for most of it ({count} resources)
    Remedy: Check that these are the newest settings; if they are, run the same command again with
    `--data take_over={node}`, which removes these resources.
    Meaning: There is another checkout of the same inventory, which has more in its settings. A run
    from an old one would remove that.""")

# --- shared downloads ----------------------------------------------------------------------------

DOWNLOADS_NOT_KEPT = Message("""NOD060
    {unit} does not answer ({reason}), so nothing is kept for the other nodes
    Remedy: See `sudo journalctl -u {unit}` on the node, then run the same command again.
    Meaning: Each node downloads from the sources, as without share_downloads.""")
