"""Stand-in Kubernetes: a signed apt repository, images and a manifest, made on the spot."""
