"""The folder that stands for pkgs.k8s.io, the registries and flannel: made of the stand-in."""
