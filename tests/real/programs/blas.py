# SPDX-License-Identifier: BSD-2-Clause
# numpy on OpenBLAS: the process's first threads are made while dlopen runs a constructor; they spin
# with sched_yield; and a child of fork multiplies too.
import os
import threading

import numpy

a = numpy.random.default_rng(1).random((400, 400))
b = a @ a


def multiplies():
    for _ in range(5):
        assert numpy.allclose(b, a @ a)
    numpy.linalg.inv(a + numpy.eye(400) * 10)


threads = [threading.Thread(target=multiplies) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
pid = os.fork()
if pid == 0:
    os._exit(0 if numpy.allclose(b, a @ a) else 1)
assert os.waitpid(pid, 0)[1] == 0
print("all right")
