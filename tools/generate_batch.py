"""The sections of docs/batch.md that follow from what `benchmarks/batch.py` measured."""

from __future__ import annotations

import math
import statistics
from typing import Any

MACHINES = (("4 vCPU", 4, 0.17), ("16 vCPU", 16, 0.68), ("96 vCPU", 96, 4.08))
"""Name, hardware threads, dollars an hour: assumptions, to be replaced by the prices at hand."""


def batch_parts(measured: dict[str, Any]) -> dict[str, str]:
    return {"measured": measured_section(measured), "plan": plan_section(measured["throughput"], measured["larger"])}


def measured_section(measured: dict[str, Any]) -> str:
    speed, kills, ray = measured["throughput"], measured["kills"], measured["ray"]
    about = speed["machine"]
    lines = [
        "## Measured",
        "",
        "`python benchmarks/batch.py throughput|larger|kills|ray --json docs/results/batch.json`, whose header describes what is measured and "
        f"how. {about['processor']}, {about['cpus']} cores, {about['platform']}, Python {about['python']}; {about['date']}. "
        "Processor time is that of all processes from start to exit; the load before each run is in the table.",
        "",
        f"**Throughput**: the first {speed['photos']:,} photos of FairFace's validation set (112×112 pixels, one Parquet file), "
        "default settings.",
        "",
        "| run | workers | load before | seconds | photos per second | processor seconds | photos per processor second |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, row in enumerate(speed["rows"]):
        lines.append(
            f"| {number // 2 + 1} | {row['workers']} | {row['load']:.1f} | {row['seconds']:.1f} | {row['per_second']:.1f} | "
            f"{row['cpu_seconds']:.1f} | {row['per_cpu_second']:.1f} |"
        )
    one, two = (rate(speed, workers) for workers in (1, 2))
    wall = [statistics.median(row["per_second"] for row in speed["rows"] if row["workers"] == n) for n in (1, 2)]
    lines += [
        "",
        f"{wall[0]:.1f} photos per second with one worker, {wall[1]:.1f} with two, start included: {wall[1] / wall[0]:.2f} times as many. "
        f"Per processor second {one:.1f} and {two:.1f}. The tables of one and of two "
        f"workers are {'the same, byte by byte' if speed['identical'] else 'NOT the same'}: "
        f"{speed['rows'][0]['faces']:,} faces, {speed['result_bytes'] / 1e3:,.0f} kB.",
        "",
        f"**Kills**: {kills['photos']} photos in {kills['shards']} shards, {kills['seconds']:.0f} s uninterrupted; SIGKILL to all "
        "processes of the run at a random moment, then `--resume`.",
        "",
        "| killed after | shards finished then | result equals the uninterrupted one |",
        "|---|---|---|",
        *(
            f"| {row['moment']:.1f} s | {row['finished_before']} of {kills['shards']} | {'yes, byte by byte' if row['equal'] else 'NO'} |"
            for row in kills["rows"]
        ),
        "",
        f"**Ray** {ray['ray']}, two nodes on this machine with one CPU and {ray['store_megabytes']:.0f} MB of object store each; "
        f"{ray['photos']} uncompressed portraits, {ray['megabytes']} MB, in {ray['shards']} shards. The actor on the second node was "
        f"killed after {ray['actor_killed_after']} shards, the second node (all of its {ray['node_processes_killed']} processes) after "
        f"{ray['node_killed_after']}. The run continued without help and ended with exit code {ray['exit_code']} after {ray['seconds']:.0f} s; "
        f"its result {'equals' if ray['equal'] else 'does NOT equal'} that of the local engine"
        f"{', byte by byte' if ray['equal'] else ''}. Spilled to disk meanwhile, according to `ray memory --stats-only` and the logs: "
        f"at least {ray['spilled_megabytes']:,} MiB in {ray['spilled_objects']} objects (the benchmark lets objects spill from 30 % of "
        "a store on). This shows robustness, not speed: two nodes share two cores.",
        "",
        buckets_paragraph(measured["buckets"]),
    ]
    return "\n".join(lines)


def buckets_paragraph(measured: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in measured["packages"].items())
    stores = [
        f"{scheme}:// ({measured[scheme]['server']}), killed with {measured[scheme]['finished_before']} of {measured[scheme]['shards']} shards "
        f"finished: {'equal, byte by byte' if measured[scheme]['equal'] else 'NOT equal'}, and the rows "
        f"{'those' if measured[scheme]['as_local'] else 'NOT those'} of the same photos on a disk"
        for scheme in ("s3", "gs")
    ]
    return (
        f"**Buckets**: {measured['photos']} portraits read from and results written to a bucket, SIGKILL in the middle of the run, `--resume`, compared "
        f"with an uninterrupted run ({packages}; `benchmarks/batch.py buckets`): {'; '.join(stores)}. The servers ran on this "
        "machine, so speed was not measured; the services of Amazon and Google were not tried."
    )


def plan_section(speed: dict[str, Any], larger: dict[str, Any]) -> str:
    core, side = larger["per_cpu_second"], larger["pixels"]
    lines = [
        f"Photos of {side}×{side} pixels, {larger['bytes'] / 1000:.0f} kB, with one face: {core:.1f} per processor second "
        f"(`benchmarks/batch.py larger`: {larger['photos']} photos, {larger['cpu_seconds']:.1f} processor seconds); the 112×112 ones "
        f"above: {rate(speed, 2):.0f}. Cost of 10⁶ photos = 10⁶ / (photos per processor second × cores × 3,600) × price per hour. "
        "This assumes that every core is available to the run and that storage keeps up; it excludes the cost of requests, traffic and "
        "storage. A hardware thread of a cloud machine counts as half a core of the measured machine. **The prices are "
        "assumptions: use your own, and the rate measured on a thousand of your photos.**",
        "",
        "| machine | assumed price per hour | photos per second | hours for 10⁶ | cost of 10⁶ | cost of 10⁹ | machines for 10⁹ in a week | reads per machine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, threads, price in MACHINES:
        per_second = core * threads / 2
        hours = 1e6 / per_second / 3600
        machines = math.ceil(1e9 / per_second / (7 * 86_400))
        lines.append(
            f"| {name} | ${price:.2f} | {per_second:,.0f} | {hours:.2f} | ${hours * price:.2f} | ${1000 * hours * price:,.0f} | "
            f"{machines:,} | {per_second * larger['bytes'] / 1e6:,.1f} MB/s |"
        )
    faces = speed["result_bytes"] / speed["rows"][0]["faces"]
    lines += [
        "",
        f"The results take {faces:,.0f} bytes per face as compressed Parquet here: {faces * 1e9 / 1e12:.2f} TB for 10⁹ faces.",
    ]
    return "\n".join(lines)


def rate(speed: dict[str, Any], workers: int) -> float:
    """Photos per processor second."""
    return statistics.median(row["per_cpu_second"] for row in speed["rows"] if row["workers"] == workers)
