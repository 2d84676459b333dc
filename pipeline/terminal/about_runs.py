"""What a person reads of results about trainings: the run, what it gets wrong, doubtful labels, did it help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from string import ascii_lowercase
from typing import Any, TypeAlias

from pipeline.labels import in_words
from pipeline.terminal.known import Known
from pipeline.terminal.tables import MOST, Column, between, counted, percent, rate, sentences, table, width

Document: TypeAlias = Mapping[str, Any]
TOP = 10


def backbones(found: Document, known: Known) -> Iterator[str]:
    """A row a network, those that need no network first."""
    rows = found["backbones"]
    columns = [
        Column("name"),
        Column("parameters", right=True),
        Column("side", right=True),
        Column("weights"),
        Column(""),
    ]
    where = {"bundled": "in the box", "cached": "on this machine", "hub": "fetched first"}
    yield from table(
        columns,
        (
            (
                row["name"],
                f"{row['params_m']:.1f} M" if row["params_m"] else "",
                f"{row['image_size']} px",
                where.get(row["weights"], row["weights"]),
                row["preset"],
            )
            for row in rows
        ),
    )
    yield f"{counted(len(rows), 'network')}, {sum(row['offline'] for row in rows):,} of them without a connection."


def lr_find(found: Document, known: Known) -> Iterator[str]:
    """The rate to train with."""
    yield f"Suggested learning rate: {found['suggestion']:.2g}, in the middle of the valley"
    yield f"The loss falls fastest at {found['steepest']:.2g}."
    yield f"Train with it: --base-lr {found['suggestion']:.2g}"


def train(run: Document, known: Known) -> Iterator[str]:
    """The run, its errors with their intervals, and what was decided."""
    config, counts = run["config"], run["counts"]
    whole = "" if run.get("complete", True) else " It was stopped: this is the best model until then."
    side = f", {config['image_size']} px" if config["image_size"] else ""
    yield from sentences(f"Run {run['run']}: {config['backbone']}{side}, {_time(run['seconds'])}.{whole}")
    rows = [
        (
            f"{split} split",
            percent(run[split]["error_rate"]),
            between(run[split]["low"], run[split]["high"]),
            f"{run[split]['n']:,}",
        )
        for split in ("valid", "test")
        if run.get(split, {}).get("n")
    ]
    scenes = run.get("new_scenes") or {}
    if scenes.get("error_rate") is not None:
        rows.append(("a new place", percent(scenes["error_rate"]), between(scenes["low"], scenes["high"]), ""))
    yield from table(
        [
            Column("wrong on"),
            Column("error", right=True),
            Column("95 % interval", right=True),
            Column("images", right=True),
        ],
        rows,
    )
    majority = (run.get("baselines") or {}).get("majority")
    if isinstance(majority, float):
        yield f"Always answering the most frequent class is wrong on {percent(majority)}."
    yield from sentences(run.get("decision") or "", *run.get("notes", ()))
    yield f"Learnt from {counts['train']:,} images; best epoch: {run['best_epoch']}."


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def review(found: Document, known: Known) -> Iterator[str]:
    """The error, the confusion matrix, what is confused most, and the top losses."""
    wrong = round((found["error_rate"] or 0) * found["n"])
    if found["n"]:
        judged = f"{wrong:,} of {found['n']:,} images of the {found['split']} split"
        yield from sentences(f"Run {found['run']} is wrong on {judged}: {rate(found)}.")
    else:
        yield f"No image of the {found['split']} split can be judged."
    if found["changed"] or found["gone"]:
        yield f"Since it was trained, {found['changed']:,} got another label and {found['gone']:,} are gone."
    yield from _matrix(found["classes"], found["confusion"], found["per_class"])
    if found["most_confused"]:
        yield "Most confused:"
        yield from table(
            [Column("actual"), Column("predicted"), Column("images", right=True)], found["most_confused"], TOP
        )
    if found["top_losses"]:
        yield "Top losses:"
        losses = found["top_losses"]
        pictures = known.pictures(row["id"] for row in losses[:MOST])
        columns = [Column("id", whole=True), Column("picture", name=True), Column("actual"), Column("predicted")]
        rows = (
            (
                *((pictures[row["id"]].id, pictures[row["id"]].name) if row["id"] in pictures else ("", "")),
                in_words(row["actual"]),
                in_words(row["predicted"]),
                f"{row['loss']:.2f}" if row["loss"] is not None else "",
                percent(row["probability"]),
            )
            for row in losses
        )
        yield from table([*columns, Column("loss", right=True), Column("sure", right=True)], rows)


def _matrix(classes: Sequence[str], confusion: Sequence[Sequence[int]], per_class: Sequence[Document]) -> Iterator[str]:
    """The confusion matrix with the names of its classes, or with letters for them; where it is too wide for the
    terminal, class by class how many were found.
    """
    from rich.cells import cell_len

    names = [in_words(name) for name in classes]
    longest = max(map(cell_len, names), default=0)
    digits = max((len(f"{count:,}") for row in confusion for count in row), default=1)
    by_name = longest + sum(max(digits, cell_len(name)) + 2 for name in names) + 9 <= width() - 2
    letters = [_letter(number) for number in range(len(names))]
    found = {row["class"]: percent(row["recall"]) for row in per_class}
    if not by_name and min(longest, 24) + sum(max(digits, len(one)) + 2 for one in letters) + 12 > width() - 2:
        yield f"The matrix of {len(names):,} classes is too wide here (--json has it). Found of each class:"
        rows = sorted(per_class, key=lambda row: row["recall"] if row["recall"] is not None else 2)
        columns = [
            Column("class"),
            Column("images", right=True),
            Column("found", right=True),
            Column("95 % interval", right=True),
        ]
        yield from table(
            columns,
            (
                (
                    in_words(row["class"]),
                    f"{row['n']:,}",
                    percent(row["recall"]),
                    between(row["recall_low"], row["recall_high"]),
                )
                for row in rows
            ),
        )
        return
    yield "Confusion matrix (a row is what it is, a column what it was taken for):"
    heads = names if by_name else letters
    columns = [Column(""), *(Column(head, right=True) for head in heads), Column("found", right=True)]
    yield from table(
        columns,
        (
            (
                name if by_name else f"{letter} {name}",
                *(f"{count:,}" if count else "." for count in row),
                found.get(own, ""),
            )
            for own, name, letter, row in zip(classes, names, letters, confusion, strict=True)
        ),
        len(names),
    )


def _letter(number: int) -> str:
    """a, b ... z, aa, ab ..."""
    first, last = divmod(number, len(ascii_lowercase))
    return (ascii_lowercase[first - 1] if first else "") + ascii_lowercase[last]


def suspects(found: Document, known: Known) -> Iterator[str]:
    """The queue, the worst first, and how to decide about the first."""
    queue = found["suspects"]
    if not queue:
        yield "No label is doubtful."
        return
    pictures = known.pictures(row["id"] for row in queue[:MOST])
    columns = [
        Column("id", whole=True),
        Column("picture", name=True),
        Column("label"),
        Column("suggested"),
        Column("sure", right=True),
        Column("why"),
    ]
    yield from table(
        columns,
        (
            (
                *((pictures[row["id"]].id, pictures[row["id"]].name) if row["id"] in pictures else ("", "")),
                in_words(row["label"]),
                in_words(row["suggested"]),
                percent(row["suggested_probability"]),
                row["kind"],
            )
            for row in queue
        ),
    )
    first = queue[0]
    yield from sentences(f"{pictures[first['id']].id}: {first['why']}")
    command = f"python cli.py decide {quote(str(known.root or 'WORKSPACE'))} --id {pictures[first['id']].id}"
    yield "Decide about it (or with --keep, or --remove):"
    yield f"  {command} --relabel {quote(first['suggested'])}"


def compare(found: Document, known: Known) -> Iterator[str]:
    """The verdict in words, then both runs, and the pictures that one has right and the other wrong."""
    yield from sentences(found["words"])
    columns = [
        Column("run"),
        Column("wrong", right=True),
        Column("error", right=True),
        Column("95 % interval", right=True),
    ]
    rows = (found[one] for one in ("a", "b"))
    yield from table(
        columns,
        (
            (row["run"], f"{row['errors']:,}", percent(row["error_rate"]), between(row["low"], row["high"]))
            for row in rows
        ),
    )
    for key, words in ("fixed_images", "Wrong before, right now"), ("broken_images", "Right before, wrong now"):
        ids = found[key]
        if ids:
            pictures = known.pictures(ids[:TOP])
            yield f"{words}:"
            shown = (
                (pictures[one].id, pictures[one].name, in_words(pictures[one].label)) if one in pictures else ()
                for one in ids
            )
            yield from table([Column("id", whole=True), Column("picture", name=True), Column("label")], shown, TOP)


def ledger(found: Document, known: Known) -> Iterator[str]:
    """A row a run, oldest first: on how many images it was trained, after how many decisions, its error on the test
    split then and by the labels of today, and in new places; then what came of each.
    """
    rows = found["runs"]
    if not rows:
        yield "Nothing was trained in this workspace yet."
        return
    columns = [Column("run", whole=True), Column("train", right=True), Column("decided", right=True)]
    columns += [Column(head, right=True) for head in ("test", "today", "new place")]
    yield from table(
        columns,
        (
            (
                row["run"],
                f"{row['train']:,}" if row["train"] is not None else "",
                f"{row['decisions']:,}" if row["decisions"] is not None else "",
                percent(row["error_rate"]),
                percent(row["error_rate_today"]),
                percent(row["new_scenes"]),
            )
            for row in rows
        ),
        len(rows),
    )
    for row in rows:
        called = f"{row['run']} ({row['name']})" if row["name"] != row["run"] else row["run"]
        then = between(row["low"], row["high"])
        words = [f"{called}:", f"95 % interval {then};" if then else ""]
        words.append(f"{row['verdict']}, against {row['against']}" if row["verdict"] else "the first")
        if row["needed"]:
            words.append(f"(about {row['needed']:,} more test images would tell)")
        if row["audited_before"]:
            words.append("(its test labels were looked at before)")
        yield from sentences("-", *words)
    for note in found["notes"]:
        yield from sentences(note)
