"""Where errors are: the error rate by size of the picture, by where it came from, and by what was searched for."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from pipeline.labels import Flags
from pipeline.train.evaluate import error_rate_interval

SIZE, SOURCE, QUERY = "size", "source", "query"
SLICED_BY = (SIZE, SOURCE, QUERY)
# By the shorter side. Most networks see 224 pixels; thumbnails have 150 or so, photographs 1,000 and more.
EDGES = (128, 256, 512, 1024)
SIZES = ("under 128 px", "128 to 255 px", "256 to 511 px", "512 to 1,023 px", "1,024 px and more")


@dataclass(frozen=True)
class Slice:
    """The ``n`` images of one ``kind`` (of SLICED_BY) and ``name``, ``errors`` of them wrong: the ``error_rate`` with
    its 95 % interval (Wilson). ``worse``: its interval lies wholly above the one of all other images of the split, both
    made wider by how many slices of the kind are looked at (Bonferroni), so that chance marks hardly any.
    """

    kind: str
    name: str
    n: int
    errors: int
    error_rate: float
    low: float
    high: float
    worse: bool


def slices(predictions: pd.DataFrame, sources: pd.DataFrame) -> list[Slice]:
    """The slices of judged predictions: sizes from small to large, sources and queries with the highest error first.

    ``sources``: those of the store. An image that came from several places counts in each. A kind that does not divide
    the images is left out.
    """
    wrong = (predictions["label"] != predictions["predicted"]).to_numpy(dtype=bool)
    members = _members(predictions, sources)
    places = pd.Index(predictions["id"]).get_indexer(members["id"])
    counted = members.assign(wrong=wrong[places]).groupby(["kind", "name"], sort=False, as_index=False)
    table = counted.agg(n=("wrong", "size"), errors=("wrong", "sum"))
    rows = zip(table["kind"], table["name"], table["n"].tolist(), table["errors"].tolist(), strict=True)
    looked_at = table["kind"].value_counts()
    found = [_slice(str(kind), str(name), n, errors, wrong, looked_at[kind]) for kind, name, n, errors in rows]
    whole = {kind for kind in SLICED_BY if not any(one.kind == kind and one.n < len(wrong) for one in found)}

    def order(one: Slice) -> tuple[object, ...]:
        within = [SIZES.index(one.name)] if one.kind == SIZE else [-one.low, -one.error_rate, one.name]
        return SLICED_BY.index(one.kind), *within

    return sorted((one for one in found if one.kind not in whole), key=order)


def in_slice(predictions: pd.DataFrame, sources: pd.DataFrame, kind: str, name: str) -> Flags:
    """[N]: which images are in that slice."""
    members = _members(predictions, sources)
    ids = members[(members["kind"] == kind) & (members["name"] == name)]["id"]
    inside: Flags = predictions["id"].isin(set(ids)).to_numpy(dtype=bool)
    return inside


def _slice(kind: str, name: str, n: int, errors: int, wrong: Flags, looked_at: int) -> Slice:
    z = NormalDist().inv_cdf(1 - 0.025 / looked_at)
    above, _ = error_rate_interval(errors, n, z)
    _, rest = error_rate_interval(int(wrong.sum()) - errors, len(wrong) - n, z)
    return Slice(kind, name, n, errors, errors / n, *error_rate_interval(errors, n), above > rest)


def _members(predictions: pd.DataFrame, sources: pd.DataFrame) -> pd.DataFrame:
    """One row for each slice that an image is in: id, kind, name."""
    sized = predictions[predictions["width"].notna() & predictions["height"].notna()]
    shorter = np.minimum(sized["width"].to_numpy(dtype=float), sized["height"].to_numpy(dtype=float))
    names = np.array(SIZES, dtype=object)[np.searchsorted(EDGES, shorter, side="right")]
    parts = [pd.DataFrame({"id": sized["id"].to_numpy(), "kind": SIZE, "name": names})]
    known = sources[sources["image_id"].isin(set(predictions["id"]))]
    for kind, column in ((SOURCE, "provider"), (QUERY, "query")):
        named = known[known[column].notna() & (known[column] != "")]
        parts.append(pd.DataFrame({"id": named["image_id"], "kind": kind, "name": named[column]}))
    return pd.concat(parts, ignore_index=True).drop_duplicates()
