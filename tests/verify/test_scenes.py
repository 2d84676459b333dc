"""What was taken together is read from what is known, a person has the last word, and no split cuts through it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import UsageError
from pipeline.stage import run
from pipeline.verify.findings import verified
from pipeline.verify.scene_kinds import by_folder, by_site, by_time, time_in, usual_pause
from pipeline.verify.scene_numbers import by_name
from pipeline.verify.scenes import choose, known_scenes, proposals, scenes, waiting
from pipeline.verify.split import SplitConfig, assign_splits, keep_together, new_splits, wait_for_choice
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.records import NewImage, State, Verdict, Wish
from pipeline.workspace.workspace import Workspace

NOON = datetime(2024, 5, 1, 12)
FINE = {"dark_end": 0.5, "bright_end": 0.6, "sharpness": 0.1, "detail": 6.0, "colour": 0.2}


def image(name: str, scene: str | None = None, label: str | None = "cat", page: str | None = None) -> NewImage:
    return NewImage(name, f"{name[:2]}/{name}.jpg", 10, label, "folder", name, page_url=page, scene=scene)


def put(workspace: Workspace, times: Sequence[tuple[str, str, datetime | None]]) -> None:
    """Pictures (name, label, when) as if they had been checked; the names are their ids, too."""
    workspace.store.add_images([image(name, label=label) for name, label, _ in times])
    seen: dict[str, Any] = {"width": 32, "height": 32, "camera": "c", "quality": json.dumps(FINE)}
    workspace.store.record_verdicts(
        [Verdict(name, "ok", "ok", "", taken=when.isoformat() if when else "", **seen) for name, _, when in times]
    )


def sessions(number: int, size: int, label: str = "cat") -> list[tuple[str, str, datetime | None]]:
    """So many scenes of so many pictures, hours apart, and of another label at other hours."""
    return [
        (f"{label}{n:02}-{k}", label, NOON + timedelta(hours=5 * n + (label == "dog") * 2, seconds=20 * k))
        for n in range(number)
        for k in range(size)
    ]


def splits(workspace: Workspace) -> dict[str, str]:
    rows = workspace.store.images()
    return {str(row.id): str(row.split) for row in rows.itertuples() if row.split}


def rows(names: Sequence[str], labels: Sequence[str | None] | str = "cat", **more: Any) -> pd.DataFrame:
    called = [labels] * len(names) if isinstance(labels, str) else list(labels)
    table = {"source_name": list(names), "original_label": called, "source_page": None, **more}
    return pd.DataFrame(table, index=[f"i{n}" for n in range(len(names))], dtype=object)


def together(names: dict[str, str]) -> list[list[int]]:
    """The places of the pictures of each scene."""
    found: dict[str, list[int]] = {}
    for name, scene in names.items():
        found.setdefault(scene, []).append(int(name[1:]))
    return sorted(sorted(places) for places in found.values())


# --- which kind is believed


def test_a_column_comes_before_the_series_that_verify_found(workspace: Workspace) -> None:
    store = workspace.store
    assert (known_scenes(workspace).by, len(known_scenes(workspace).names)) == ("", 0)
    store.add_images([image("aa"), image("bb"), image("cc")])
    assert known_scenes(workspace).by == "" and known_scenes(workspace).names.isna().all()
    store.set_series({"aa": "s", "bb": "s"})
    assert known_scenes(workspace).by == "series"
    assert known_scenes(workspace).names.dropna().to_dict() == {"aa": "s", "bb": "s"}
    store.add_images([image("cc", "patient 7"), image("dd", "patient 8")])
    assert known_scenes(workspace).by == "column"
    assert known_scenes(workspace).names.dropna().to_dict() == {"cc": "patient 7", "dd": "patient 8"}
    choose(workspace, "series")
    assert known_scenes(workspace).by == "series"
    choose(workspace, "none")
    assert known_scenes(workspace).by == "" and scenes(workspace).by == "none"
    choose(workspace, "auto")
    assert known_scenes(workspace).by == "column"
    with pytest.raises(UsageError, match="none"):
        choose(workspace, "colour")


@pytest.mark.parametrize("view", [verified, scenes])
def test_a_view_reads_the_images_once_and_looks_for_scenes_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, view: Callable[[Workspace], object]
) -> None:
    put(workspace, sessions(8, 4) + sessions(7, 3, "dog"))
    read: list[str] = []
    for name in ("images", "taken"):  # when pictures were taken is read by nothing but the search for scenes
        method = getattr(type(workspace.store), name)

        def counted(store: object, *args: Any, name: str = name, method: Any = method) -> object:
            read.append(name)
            return method(store, *args)

        monkeypatch.setattr(type(workspace.store), name, counted)
    view(workspace)
    assert sorted(read) == ["images", "taken"]


def test_what_is_seen_is_proposed_before_splits_are_given_and_an_answer_gives_them(workspace: Workspace) -> None:
    put(workspace, sessions(8, 4) + sessions(7, 3, "dog"))
    [proposal] = waiting(workspace)
    assert proposal.words == "15 series by time and camera, 3 to 4 pictures" and proposal.by == "time"
    assert wait_for_choice(workspace, SplitConfig(0.25, 0.25)) and verified(workspace).scenes_proposed == (proposal,)
    assert splits(workspace) == {}
    keep_together(workspace, "time")
    given = splits(workspace)
    assert len(given) == 53 and waiting(workspace) == () and workspace.store.fact("split")["valid"] == 0.25
    seen = scenes(workspace)
    assert (seen.by, seen.chosen, seen.cut, len(seen.scenes)) == ("time", True, 0, 15)
    assert seen.scenes[0].label_counts == {"cat": 4} and len(seen.scenes[0].images) == 4
    assert "2024" not in repr(seen), "what EXIF says is no name"
    keep_together(workspace, "none")
    assert splits(workspace) == given, "splits that were given never move"


def test_a_scene_that_is_everything_or_only_the_classes_says_nothing(workspace: Workspace) -> None:
    put(workspace, sessions(1, 9))
    assert proposals(workspace) == ()
    put(workspace, sessions(1, 9, "dog"))
    assert proposals(workspace) == ()
    put(workspace, [(f"alone{n}", "cat", NOON + timedelta(days=30 * n)) for n in range(1, 5)])
    assert [one.scenes for one in proposals(workspace)] == [2]


def test_a_chosen_scene_too_large_to_leave_anything_for_a_split_is_kept_and_said(
    workspace: Workspace,
) -> None:
    put(workspace, [*sessions(1, 40), *sessions(1, 40, "dog")])
    choose(workspace, "time")
    assign_splits(workspace)
    assert set(splits(workspace).values()) == {"train"} and scenes(workspace).cut == 0
    told = {problem.split: problem.reason for problem in verified(workspace).split_problems}
    assert "No scene is cut in two, and all pictures are of 2 scenes" in told["test"] and "40 of 80" in told["valid"]


def test_scenes_that_nobody_chose_leave_no_split_empty(workspace: Workspace) -> None:
    put(workspace, [*sessions(1, 40), *sessions(1, 40, "dog"), ("late", "cat", NOON + timedelta(days=9))])
    assign_splits(workspace)
    assert set(splits(workspace).values()) == {"train", "valid", "test"}
    assert known_scenes(workspace).by == "time" and scenes(workspace).cut == 2
    assert [p.kind for p in verified(workspace).split_problems if p.kind == "scene"] == ["scene"]


# --- no split cuts a known scene


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3 * 86_400), st.sampled_from(["cat", "dog"])), min_size=1, max_size=40),
    st.lists(
        st.tuples(st.sampled_from(["remove", "relabel", "add"]), st.integers(0, 999), st.integers(0, 3 * 86_400)),
        max_size=12,
    ),
)
def test_no_split_cuts_a_known_scene_and_nothing_moves(
    start: list[tuple[int, str]], changes: list[tuple[str, int, int]]
) -> None:
    """By time: a picture that ties two scenes together moves neither, and goes with one of them."""
    table = {f"i{n}": [label, "ok", None, seconds] for n, (seconds, label) in enumerate(start)}
    pause: float | None = None

    def give() -> dict[str, str]:
        nonlocal pause
        taken = pd.DataFrame(
            [(name, (NOON + timedelta(seconds=row[3])).isoformat(), "c") for name, row in table.items()],
            columns=["id", "taken", "camera"],
        )
        frame = pd.DataFrame.from_dict(table, orient="index", columns=["label", "status", "split", "seconds"])
        frame = frame.assign(id=frame.index, source_name="x.jpg", group=frame.index, given_split=None).astype(object)
        names, pause = by_time(frame, taken, pause)
        given = new_splits(frame.assign(scene=frame["id"].map(names)), SplitConfig())
        for name, split in given.items():
            assert table[name][2] is None, "a split that was written down was given again"
            table[name][2] = split
        return names

    def cut(names: dict[str, str]) -> set[frozenset[str]]:
        found: dict[str, dict[str, str]] = {}
        for name, scene in names.items():
            if table[name][2]:
                found.setdefault(scene, {})[name] = table[name][2]
        return {frozenset(members) for members in found.values() if len(set(members.values())) > 1}

    before = give()
    assert cut(before) == set()
    torn: set[str] = set()
    for action, number, seconds in changes:
        name = f"i{number % len(table)}"
        if action == "remove":
            table[name][1] = "removed"
        elif action == "relabel":
            table[name][0] = "bird"
        else:
            table[f"i{len(table)}"] = ["cat", "ok", None, seconds]
        placed = {name: row[2] for name, row in table.items() if row[2]}
        names = give()
        assert placed.items() <= {name: row[2] for name, row in table.items()}.items()
        for scene in cut(names):
            were = {before[one] for one in scene if one in before}
            assert len(were) > 1 or not torn.isdisjoint(scene), "only what ties scenes together is in two splits"
            torn |= scene
        before = names


def test_what_is_removed_or_relabelled_still_holds_its_scene_together(workspace: Workspace) -> None:
    put(workspace, sessions(12, 5))
    assign_splits(workspace)
    given = splits(workspace)

    def gone(state: State) -> State:
        return State(state.labels, "removed")

    workspace.store.journal.decide(Wish(f"cat{n:02}-{k}", "remove", gone) for n in range(12) for k in (1, 2, 3))
    put(workspace, [(f"new{n}", "bird", NOON + timedelta(hours=5 * n, seconds=50)) for n in range(12)])
    assign_splits(workspace)
    now = splits(workspace)
    assert given.items() <= now.items()
    assert all(now[f"new{n}"] == now[f"cat{n:02}-0"] == now[f"cat{n:02}-4"] for n in range(12))
    assert scenes(workspace).cut == 0


# --- the clock


def test_the_pause_that_ends_a_scene_lies_in_the_widest_gap_of_the_data() -> None:
    assert 40 < usual_pause([5.0, 9, 20, 40, 8_000, 90_000, 10_800]) < 8_000
    assert 600 < usual_pause([5.0, 9, 20, 600, 30_000, 90_000]) < 30_000
    assert 60 < usual_pause([]) < 12 * 3600
    assert usual_pause(list(np.geomspace(1, 10**6, 500))) == 3600.0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat/IMG_20240501_120000.jpg", ("img_", NOON)),
        ("PXL_20240501_120000123.jpg", ("pxl_", NOON)),
        ("WhatsApp Image 2024-05-01 at 12.00.00.jpeg", ("whatsapp image ", NOON)),
        ("20240501120000.jpg", ("", NOON)),
        ("IMG_0012.jpg", None),
        ("IMG_20249901_120000.jpg", None),
        ("DSC12345678901234567.jpg", None),
        ("https://host/20240501_120000.jpg", None),
    ],
)
def test_times_in_names_are_read(name: str, expected: tuple[str, datetime] | None) -> None:
    assert time_in(name) == expected


def test_two_cameras_at_the_same_hour_are_two_scenes() -> None:
    taken = pd.DataFrame(
        [(f"i{n}", (NOON + timedelta(seconds=n)).isoformat(), "ab"[n % 2]) for n in range(6)],
        columns=["id", "taken", "camera"],
    )
    names, _ = by_time(rows(["x.jpg"] * 7), taken)
    assert together(names) == [[0, 2, 4], [1, 3, 5]]


# --- folders and sites


def test_folders_are_scenes_but_not_those_of_classes_splits_and_containers() -> None:
    names = [
        "data/cat/home/1.jpg",
        "data/train/dog/home/1.jpg",
        "data/cat/part1/1.jpg",
        "data/cat/7/1.jpg",
        "cat/1.jpg",
    ]
    found = by_folder(rows(names, ["cat", "dog", "cat", "cat", "cat"]))
    assert found == {"i0": "home", "i1": "home", "i3": "7"}
    assert by_folder(rows(["site a/Cat/1.jpg", "site b/Cat/2.jpg", "site b\\Cat\\3.jpg"])) == {
        "i0": "site a",
        "i1": "site b",
        "i2": "site b",
    }
    assert by_folder(rows(["pets/cat/home/1.jpg", "pets/cat/park/1.jpg"])) == {"i0": "home", "i1": "park"}
    assert by_folder(rows(["https://a.org/home/1.jpg"])) == {}


def test_the_site_is_that_of_the_page_and_else_of_the_file() -> None:
    pages = ["https://www.a.org/x", None, "nonsense", "https://[bad", "ftp://c.org/x"]
    files = ["https://cdn.net/1.jpg", "http://b.org:8080/1.jpg", "cat/1.jpg", "1.jpg", "1.jpg"]
    assert by_site(rows(files, source_page=pages)) == {"i0": "a.org", "i1": "b.org:8080"}


# --- numbers


def looks(shots: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 [N, 3072]: pictures of the same number look nearly the same."""
    chance = np.random.default_rng(5)
    shown = {shot: chance.integers(0, 256, (8, 8, 3)).repeat(4, 0).repeat(4, 1).ravel() for shot in sorted(set(shots))}
    noise = chance.integers(-12, 13, (len(shots), 3072))
    return np.clip(np.stack([shown[shot] for shot in shots]) + noise, 0, 255).astype(np.uint8)


