"""What providers answered, kept on disk for a while: the same question is not asked twice in a day."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.bounded import forget_old
from pipeline.search.candidates import Page, Query, candidate
from pipeline.workspace.workspace import writing

HOURS = 24.0
ASKED = ("label", "provider", "query")  # what the question says of each candidate


@dataclass(frozen=True)
class SearchCache:
    """Pages of answers as JSON files in ``folder``, good for ``hours``. Failures and empty first pages are not kept.

    A file that cannot be read, or does not hold what it should, counts as not there.
    """

    folder: Path
    hours: float = HOURS

    def get(self, provider: str, query: Query) -> tuple[Page, float] | None:
        """The page that was kept, and how old it is in hours."""
        try:
            kept = json.loads(self._file(provider, query).read_bytes())
            hours = (time.time() - float(kept["at"])) / 3600
            rows = [dict(row) for row in kept["candidates"]]
            found = [candidate(provider, query, row.pop("url", None), **row) for row in rows]
            page = Page(tuple(one for one in found if one is not None), kept["more"] is True)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return (page, hours) if 0 <= hours < self.hours and page.candidates else None

    def keep(self, provider: str, query: Query, page: Page) -> bool:
        """Keep a page; False where there is nothing to keep, or the disk refuses, which is no reason to stop."""
        if not page.candidates:
            return False
        kept = {
            "at": time.time(),
            "provider": provider,
            "query": asdict(query),
            "more": page.more,
            "candidates": [
                {key: value for key, value in asdict(one).items() if value and key not in ASKED}
                for one in page.candidates
            ],
        }
        try:
            with writing(self._file(provider, query), durable=False) as part:
                part.write_text(json.dumps(kept), encoding="utf-8")
        except OSError:
            return False
        return True

    def forget_old(self) -> None:
        """Take away the files that are too old to be of use."""
        forget_old(self.folder.glob("*.json"), 3600 * max(self.hours, HOURS))

    def _file(self, provider: str, query: Query) -> Path:
        question = json.dumps([provider, asdict(query)], sort_keys=True)
        return self.folder / f"{hashlib.sha256(question.encode()).hexdigest()}.json"
