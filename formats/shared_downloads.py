"""
What shares downloads between nodes: nginx's configuration and unit, apt's proxy and mirror list.

nginx is a forward proxy for apt, and a mirror for containerd and for the repository of Kubernetes
packages. It stores only what never changes under its name: packages, lists by hash, and images'
blobs by digest. Everything else is passed on, so apt's signatures and containerd's digests are of
the source. What is asked for by several nodes at once is fetched once (``proxy_cache_lock``).

Sources: nginx.org, ngx_http_proxy_module; apt.conf(5), apt-transport-mirror(1); containerd's
docs/hosts.md; the OCI distribution specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from formats.registry_mirrors import HUB, HUBS_SERVER
from formats.systemd import HEAD, SANDBOX

PORT = 5142
CACHE_MB = 2048  # it may be that large
FREE_MB = 1024  # and leaves this much of the file system free
DAYS = 30  # for which something that nobody asks for is kept
MEMORY_MB = 96  # of nginx with its share of the page cache
NAME = "bramble-shared-downloads"
_FOLDER = f"/var/cache/{NAME}"

_UNIT = """\
{head}
[Unit]
Description=Packages and images that the nodes of the cluster download, kept for all of them
Wants=network-online.target
After=network-online.target
# The address may come up late.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=/usr/sbin/nginx -e stderr -c {config} -g "daemon off;"
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=5
MemoryMax={memory}M
CPUWeight=50
IOWeight=50
DynamicUser=yes
CacheDirectory={name}
RuntimeDirectory={name}
# So that other nodes can't reach this node's own services through it.
IPAddressDeny=127.0.0.0/8 ::1/128 169.254.0.0/16
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
{sandbox}
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077

