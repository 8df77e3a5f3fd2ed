"""Settings of the head alone: its way out, used with topology "nat"."""

# The network in front of the cluster (the home network, on which you are), the interface by which
# the head is on it, and the router there. The head's address on it is its `uplink_address`.
uplink_interface = "wlan0"
uplink_network = "192.168.1.0/24"
uplink_gateway = "192.168.1.1"

# "dhcp": the router there hands out the head's uplink_address (reserve it); "static": the head
# takes it by itself.
uplink_method = "dhcp"

# The Wi-Fi network's name. None: the uplink is a cable.
wifi_ssid = None

# "wpa2", which a network of WPA2 and WPA3 takes too; "wpa3" for one that takes nothing else (ask
# whether the board's radio can: `iw list` names SAE). True: the network does not announce its name.
wifi_security = "wpa2"
wifi_hidden = False

# The file with the Wi-Fi key as its one line (8 to 63 characters, or 64 hexadecimal digits).
# The key is a secret: it stands in this file alone, which git ignores and you alone can read:
#   mkdir -p -m 700 .cluster && install -m 600 /dev/stdin .cluster/wifi_psk
wifi_psk_file = ".cluster/wifi_psk"

# Where you are, as two letters ("US", "DE"): the radio stays off until it knows.
wifi_country = None
