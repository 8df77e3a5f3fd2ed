"""The whole cluster, from blank boards to Ready nodes. Each of these files also runs alone."""

from pyinfra import local

local.include("deploys/preflight.py")
local.include("deploys/ssh_access.py")
local.include("deploys/network.py")
local.include("deploys/prepare.py")
local.include("deploys/runtime.py")
local.include("deploys/packages.py")
local.include("deploys/control_plane.py")
local.include("deploys/workers.py")
local.include("deploys/access.py")
local.include("deploys/backup_schedule.py")
local.include("deploys/removals.py")
