"""steady.py IP PORT UNTIL: asks for / without pause, each time on a new connection, from four threads, until the file
UNTIL exists; prints how many were answered, and each failure. Exits with 1 when one failed."""
import http.client
import os
import sys
import threading
import time

ip, port, until = sys.argv[1], int(sys.argv[2]), sys.argv[3]
answered, failures = [0], []


def ask():
    while not os.path.exists(until):
        try:
            c = http.client.HTTPConnection(ip, port, timeout=10)
            c.request("GET", "/", headers={"Connection": "close"})
            status = c.getresponse().status
            c.close()
            if status != 200:
                raise OSError("status %d" % status)
            answered[0] += 1
        except (OSError, http.client.HTTPException) as e:
            failures.append("%.3f %r" % (time.time(), e))
        time.sleep(0.01)


threads = [threading.Thread(target=ask) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("%d answered, %d failed" % (answered[0], len(failures)))
print("\n".join(failures[:20]))
sys.exit(1 if failures or answered[0] < 50 else 0)
