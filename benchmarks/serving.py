"""Measure `retinanet-serve`: throughput and latency with and without batching, and a soak.

    python benchmarks/serving.py MODEL IMAGE [--seconds 20] [--soak 1800]

Clients send IMAGE again as soon as it is answered. The soak sends twice what the server carried at
32 clients, kills its model's process and reloads the model meanwhile, and reports every answer and
the server's memory.
"""

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

PORT = 8599
ADDRESS = f"http://127.0.0.1:{PORT}"
CLIENTS = (1, 8, 32)
OPEN = 200  # requests of the soak at a time: a client of more takes the processor from the server


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("image", type=Path)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--soak", type=float, default=0, metavar="SECONDS")
    parser.add_argument("--engine", default="auto")
    return parser.parse_args()


def start(args, batch):
    """Start a server with batches of at most `batch` images, and wait until it is ready."""
    command = [sys.executable, "-m", "keras_retinanet.bin.serve", f"model={args.model}"]
    options = ["--port", PORT, "--batch-size", batch, "--queue", 128, "--engine", args.engine]
    server = subprocess.Popen([*command, *map(str, options)], stdout=subprocess.DEVNULL)
    while True:
        try:
            if httpx.get(f"{ADDRESS}/readyz").status_code == 200:
                return server
        except httpx.TransportError:
            pass
        time.sleep(0.2)


def stop(server):
    server.send_signal(signal.SIGTERM)
    server.wait(60)


async def load(image, clients, seconds):
    """Return the seconds of each answer to `clients` that ask without pause, and their statuses."""
    times, statuses, until = [], Counter(), time.monotonic() + seconds

    async def ask(client):
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = await client.post(f"{ADDRESS}/detect", content=image)
            times.append(time.perf_counter() - began)
            statuses[answer.status_code] += 1

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        await asyncio.gather(*(ask(client) for _ in range(clients)))
    return times, statuses


def measure(args):
    """Print a row for each number of clients, with and without batches."""
    image = args.image.read_bytes()
    rates = {}
    print("batch  clients  images/s  p50 ms  p95 ms  p99 ms")
    for batch in (1, 8):
        server = start(args, batch)
        try:
            asyncio.run(load(image, 32, 5))  # shapes of all batches
            for clients in CLIENTS:
                times, _ = asyncio.run(load(image, clients, args.seconds))
                rates[batch, clients] = len(times) / args.seconds
                cuts = statistics.quantiles(times, n=100, method="inclusive")
                p50, p95, p99 = (cuts[share - 1] * 1000 for share in (50, 95, 99))
                rate = rates[batch, clients]
                print(f"{batch:5}  {clients:7}  {rate:8.1f}  {p50:6.0f}  {p95:6.0f}  {p99:6.0f}")
        finally:
            stop(server)
    gains = ", ".join(f"{rates[8, n] / rates[1, n]:.2f} at {n}" for n in CLIENTS)
    print(f"with batches / without, by clients: {gains}")
    return rates[8, 32]


def memory_of(server):
    """Return the MB of a server and its children."""
    threads = Path(f"/proc/{server.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    total = 0
    for pid in (server.pid, *children):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return total / 1024


def worker_of(server):
    """Return the process that runs the server's model."""
    threads = Path(f"/proc/{server.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    return next(
        int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
    )


async def flood(args, rate, server):
    """Send `rate` requests a second, while fewer than `OPEN` wait for their answer; return how many
    were sent, their statuses, and (second, MB) of the server.
    """
    image, seconds = args.image.read_bytes(), args.soak
    statuses, memory, tasks = Counter(), [], set()
    began = opened = time.monotonic()

    async def ask(client):
        try:
            statuses[(await client.post(f"{ADDRESS}/detect", content=image)).status_code] += 1
        except httpx.TransportError as error:
            statuses[type(error).__name__] += 1

    limits = httpx.Limits(max_connections=OPEN)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        sent, events = 0, [0.3, 0.6]  # when to kill the process, and to reload
        while (now := time.monotonic() - opened) < seconds:
            due = (time.monotonic() - began) * rate
            while sent < due and len(tasks) < OPEN:
                tasks.add(task := asyncio.create_task(ask(client)))
                task.add_done_callback(tasks.discard)
                sent += 1
            began += max(0, due - sent) / rate  # what waits is not made up for
            if not memory or now - memory[-1][0] > seconds / 60:
                memory.append((now, memory_of(server)))
            if events and now > events[0] * seconds:
                if events.pop(0) == 0.3:
                    os.kill(worker_of(server), signal.SIGKILL)
                else:
                    os.utime(args.model)
                    await asyncio.to_thread(httpx.post, f"{ADDRESS}/reload", timeout=120)
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks)
    return sent, statuses, memory


def soak(args, rate):
    """Print the answers at twice the rate, and how the memory grows in the second half."""
    server = start(args, 8)
    try:
        sent, statuses, memory = asyncio.run(flood(args, 2 * rate, server))
    finally:
        stop(server)
    late = [pair for pair in memory if pair[0] > args.soak / 2]
    slope = statistics.linear_regression(*zip(*late, strict=True)).slope * 60
    print(f"sent {sent} at {2 * rate:.0f} a second: {dict(statuses)}")
    first, last = memory[0][1], memory[-1][1]
    print(f"memory {first:.0f} MB at first, {last:.0f} MB at last; {slope:+.2f} MB a minute")


def main():
    args = parse_args()
    rate = measure(args)
    if args.soak:
        soak(args, rate)


if __name__ == "__main__":
    main()
