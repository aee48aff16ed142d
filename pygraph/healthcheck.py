"""Exit code 0 when this container's server answers /healthz."""

import os
import sys
from urllib.request import ProxyHandler, build_opener

url = f"http://127.0.0.1:{os.environ['PYGRAPH_PORT']}/healthz"
try:
    with build_opener(ProxyHandler({})).open(url, timeout=15) as response:
        sys.exit(0 if response.status == 200 else 1)
except OSError as error:
    sys.exit(f"{url}: {error}")
