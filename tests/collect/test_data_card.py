"""The card says where the pictures come from and under which claimed licences; no word of a stranger does more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from huggingface_hub import DatasetCard

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, attributions, data_card, write_card
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import WorkspaceError
from pipeline.safe_text import restored
from pipeline.stage import run
from pipeline.workspace.records import NewImage, State, Verdict, Wish
from pipeline.workspace.workspace import Workspace

HOSTILE = '=HYPERLINK("http://evil.example")\n| <script>alert(1)</script> [x](javascript:1)'


def image(number: int, **options: object) -> NewImage:
    image_id = f"{number:064x}"
    found = NewImage(
        image_id,
        f"{image_id[:2]}/{image_id}.jpg",
        1000,
        "cat",
        "openverse",
        f"https://a.example/{number}.jpg",
        page_url=f"https://a.example/page/{number}",
        licence="CC BY 4.0",
        query="cat photo",
        title=f"Cat {number}",
        creator="Ann",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
    )
    return replace(found, **options)  # type: ignore[arg-type]


@pytest.fixture
def collected(workspace: Workspace) -> Workspace:
    """Three licensed cats, an own dog, one of each that is out, and candidates that brought nothing."""
    workspace.store.add_images(
        [
            *(image(number) for number in (1, 2, 3)),
            image(
                4,
                label="dog",
                provider="file",
                name="dogs/4.jpg",
                page_url=None,
                licence=None,
                query=None,
                title=None,
                creator=None,
                licence_url=None,
            ),
            image(5, name="https://b.example/5.jpg"),
            image(6, label="dog"),
            image(
                1,
                provider="wikimedia",
                name="https://c.example/1.jpg",
                licence="CC0 1.0",
                licence_url=None,
                original_sha256="f" * 64,
                original_bytes=9_000_000,
            ),
        ]
    )
    ids = {number: f"{number:064x}" for number in range(1, 7)}
    workspace.store.record_verdicts(
        [Verdict(ids[number], "ok", "ok", "") for number in (1, 2, 3, 4)]
        + [Verdict(ids[5], "set_aside", "truncated", "It ends too early.")]
    )
    workspace.store.journal.decide([Wish(ids[6], "remove", lambda state: replace(state, status="removed"))])
    workspace.store.set_splits({ids[1]: "train", ids[2]: "train", ids[3]: "test"})
    workspace.store.add_candidates(
        {"url": f"https://gone.example/{n}", "label": "cat", "provider": "openverse"} for n in (1, 2)
    )
    workspace.store.record_downloads(
        [
            {
                "url": f"https://gone.example/{n}",
                "label": "cat",
                "status": "failed",
                "code": "http_error",
                "reason": "404",
                "sha256": None,
                "again": 0,
            }
            for n in (1, 2)
        ]
    )
    return workspace


def rows(card: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the card, without its head."""
    section = card.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_the_card_counts_what_is_kept(collected: Workspace) -> None:
    card = data_card(collected)
    assert "\n# workspace\n" in card and "4 pictures of 2 classes" in card
    assert rows(card, "The classes") == [["cat", "2", "0", "1", "0", "3"], ["dog", "0", "0", "0", "1", "1"]]
    today = attributions(collected)["fetched_at"][0][:10]
    assert rows(card, "Where the pictures come from") == [
        ["openverse", r"a.example \(3\)", today, today, "3"],
        ["file", "", today, today, "1"],
        ["wikimedia", r"c.example \(1\)", today, today, "1"],
    ]
    assert "Of them, 1 picture found by more than one" in card
    assert rows(card, "What was searched for") == [["cat photo", "openverse", "3"], ["cat photo", "wikimedia", "1"]]
    assert rows(card, "The licences that are claimed") == [
        ["CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", "3"],
        ["CC0 1.0", "", "1"],
        ["not stated", "", "1"],
    ]
    assert "nobody checked them" in card
    assert "without a stated licence: 1; without a named author: 1." in card


def test_the_card_says_what_is_missing_and_what_was_changed(collected: Workspace) -> None:
    card = data_card(collected)
    assert "- 1 picture set aside (truncated: 1)." in card
    assert "- 1 picture removed by a person." in card
    assert "| The site said no | 2 |" in card
    assert "- 1 picture reduced in size when downloaded" in card
    assert "- 0 labels changed" in card
    collected.store.journal.decide([Wish(f"{1:064x}", "relabel", lambda state: State(("dog",), state.status))])
    assert "- 1 label changed" in data_card(collected)
    collected.store.add_images([image(9)])
    assert "- 1 picture not checked yet" in data_card(collected)


