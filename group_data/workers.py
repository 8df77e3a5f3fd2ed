"""Settings of the workers: they override group_data/all.py."""

# Labels of the workers, as in group_data/all.py. Default: the role that `kubectl get nodes` shows.
node_labels = {"node-role.kubernetes.io/worker": ""}
