"""Check that an API server answers this computer over TLS, at a kubeconfig's address."""

from __future__ import annotations

import http.client
import ssl
from base64 import b64decode
from urllib.parse import urlsplit

_TIMEOUT_S = 5


def probe(server: str, ca_data: str) -> str | None:
    """
    Request ``/readyz`` of an API server; return why that failed, None when it answers.

    + server: such as ``https://192.168.1.32:6443``
    + ca_data: the certificate authority that must have signed its certificate, base64 of PEM
    """
    address = urlsplit(server)
    context = ssl.create_default_context(cadata=b64decode(ca_data).decode())
    connection = http.client.HTTPSConnection(
        address.hostname or "", address.port, timeout=_TIMEOUT_S, context=context
    )
    try:
        connection.request("GET", "/readyz")
        connection.getresponse().read()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not valid for it ({error.verify_message})"
    except (OSError, http.client.HTTPException) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()
    return None