def test_a_new_workspace_has_a_card_too(workspace: Workspace) -> None:
    card = data_card(workspace)
    assert "0 pictures of 0 classes" in card and rows(card, "The classes") == []
    assert attributions(workspace).empty
    assert [path.name for path in write_card(workspace)] == [CARD, ATTRIBUTIONS]


def test_each_label_of_a_picture_counts(workspace: Workspace) -> None:
    workspace.store.add_images([image(1, label="cat|dog"), image(2, label=None)])
    card = data_card(workspace)
    assert [row[0] for row in rows(card, "The classes")] == ["cat", "dog"]
    assert "counted once for each" in card and "1 picture without a label." in card
    workspace.store.journal.decide([Wish(f"{1:064x}", "relabel", lambda state: State(("dog", "cat"), state.status))])
    assert "- 0 labels changed" in data_card(workspace), "the order of labels is no change"


@pytest.mark.parametrize(
    ("licences", "word"),
    [
        (["CC BY 4.0", "CC BY 4.0"], "cc-by-4.0"),
        (["CC0 1.0"], "cc0-1.0"),
        (["MIT"], "mit"),
        (["CC BY 4.0", "CC BY-SA 4.0"], "other"),
        (["All rights reserved: me"], "other"),
        (["CC BY 4.0", None], "unknown"),
        ([None], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_front_matter_names_a_licence_only_if_all_claim_it(
    workspace: Workspace, licences: list[str | None], word: str
) -> None:
    workspace.store.add_images([image(number, licence=licence) for number, licence in enumerate(licences)])
    matter = DatasetCard(data_card(workspace)).data
    assert matter.license == word
    assert matter.task_categories == ["image-classification"] and matter.size_categories == "n<1K"


def test_pictures_of_the_starter_set_have_its_licence(workspace: Workspace) -> None:
    run(import_images(workspace, ImportConfig("starter")))
    card = (workspace.root / CARD).read_text(encoding="utf-8")
    assert rows(card, "The licences that are claimed")[0][0] == "MIT"
    assert set(attributions(workspace)["licence"]) == {"MIT"}


def test_foreign_words_are_plain_text_on_the_card(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "a: b # <img src=x> 🐻")
    workspace.store.add_images(
        [
            image(
                1,
                label=HOSTILE.replace("|", "｜"),
                query=HOSTILE,
                licence=HOSTILE,
                licence_url=HOSTILE,
                provider=HOSTILE,
                name=HOSTILE,
            )
        ]
    )
    card = data_card(workspace)
    assert DatasetCard(card).data.pretty_name == "a: b # <img src=x> 🐻"
    body = card.split("---\n", 2)[2]
    assert not re.search(r"<(script|img)", body) and "](javascript" not in body
    for heading, cells in (("The classes", 6), ("What was searched for", 3), ("The licences that are claimed", 3)):
        assert [len(row) for row in rows(card, heading)] == [cells]


def test_attributions_have_a_line_for_every_picture_and_place(collected: Workspace) -> None:
    table = attributions(collected)
    assert list(table["id"]).count(f"{1:064x}") == 2 and len(table) == 6, "set aside is there, removed is not"
    first = table.iloc[0]
    assert first["creator"] == "Ann" and first["source"] == "https://a.example/1.jpg"
    assert first["page_url"] == "https://a.example/page/1" and first["title"] == "Cat 1"
    named = attributions(collected, {f"{2:064x}": "train/cat/2.jpg"})
    assert list(named["file"]) == ["train/cat/2.jpg"]


def test_attributions_run_no_formula_and_are_read_back(workspace: Workspace) -> None:
    words = ["=1+1", "+1", "@x", "＝1", "\t=1", " -x", "a;=1", "'=x", 'say "hi", ok', "Bär 🐻", HOSTILE]
    workspace.store.add_images(
        image(number, title=word, creator=word, label=f"c{number}") for number, word in enumerate(words)
    )
    _, path = write_card(workspace)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel knows UTF-8 by this"
    read = pd.read_csv(path, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(read.map(restored), attributions(workspace), check_dtype=False)
    assert list(read["title"].map(restored)) == [" ".join(word.split()) for word in words]
    for cell in read["title"]:
        assert cell == "+1" or not re.match(r"\s*[=+\-@＝]", cell)


def test_the_card_is_written_anew_and_whole(collected: Workspace, tmp_path: Path) -> None:
    first = write_card(collected)
    assert first == [collected.root / CARD, collected.root / ATTRIBUTIONS]
    collected.store.add_images([image(7)])
    write_card(collected)
    assert "5 pictures of 2 classes" in first[0].read_text(encoding="utf-8")
    assert not list(collected.root.glob("*.part"))
    assert Workspace.create(collected.root).store.images().shape[0] == 7, "the workspace opens with them in it"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        write_card(collected, tmp_path / "file")