def numbered(names: Sequence[str], shots: Sequence[int], **more: Any) -> list[list[int]]:
    tiny = looks(shots)
    seen = frozenset(f"i{n}" for n in range(len(names)))
    found, _ = by_name(rows(names), seen, lambda ids: tiny[[int(one[1:]) for one in ids]], **more)
    return together(found)


def test_numbers_are_an_order_only_where_neighbours_look_alike() -> None:
    names = [f"cat/{n:04}.jpg" for n in range(30)]
    assert numbered(names, [n // 5 for n in range(30)]) == [list(range(n, n + 5)) for n in range(0, 30, 5)]
    assert numbered(names, list(range(30))) == []
    assert numbered(names, list(range(30)), sure=True) == [list(range(30))]
    assert numbered([f"https://a.org/{n}.jpg" for n in range(30)], [n // 5 for n in range(30)]) == []


def test_a_pause_of_the_counter_ends_a_scene() -> None:
    numbers = [100 * (n // 6) + n % 6 for n in range(36)]
    names = [f"{'cat' if n % 2 else 'kitten'}/IMG_{number:04}.JPG" for n, number in enumerate(numbers)]
    assert numbered(names, [n // 6 for n in range(36)]) == [list(range(n, n + 6)) for n in range(0, 36, 6)]


@pytest.mark.parametrize(
    "name",
    [
        "video{}_f{:03}.jpg",
        "clip {}/frame.{:03}.png",
        "b{}-frame_{:03}.jpg",
        "MVI_00{}_{:04}_jpg.rf.0123456789abcdef.jpg",
    ],
)
def test_the_name_of_a_recording_is_a_scene_whatever_its_frames_look_like(name: str) -> None:
    names = [name.format(n // 4, n % 4 * 30) for n in range(12)]
    if "/" in name:  # the folder says it, not the name
        assert numbered(names, list(range(12))) == []
        assert together(by_folder(rows(names))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    else:
        assert numbered(names, list(range(12))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(
    "name", ["cat_{}.jpg", "cat ({}).jpg", "frame_{}.jpg", "person_f_{}.jpg", "movie_poster_{}.jpg"]
)
def test_a_name_that_many_pictures_have_is_no_recording(name: str) -> None:
    assert numbered([name.format(n) for n in range(40)], list(range(40))) == []


# --- the whole of it


def jpeg(colour: int, when: datetime | None, camera: str) -> bytes:
    exif = Image.Exif()
    if when:
        exif[272] = camera
        exif.get_ifd(0x8769)[36867] = when.strftime("%Y:%m:%d %H:%M:%S")
    target = io.BytesIO()
    shade = Image.linear_gradient("L").resize((32, 24)).convert("RGB")
    shade.paste((colour * 37 % 256, colour * 91 % 256, colour * 53 % 256), (0, 0, 16, 12))
    shade.save(target, "JPEG", exif=exif)
    return target.getvalue()


def photograph(workspace: Workspace) -> None:
    """24 pictures of cats and dogs in 8 sessions of a phone, as they are imported."""
    for number in range(24):
        data = jpeg(number, NOON + timedelta(hours=9 * (number // 3), seconds=number), "Phone")
        image_id, file = workspace.keep(data, "jpg")
        name = f"{'cat' if number % 2 else 'dog'}/{image_id[:8]}.jpg"
        workspace.store.add_images([NewImage(image_id, file, len(data), name[:3], "folder", name)])


def test_verify_reads_when_pictures_were_taken_and_keeps_each_session_together(workspace: Workspace) -> None:
    photograph(workspace)
    waits = run(verify(workspace, VerifyConfig(workers=1, scenes="ask")))
    assert waits.scenes_proposed[0].words == "8 series by time and camera, 3 pictures each" and not splits(workspace)
    found = run(verify(workspace, VerifyConfig(workers=1)))
    assert found.scenes and (found.scenes.by, found.scenes.scenes, found.scenes_proposed) == ("time", 8, ())
    given = splits(workspace)
    assert len(given) == 24 and scenes(workspace).cut == 0
    assert all(len({given[one] for one in scene.images}) == 1 for scene in scenes(workspace).scenes)
    assert "taken" not in workspace.store.records()[0] and "Phone" not in repr(workspace.store.taken().to_dict())
