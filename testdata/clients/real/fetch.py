"""Python's requests against a gateway: BASE ID SECRET PATH FOLDER. Prints the status of each request."""
import sys

import requests

base, device, secret, path, out = sys.argv[1:]
auth = (device, secret)
firmware = base + "/api/iot/firmware"


def told(answer, name=None):
    print(answer.status_code, end=" ")
    if name:
        with open(f"{out}/{name}", "wb") as f:
            f.write(answer.content)
    return answer


whole = told(requests.get(firmware, auth=auth), "whole")
rest = told(requests.get(firmware, auth=auth, headers={"Range": "bytes=10000-"}))
with open(f"{out}/resumed", "wb") as f:
    f.write(whole.content[:10000] + rest.content)
told(requests.get(firmware, auth=auth, headers={"Range": "bytes=99999999-"}))
told(requests.get(firmware, auth=auth, headers={"If-None-Match": whole.headers["ETag"]}))
told(requests.get(firmware, auth=(device, "wrong")))
told(requests.get(base + "/api/iot/manifest.json", auth=auth), "manifest")
told(requests.post(base + "/api/iot/coredump", params={"chip": "esp32c3", "firmware_version": "1.0.0"}, data=b"a dump by requests", auth=auth))
told(requests.get(base + path + "/api/iot/firmware"), "below")
