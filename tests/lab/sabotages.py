"""What can be wrong with a finished cluster, in batches: those of one spoil no other's checks."""

from __future__ import annotations

from tests.lab.sabotage import edited, known, on, until

# A certificate that ends in five days, in the place of one that doesn't.
SHORT = (
    'rm "$f"; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 5 '
    '-subj /CN=short -keyout /dev/null -out "$f" 2>/dev/null'
)
PROXY = "kubectl proxy --kubeconfig=/etc/kubernetes/admin.conf --port=8099"
SSHD = "/etc/ssh/sshd_config.d/00-other.conf"
# What sshd says to somebody without a key.
PASSWORDS = (
    "ssh -o PreferredAuthentications=none -o StrictHostKeyChecking=no "
    "-o UserKnownHostsFile=/dev/null 127.0.0.1 2>&1 | grep -q 'denied.*password'"
)
KUBECONFIG = ".cluster/kubeconfig"
# The gateway has 0; of a worker's routes the other one is the other worker's, whoever joined first.
PODS_OF_NODE3 = r"^10\.244\.[12]\.0/24"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"

FIRST = (
    on(
        "node1",
        "the_world/node2",
        "it does not reach its packages at http",
        "iptables -I FORWARD -s 192.168.2.12 -p tcp -j REJECT --reject-with tcp-reset",
        "iptables -D FORWARD -s 192.168.2.12 -p tcp -j REJECT --reject-with tcp-reset",
    ),
    on(
        "node2",
        "names_of_the_world",
        "none of its nameservers knows",
        "iptables -I OUTPUT -p udp --dport 53 -j REJECT",
        "iptables -D OUTPUT -p udp --dport 53 -j REJECT",
    ),
    edited("node2", "authorized_keys", "mode 644", "/home/pi/.ssh/authorized_keys", "chmod 644 $f"),
    edited("node2", "host_name", "other after a reboot", "/etc/hostname", "echo other > $f"),
    on(
        "node3",
        "addresses",
        "192.168.2.99 besides 192.168.2.13",
        "ip address add 192.168.2.99/24 dev eth0 valid_lft 900 preferred_lft 900",
        "ip address delete 192.168.2.99/24 dev eth0",
    ),
    edited(
        "node2",
        "swap_is_off",
        "swap is back after a reboot: /dev/sda2",
        "/etc/fstab",
        "echo '/dev/sda2 none swap sw 0 0' >> $f",
    ),
    edited(
        "node2",
        "kernel_modules",
        "br_netfilter not loaded at boot",
        "/etc/modules-load.d/bramble.conf",
        "sed -i /br_netfilter/d $f",
    ),
    on(
        "node2",
        "kernel_settings",
        "bridge-nf-call-ip6tables is 0",
        "sysctl -q -w net.bridge.bridge-nf-call-ip6tables=0",
        "sysctl -q -w net.bridge.bridge-nf-call-ip6tables=1",
    ),
    on(
        "node2",
        "kernel_settings_at_boot",
        "after a reboot there will be net.ipv4.ip_forward = 0",
        "echo net.ipv4.ip_forward=0 > /etc/sysctl.d/99-other.conf",
        "rm /etc/sysctl.d/99-other.conf",
    ),
    on(
        "node2",
        "containerd",
        "containerd will not be started at boot",
        "systemctl disable -q containerd",
        "systemctl enable -q containerd",
    ),
    edited(
        "node2",
        "control_groups",
        "no SystemdCgroup = true",
        "/etc/containerd/config.toml",
        "sed -i 's/SystemdCgroup = true/SystemdCgroup = false/' $f",
    ),
    on(
        "node2",
        "packages_are_held",
        "would upgrade kubectl",
        "apt-mark -qq unhold kubectl",
        "apt-mark -qq hold kubectl",
    ),
    edited(
        "node3",
        "versions",
        "kubeadm is 1.36.1-1.1; it is 1.36.",
        "/var/lib/dpkg/status",
        "sed -i '/^Package: kubeadm$/,/^$/s/^Version: .*/Version: 1.36.1-1.1/' $f",
    ),
    on(
        "node2",
        "kubelet",
        "the kubelet will not be started at boot",
        "systemctl disable -q kubelet",
        "systemctl enable -q kubelet",
    ),
    on(
        "node1",
        "node_is_ready/node2",
        "kubectl uncordon node2",
        f"{KUBECTL} cordon node2",
        f"{KUBECTL} uncordon node2",
    ),
    edited(
        "node1",
        "certificates",
        "they end soon: front-proxy-client (4 days)",
        "/etc/kubernetes/pki/front-proxy-client.crt",
        SHORT,
    ),
    edited(
        "node2",
        "certificate_of_the_kubelet",
        "it ends in 4 days",
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        SHORT,
    ),
    on(
        "node2",
        "routes_to_pods",
        "no route leads to node3's pods",
        "ip route show dev flannel.1 > /root/routes; "
        f"ip route delete \"$(grep -oE '{PODS_OF_NODE3}' /root/routes)\" dev flannel.1",
        f"grep -E '{PODS_OF_NODE3}' /root/routes | "
        "xargs -I+ sh -c 'ip route replace + dev flannel.1'",
    ),
    on(
        "node1",
        "no_join_token_is_left",
        "a join token is left, abcdef: whoever has it can join the cluster",
        "kubeadm token create abcdef.0123456789abcdef",
        "kubeadm token delete abcdef",
    ),
    edited(
        "node2",
        "names_of_the_nodes",
        "node3 is 192.168.2.33; it should be 192.168.2.13",
        "/etc/hosts",
        "sed -i 's/192.168.2.13/192.168.2.33/' $f",
    ),
    edited(
        "node2",
        "nameservers",
        "192.168.1.1, 9.9.9.9; it should have 8.8.8.8, 8.8.4.4, 192.168.1.1",
        "/etc/resolv.conf",
        "echo nameserver 9.9.9.9 >> $f",
    ),
    on(
        "node1",
        "rules_live",
        "nothing in FORWARD leads to the rules in BRAMBLE-FORWARD",
        "iptables -D FORWARD -j BRAMBLE-FORWARD",
        "iptables -I FORWARD -j BRAMBLE-FORWARD",
    ),
    on(
        "node1",
        "rules_on_disk",
        "cluster-ip-rules.service, which restores /etc/cluster_ip_rules.fw, is not enabled",
        "systemctl disable -q cluster-ip-rules",
        "systemctl enable -q cluster-ip-rules",
    ),
    on(
        "here",
        "kubeconfig",
        "leads to https://192.168.1.32:6444",
        f"sed -i.kept 's/192.168.1.32:6443/192.168.1.32:6444/' {KUBECONFIG}",
        f"mv {KUBECONFIG}.kept {KUBECONFIG}",
    ),
    on(
        "node1",
        "kubectl_proxy/here",
        "it runs on node1, and asks nobody who they are",
        f"systemd-run -q --unit=loose {PROXY}; " + until("ss -Hltn | grep -q ':8099 '"),
        "systemctl stop loose",
    ),
    edited(
        "node3",
        "node_address",
        "the cluster knows it at 192.168.2.99; it should be 192.168.2.13",
        "/var/lib/kubelet/kubeadm-flags.env",
        "sed -i s/192.168.2.13/192.168.2.99/ $f",
        then="systemctl restart kubelet",
        done=known("node3 -o wide | grep -q 192.168.2.99"),
        undone=known("node3 -o wide | grep -q 192.168.2.13"),
    ),
)

