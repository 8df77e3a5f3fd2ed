"""Settings of the workers alone: a name set here overrides group_data/all.py for them."""

node_labels = {"node-role.kubernetes.io/worker": ""}  # shown as their role by `kubectl get nodes`