[Install]
WantedBy=multi-user.target
"""

_CONFIG = """\
{head}
pid /run/{name}/pid;
worker_processes 1;
events {{
    worker_connections 512;
}}
http {{
    access_log off;
    error_log stderr warn;
    server_tokens off;
    resolver {resolvers} ipv6=off;
    resolver_timeout 15s;
    client_body_temp_path {folder}/temp;
    proxy_temp_path {folder}/temp;
    fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp;
    scgi_temp_path {folder}/temp;

    proxy_cache_path {folder}/files levels=1:2 keys_zone=files:4m use_temp_path=off
        max_size={cache}m min_free={free}m inactive={days}d;
    proxy_cache_valid 200 {days}d;
    proxy_ignore_headers Cache-Control Expires Set-Cookie Vary X-Accel-Expires;
    proxy_cache_lock on;
    proxy_cache_lock_timeout 30m;
    proxy_cache_lock_age 30m;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_connect_timeout 10s;
    proxy_redirect off;
    proxy_intercept_errors on;
    recursive_error_pages on;
    proxy_ssl_server_name on;
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 5;
    proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;

    map $arg_ns $registry {{
{registries}
    }}
    map $request_uri $kubernetes {{
        default "";
        "~^/kubernetes/(?<minor>[0-9.]+)/(?<file>[^?]+)$" "{kubernetes}$file";
    }}

    # Images, by containerd, and Kubernetes packages, by apt's mirror list.
    server {{
        listen {address}:{port};
        server_name {address};

        location = /ready {{
            return 204;
        }}
        location /v2/ {{
            limit_except GET {{ deny all; }}
            if ($registry = "") {{ return 404; }}
            proxy_pass $registry$request_uri;
            error_page 401 = @challenge;
        }}
        location ~ "^/v2/.+/blobs/sha256:[0-9a-f]{{64}}$" {{
            limit_except GET {{ deny all; }}
            if ($registry = "") {{ return 404; }}
            set $origin $registry;
            set $key $arg_ns$uri;
            set $zone files;
            proxy_pass $registry$request_uri;
            error_page 401 = @challenge;
{kept}
        }}
        # A client may answer a Basic challenge with its password, over plain HTTP.
        location @challenge {{
            if ($upstream_http_www_authenticate !~* "^bearer ") {{ return 404; }}
            return 401;
        }}
        location /kubernetes/ {{
            limit_except GET {{ deny all; }}
            if ($kubernetes = "") {{ return 404; }}
            if ($kubernetes ~ "^(https?://[^/]+)") {{ set $origin $1; }}
            set $key $kubernetes;
            set $zone off;
            if ($uri ~ "[.]deb$") {{ set $zone files; }}
            proxy_pass $kubernetes;
{kept}
        }}
        location / {{
            return 404;
        }}
{redirected}
    }}

    # Other packages: apt's proxy.
    server {{
        listen {address}:{port} default_server;
        server_name _;

        location / {{
            limit_except GET {{ deny all; }}
            set $origin http://$http_host;
            set $key $http_host$request_uri;
            set $zone off;
            if ($uri ~ "[.]deb$|/by-hash/[A-Za-z0-9]+/[0-9a-f]+$") {{ set $zone files; }}
            proxy_pass http://$http_host$request_uri;
{kept}
        }}
{redirected}
    }}
}}
"""

_KEPT = """\
            proxy_set_header Accept-Encoding identity;
            proxy_cache $zone;
            proxy_cache_key $key;
            error_page 301 302 303 307 308 = @redirected;"""

# Without the client's token, which is not for that server.
_REDIRECTED = f"""
        location @redirected {{
            set $target $upstream_http_location;
            if ($target ~ "^/") {{ set $target $origin$target; }}
            if ($target !~ "^https?://") {{ return 502; }}
            if ($target ~ "^(https?://[^/]+)") {{ set $origin $1; }}
            proxy_pass $target;
            proxy_set_header Authorization "";
{_KEPT}
        }}"""

# apt runs it with the URL of a server. Nothing printed: what apt is configured for otherwise.
_DETECT = """\
#!/bin/bash
{head}
# Prints the proxy that shares downloads if it answers for the server of the URL $1.
server=${{1#http://}}
server=${{server%%/*}}
[ "$server" != {address}:{port} ] || {{ echo DIRECT; exit 0; }}
own=
eval "$(apt-config shell own Acquire::http::Proxy 2>/dev/null)"
[ -z "$own" ] || exit 0
status=$(timeout 20 bash -c 'exec 3<>/dev/tcp/{address}/{port} || exit
printf "HEAD http://%s/ HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n" "$1" "$1" >&3
read -r _ status _ <&3 && echo "$status"' bash "$server" 2>/dev/null)
case $status in [234]??) echo http://{address}:{port} ;; esac
exit 0
"""


def url(address: str) -> str:
    """The URL of the node that keeps the downloads, for containerd and apt."""
    return f"http://{address}:{PORT}"


def unit(config: str) -> str:
    """The text of the systemd unit; ``config``: nginx's configuration file."""
    return _UNIT.format(head=HEAD, config=config, name=NAME, memory=MEMORY_MB, sandbox=SANDBOX)


def server(
    address: str, nameservers: Sequence[str], kubernetes: str, mirrors: Mapping[str, str]
) -> str:
    """
    nginx's configuration.

    + address: to listen on
    + nameservers: addresses of DNS servers
    + kubernetes: URL of the repository of Kubernetes packages; {minor} stands for the minor
    + mirrors: of registries, as in ``formats.registry_mirrors``; they are asked instead
    """
    origins = {HUB: f"https://{HUBS_SERVER}"} | dict(mirrors)
    default = origins.pop("_default", "")
    lines = [f'default "{default}";', *(f'"{name}" "{at}";' for name, at in origins.items())]
    if not default:
        lines.append(r'"~^(?<name>[a-z0-9][a-z0-9.-]*\.[a-z]+)$" "https://$name";')
    return _CONFIG.format(
        head=HEAD,
        name=NAME,
        folder=_FOLDER,
        resolvers=" ".join(nameservers),
        cache=CACHE_MB,
        free=FREE_MB,
        days=DAYS,
        registries="\n".join(f"        {line}" for line in lines),
        kubernetes=kubernetes.replace("{minor}", "${minor}"),
        address=address,
        port=PORT,
        kept=_KEPT,
        redirected=_REDIRECTED,
    )


def detection(address: str) -> str:
    """The program that tells apt its proxy; ``address``: of the node that keeps the downloads."""
    return _DETECT.format(head=HEAD, address=address, port=PORT)


def apt_configuration(program: str) -> str:
    """apt's configuration, which names that program."""
    return f'Acquire::http::Proxy-Auto-Detect "{program}";\n'


def kept_packages(address: str, minor: str) -> str:
    """
    The URL at which the Kubernetes packages of a minor are kept.

    + address: of the node that keeps the downloads
    + minor: such as "1.36"
    """
    return f"{url(address)}/kubernetes/{minor}/"


def mirror_list(*urls: str) -> str:
    """apt's mirror list of these repositories, in their order."""
    return "".join(f"{each}\tpriority:{at}\n" for at, each in enumerate(urls, 1))
