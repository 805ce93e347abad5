#!/usr/bin/env bash
# torch 2.13.0 (torch/distributed, backend gloo): Work.wait(timeout) that times out ends neither the collective nor the group. It
# raises a RuntimeError, and a second wait() on the same Work, once the late peer has come, returns the right sum; later
# collectives of the group work too. One would take the group for broken, as it is with NCCL's watchdog or a timeout of the group.
# Seen: "Operation timed out!", then 3.0 twice.
# Exits with 1 where this has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy
cat >"$folder/late.py" <<'PYTHON'
import datetime
import multiprocessing
import sys
import time

import torch
import torch.distributed as dist


def peer(rank: int, path: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    total = torch.tensor([1.0 + rank])
    if rank == 1:
        time.sleep(2)
    work = dist.all_reduce(total, async_op=True)
    if rank == 0:
        try:
            work.wait(datetime.timedelta(seconds=0.5))
            sys.exit("it did not time out")
        except RuntimeError as error:
            print("first wait:", str(error).splitlines()[0][:120])
    work.wait(datetime.timedelta(seconds=30))
    again = torch.tensor([1.0 + rank])
    dist.all_reduce(again)
    if rank == 0:
        print("second wait:", total.item(), "; a collective after it:", again.item())
        sys.exit(0 if (total.item(), again.item()) == (3.0, 3.0) else 1)


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    peers = [context.Process(target=peer, args=(rank, sys.argv[1])) for rank in range(2)]
    [one.start() for one in peers]
    [one.join(120) for one in peers]
    sys.exit(max(abs(one.exitcode or 0) for one in peers))
PYTHON
"$folder/bin/python" -W ignore "$folder/late.py" "$folder/meet"
