"""What kubeadm reads and prints: its configuration, its components' fields, tokens, its output."""
