"""
Stand-in Kubernetes as it runs on a node: kubeadm, kubelet and API server in one package.

Each stand-in Debian package carries its own copy, as each real binary carries its own libraries. It
runs on Debian's Python with python3-yaml and python3-cryptography.

It keeps of the real thing: the v1beta4 configuration file, preflight checks against the node's true
state, messages and their streams, files, certificates, ports, exit status, and the API as kubectl
and the deploys use it. What it does not do: run containers (a pod is Running when its node could
run it), carry pod traffic, check fields; know of admission, quotas, custom resources, field
ownership, an external etcd, IPv6.
"""
