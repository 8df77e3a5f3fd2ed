#!/bin/sh
# In place of wpasupplicant's own hook (beside this file, diverted): the lab has no radio, its wlan0
# is a cable. The wpa-* lines of an interfaces file are accepted, said once, and have no effect.
if [ "$MODE" = start ] && [ "$PHASE" = pre-up ] && [ -n "$IF_WPA_SSID$IF_WPA_PSK$IF_WPA_CONF" ]; then
    logger -t lab "$IFACE is a cable in the lab: its wpa lines have no effect" || true
fi
exit 0
