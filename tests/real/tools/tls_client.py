# SPDX-License-Identifier: BSD-2-Clause
# Opens many TLS connections to an echo service, keeps all open, looks at the server's kernel
# threads, then sends and compares messages on every one.   PORT CONNS ROUNDS SERVER-PID
import asyncio
import ssl
import sys
import time

port, conns, rounds, pid = map(int, sys.argv[1:5])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE


def kernel_threads():
    with open("/proc/%d/status" % pid) as f:
        return int(next(x for x in f if x.startswith("Threads:")).split()[1])


def message(i, r):
    size = 1 + (i * 37 + r * 91) % 3000
    return b"%d:%d:" % (i, r) + bytes((i + r + k) % 251 for k in range(size))


async def echo(reader, writer, data):
    writer.write(data)
    await writer.drain()
    back = await reader.readexactly(len(data))
    if back != data:
        raise ValueError("wrong bytes came back")


async def connect(i, gate):
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        await echo(reader, writer, message(i, 0))
        return reader, writer


async def talk(i, reader, writer):
    for r in range(1, rounds + 1):
        await echo(reader, writer, message(i, r))
    writer.close()


async def main():
    begin, gate = time.monotonic(), asyncio.Semaphore(100)
    pairs = await asyncio.gather(*(connect(i, gate) for i in range(conns)))
    opened = time.monotonic()
    await asyncio.sleep(0.3)
    threads = kernel_threads()
    talking = time.monotonic()
    await asyncio.gather(*(talk(i, *p) for i, p in enumerate(pairs)))
    print("connect_ms=%d rounds_s=%d threads=%d" % (
        (opened - begin) * 1000, conns * rounds / (time.monotonic() - talking), threads))


asyncio.run(asyncio.wait_for(main(), 60))
