# SPDX-License-Identifier: BSD-2-Clause
# Threads of every use in one Python program: many short ones, many parked at once, queues, a
# socket pair, children started from a pool, timed waits, thread-local data.  N is the first
# argument.  Prints figures, or dies of an assertion.
import concurrent.futures
import queue
import socket
import subprocess
import sys
import threading
import time

PARKED = 2000


def run(targets):
    threads = [threading.Thread(target=t, args=a) for t, *a in targets]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def kernel_threads():
    with open("/proc/self/status") as f:
        return int(next(x for x in f if x.startswith("Threads:")).split()[1])


def many_short(n):
    lock, count = threading.Lock(), [0]

    def add():
        with lock:
            count[0] += 1

    for _ in range(n // 1000):
        run([(add,)] * 1000)
    assert count[0] == n // 1000 * 1000, count


def many_parked():
    """All wait for one event; returns how many kernel threads there are meanwhile."""
    go, arrived, seen = threading.Event(), threading.Semaphore(0), []

    def wait(i):
        arrived.release()
        go.wait()
        time.sleep(0.02)
        seen.append(i)

    threads = [threading.Thread(target=wait, args=(i,)) for i in range(PARKED)]
    for t in threads:
        t.start()
    for _ in threads:
        arrived.acquire()
    time.sleep(0.2)
    kernel = kernel_threads()
    go.set()
    for t in threads:
        t.join()
    assert sorted(seen) == list(range(PARKED))
    return kernel


def producers_consumers():
    q, out = queue.Queue(50), []

    def produce(k):
        for i in range(500):
            q.put(k * 500 + i)

    def consume():
        for x in iter(q.get, None):
            out.append(x)

    consumers = [threading.Thread(target=consume) for _ in range(6)]
    for c in consumers:
        c.start()
    run([(produce, k) for k in range(6)])
    for _ in consumers:
        q.put(None)
    for c in consumers:
        c.join()
    assert sorted(out) == list(range(3000))


def socket_echo():
    a, b = socket.socketpair()

    def echo():
        while data := b.recv(200):
            b.sendall(data)

    t = threading.Thread(target=echo)
    t.start()
    for i in range(400):
        a.sendall(b"message %d" % i)
        assert a.recv(200) == b"message %d" % i
    a.close()
    t.join()
    b.close()


def children():
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        out = pool.map(lambda i: subprocess.check_output(["echo", str(i)]), range(24))
        assert list(out) == [b"%d\n" % i for i in range(24)]


def timed_waits():
    cond, begin = threading.Condition(), time.monotonic()
    with cond:
        assert not cond.wait(0.2)
    assert 0.19 < time.monotonic() - begin < 3


def local_data():
    local, bad = threading.local(), []

    def check(i):
        local.value = i
        time.sleep(0.01)
        if local.value != i:
            bad.append(i)

    run([(check, i) for i in range(300)])
    assert not bad, bad


def main():
    begin = time.monotonic()
    many_short(int(sys.argv[1]))
    short = time.monotonic()
    kernel = many_parked()
    parked = time.monotonic()
    for part in producers_consumers, socket_echo, children, timed_waits, local_data:
        part()
    print("short_ms=%d parked_ms=%d rest_ms=%d kernel=%d" % (
        (short - begin) * 1000, (parked - short) * 1000, (time.monotonic() - parked) * 1000,
        kernel))


main()