SECOND = (
    on(
        "node2",
        "default_route",
        "it leads to 192.168.2.13 on eth0; it should lead to 192.168.2.11 on eth0",
        "ip route replace default via 192.168.2.13",
        "ip route replace default via 192.168.2.11",
    ),
    on(
        "node2",
        "flannel routes_to_pods",
        "flannel.1 is down",
        "ip route show dev flannel.1 > /root/routes; ip link set flannel.1 down",
        "ip link set flannel.1 up; "
        "xargs -I+ sh -c 'ip route replace + dev flannel.1' < /root/routes",
    ),
    # The kubelet can't do without.
    edited(
        "node2",
        "containerd_serves_the_kubelet control_groups node_is_ready",
        "`cri`, which the kubelet needs: it is not loaded",
        "/etc/containerd/config.toml",
        "sed -i '1i disabled_plugins = [\"io.containerd.grpc.v1.cri\"]' $f",
        then="systemctl restart containerd",
        done=known("node2 | grep -q ' NotReady '"),
        undone=known("node2 | grep -q ' Ready '"),
    ),
    on(
        "node1",
        "rules_on_disk",
        "/etc/cluster_ip_rules.fw has no -s 192.168.2.0/24 -o wlan0 -j MASQUERADE",
        "sed -i.kept /MASQUERADE/d /etc/cluster_ip_rules.fw",
        "mv /etc/cluster_ip_rules.fw.kept /etc/cluster_ip_rules.fw",
    ),
    on(
        "node1",
        "passwords",
        "sshd takes password at its next start",
        f"echo PasswordAuthentication yes > {SSHD}",
        f"rm {SSHD}",
        password_login=False,
    ),
    on(
        "node2",
        "passwords",
        "sshd takes password now",
        f"echo PasswordAuthentication yes > {SSHD}; systemctl reload ssh; {until(PASSWORDS)}",
        f"rm {SSHD}; systemctl reload ssh; {until(f'! {PASSWORDS}')}",
        password_login=False,
    ),
    on("here", "kubectl_proxy", ":8080/version does not answer", "", "", kubectl_proxy=True),
    on(
        "node3",
        "answers",
        "pi may not use sudo without a password",
        "chmod 600 /etc/sudoers.d/*; sed -i s/NOPASSWD:// /etc/sudoers.d/90-cloud-init-users",
        "sed -i 's/ALL=(ALL)/& NOPASSWD:/' /etc/sudoers.d/90-cloud-init-users",
    ),
)

# With the answers of pods: those on node3 find nobody.
FAKE = r"""#!/bin/sh
case "$*" in
*"exec on-node3 "*) echo "can't find it" >&2; exit 1 ;;
*" exec "*nslookup*) echo "Address: 10.96.0.1" ;;
*" exec "*wget*) for last; do :; done; echo "${last##*/on-}" ;;
*"get nodes -o json"*) /usr/bin/kubectl "$@" | sed s/+stand-in// ;;
*) exec /usr/bin/kubectl "$@" ;;
esac
"""
PODS = (
    on(
        "node1",
        "dns_in_pods/node3 services_across_nodes/node3",
        "a pod on node3 finds no name of the cluster: can't find it",
        f"cat > /usr/local/bin/kubectl << 'END'\n{FAKE}END\nchmod 755 /usr/local/bin/kubectl",
        "rm /usr/local/bin/kubectl",
    ),
)

REBOOT = (
    on(
        "node3",
        "it_comes_back/node3-rebooted",
        "it refuses to reboot",
        "systemctl mask -q reboot.target",
        "systemctl unmask -q reboot.target",
    ),
)

BATCHES = (FIRST, SECOND, PODS, REBOOT)
