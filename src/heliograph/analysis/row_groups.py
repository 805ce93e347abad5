"""Some rows of a Parquet file, whatever its size: row group by row group, drawn from a seed."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["MOST_ROWS", "sampled_rows"]

MOST_ROWS = 500_000
"""Utterances that are read at most: more change no measure, and fill the memory."""
BATCH = 65_536


def sampled_rows(file: pq.ParquetFile, *, columns: Sequence[str], at_most: int = MOST_ROWS, seed: int = 0) -> pa.Table:
    """The rows of some columns; of more than `at_most` so many, drawn without replacement, in their order."""
    number = file.metadata.num_rows
    if number <= at_most:
        return file.read(columns=list(columns))
    chosen = np.sort(np.random.default_rng(seed).choice(number, size=at_most, replace=False, shuffle=False))
    parts, start = [], 0
    for batch in file.iter_batches(batch_size=BATCH, columns=list(columns)):
        low, high = np.searchsorted(chosen, (start, start + batch.num_rows))
        if high > low:
            parts.append(batch.take(pa.array(chosen[low:high] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(parts)
