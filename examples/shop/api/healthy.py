"""The health check: 0 when the service and what it needs answer."""
import sys
import urllib.request

try:
    urllib.request.urlopen("http://127.0.0.1:8000/healthz", timeout=4)
except Exception as error:
    print(error)
    sys.exit(1)
