#!/usr/bin/env python3
"""papertape and hftbacktest by turns on the same files. See README.md beside this."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HOME = ROOT / "target" / "peers"
PEER = "hftbacktest==2.4.4"
INSTRUMENT = {
    "exchange": "bitmex",
    "source": "the bench",
    "instruments": [
        {
            "symbol": "XBTUSD", "pair": "XBT-USD", "product": {"kind": "spot"}, "tick": "0.5", "lot": "100",
            "min_qty": "100", "max_qty": "100000000", "min_notional": "0", "price_scale": 1, "qty_scale": 0,
            "maker_fee": "-0.0001", "taker_fee": "0.0005",
        }
    ],
}


def pinned(command):
    return (["taskset", "-c", "0"] if shutil.which("taskset") else []) + [str(part) for part in command]


def peer_python():
    """The interpreter of an environment that has the peer; made where it is not there."""
    python = HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(HOME, with_pip=True)
    if subprocess.run([python, "-c", "import hftbacktest"], capture_output=True).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", PEER], check=True)
    return python


def run(command):
    """The printed JSON, seconds and peak memory (MB) of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen(pinned(command), stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return json.loads(output), time.perf_counter() - begin, usage.ru_maxrss / 1024


def ours(options, folder, out):
    command = [
        ROOT / "target" / "release" / "papertape", "--data-dir", folder / "data", "--json", "--quiet", "backtest",
        "--connector", "bitmart_paper_trade", "--pair", "XBT-USD", "--strategy", "grid_quoter",
        "--queue", "probabilistic:power=2", "--clock", "exchange", "--latency", "none", "--public-market", "tape",
        "--instruments", folder / "instruments.json",
        "--balance", "XBT=1000000", "--balance", "USD=1000000000000",
        "--csv", options.trades, "--csv", options.book,
    ]
    return run(command + (["--out", folder / "out"] if out else []))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--book", required=True, help="Tardis incremental_book_L2 of XBTUSD")
    parser.add_argument("--trades", required=True, help="Tardis trades of XBTUSD")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.book, options.trades = (str(pathlib.Path(name).resolve()) for name in (options.book, options.trades))
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    python = peer_python()
    best = {"summary": float("inf"), "tables": float("inf"), "convert": float("inf"), "run": float("inf")}
    with tempfile.TemporaryDirectory() as home:
        folder = pathlib.Path(home)
        (folder / "instruments.json").write_text(json.dumps(INSTRUMENT))
        for _ in range(options.rounds):
            summary, seconds, memory = ours(options, folder, out=False)
            best["summary"] = min(best["summary"], seconds)
            best["tables"] = min(best["tables"], ours(options, folder, out=True)[1])
            peer, _, peer_memory = run([python, HERE / "hftbacktest_job.py", "--book", options.book, "--trades", options.trades])
            best["convert"], best["run"] = min(best["convert"], peer["convert"]), min(best["run"], peer["run"])
    theirs = best["convert"] + best["run"]
    print(f"{'':22}{'papertape':>12}{'hftbacktest':>13}{'ratio':>9}")
    print(f"{'CSV to results, s':22}{best['summary']:12.3f}{theirs:13.3f}{theirs / best['summary']:9.1f}")
    print(f"{'  with tables, s':22}{best['tables']:12.3f}{'':13}{theirs / best['tables']:9.1f}")
    print(f"{'peak memory, MB':22}{memory:12.1f}{peer_memory:13.1f}{peer_memory / memory:9.1f}")
    for name, mine, other in [
        ("orders", summary["orders_created"], peer["orders"]),
        ("fills", summary["fills"], peer["fills"]),
        ("volume", float(summary["volume_base"]), peer["volume"]),
        ("position at the end", float(summary["position"]), peer["position"]),
    ]:
        print(f"{name:22}{mine:12,.0f}{other:13,.0f}")
    if abs(summary["fills"] - peer["fills"]) > 0.01 * peer["fills"]:
        sys.exit("the fills differ by more than 1 %: the run is void")


main()
