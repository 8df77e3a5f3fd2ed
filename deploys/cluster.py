"""Blank boards to a working cluster, step by step. Each step also runs by itself."""

from pyinfra import local

local.include("deploys/ssh_access.py")
local.include("deploys/gateway.py")
local.include("deploys/network.py")
