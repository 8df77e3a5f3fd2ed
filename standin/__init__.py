"""Stand-in Kubernetes: the programs of a node, the trees of their packages, flannel's manifest."""
