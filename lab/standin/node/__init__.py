"""
Stand-in Kubernetes as it runs on a node: kubeadm, kubelet, API server and crictl in one package.

Each of the stand-in Debian packages carries its own copy of this package, as each real binary
carries its own copy of its libraries. It runs on Debian's Python 3.11 or newer with python3-yaml,
python3-cryptography and python3-h2.

What it keeps of the real thing: arguments, the v1beta4 configuration file, preflight checks against
the node's true state, messages and the stream they go to, files, certificates, ports, exit status,
the API as kubectl uses it. What it does not do:

- run containers: pods are entries in the API, "Running" when their node could run them (image
  there, CNI there, flannel's own conditions met)
- carry pod traffic or Service addresses: flannel's and kube-proxy's files, links and rules are
  there, nothing answers behind a ClusterIP, and `kubectl logs`, `exec`, `port-forward`, `top` have
  no answer
- admission, quotas, checking of unknown fields, custom resources, aggregation, service-account
  tokens, `kubectl explain`, `kubectl create deployment` (`apply` and `create -f` know every kind)
- let a stranger in as system:anonymous: who shows no credentials gets 401 (a real one says 403),
  but for /healthz, /livez, /readyz, /version and cluster-info
- upgrades (`kubeadm upgrade`), `--dry-run`, a second control-plane node, an external etcd, IPv6
"""
