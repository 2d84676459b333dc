"""hf:owner/name: a data set is fetched from a stand-in of the hub, pinned, bounded, resumed; every refusal is a
sentence.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from pipeline.collect.apart import ArchiveLimits
from pipeline.collect.hub_sets import DataHub, HubSet, hub_set
from pipeline.collect.importing import ImportConfig, Imported, import_images
from pipeline.dataset.export import DatasetConfig, export_dataset
from pipeline.deploy.hub_dataset import SendConfig, send_dataset
from pipeline.errors import LimitReached, NetworkError, PipelineError, SourceError, UsageError
from pipeline.stage import Progress, run
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace
from tests.support.hub_data import DataRepo, repo_of
from tests.support.hub_stand_in import TOKEN, HubStandIn, closed_port
from tests.support.importing import bring_in, picture, whole
from tests.support.row_sets import KEPT, dataset, known

CARD = """---
license: cc-by-4.0
pretty_name: Fish and letters
dataset_info:
  splits:
    - {name: train, num_examples: 24}
---
# A set
"""
CONFIGS = """---
configs:
- config_name: big
  data_files: [{split: train, path: one/*.parquet}, {split: test, path: x}]
- config_name: small
  default: true
  data_files:
  - split: validation
    path: [two/odd.parquet]
---
"""
Fetch = Callable[..., Imported]


@pytest.fixture
def fetch(workspace: Workspace, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetch]:
    """Imports a data set from the stand-in."""
    for name, value in hub.environment.items():
        monkeypatch.setenv(name, value)

    def get(source: str, **more: object) -> Imported:
        config = ImportConfig(source, **more)  # type: ignore[arg-type]
        return run(import_images(workspace, config, hub=DataHub(ArchiveLimits(seconds=20, least_bytes=1))))

    yield get


@pytest.fixture
def shards(tmp_path: Path, hub: HubStandIn) -> DataRepo:
    """ann/fish: three shards for train, one for test, and a card."""
    (tmp_path / "set/data").mkdir(parents=True)
    for n in range(3):
        dataset(known(8, 8 * n)).to_parquet(tmp_path / f"set/data/train-0000{n}-of-00003.parquet")
    dataset(known(8, 24)).to_parquet(tmp_path / "set/data/test-00000-of-00001.parquet")
    (tmp_path / "set/README.md").write_text(CARD)
    hub.data.repos["ann/fish"] = repo_of(tmp_path / "set")
    return hub.data.repos["ann/fish"]


def asked(hub: HubStandIn, what: str) -> list[str]:
    return [request.path for request in hub.requests if what in request.path and request.method == "GET"]


NAMES = {
    "hf:ann/fish": HubSet("ann/fish"),
    "HF:ann/fish.v2@v1.0": HubSet("ann/fish.v2", "v1.0"),
    "hf:ann/fish/small": HubSet("ann/fish", None, "small"),
    "hf:ann/fish@refs/convert/parquet/small": HubSet("ann/fish", "refs/convert/parquet", "small"),
    "https://huggingface.co/datasets/ann/fish": HubSet("ann/fish"),
    "https://huggingface.co/datasets/ann/fish/tree/main": HubSet("ann/fish", "main"),
    "hf://datasets/ann/fish@main": HubSet("ann/fish", "main"),
    "photos": None,
    "https://example.com/ann/fish": None,
}


def test_names_of_data_sets() -> None:
    assert {name: hub_set(name) for name in NAMES} == NAMES
    for wrong in ("hf:", "hf:fish", "hf:../..", "hf:ann/..", "hf:ann/fish@", "hf:a b/c", "hf:ann/fish/a/b", "hf:é/b"):
        with pytest.raises(UsageError, match="hf:OWNER/NAME"):
            hub_set(wrong)


def test_shards_come_with_names_classes_splits_and_where_they_are_from(
    workspace: Workspace, fetch: Fetch, shards: DataRepo, hub: HubStandIn
) -> None:
    imported = fetch("hf:ann/fish")
    assert imported.added == 32 and imported.classes == dict.fromkeys(sorted(KEPT), 8) and not imported.failed
    assert imported.read[KEPT[0]] == {"train": 6, "test": 2}
    assert "ann/fish (Fish and letters) at commit" in imported.notes[0] and "4 files" in imported.notes[0]
    rows = workspace.store.images()
    assert set(rows["source_licence"]) == {"cc-by-4.0"} and set(rows["source_page"]) == {f"{hub.url}/datasets/ann/fish"}
    assert "cc-by-4.0" in (workspace.root / "data_card.md").read_text()
    assert not list((workspace.cache / "hub").iterdir())
    assert not any(request.authorized for request in hub.requests)
    whole(workspace)


def test_a_look_fetches_one_shard_of_each_split_and_the_import_the_rest(
    fetch: Fetch, shards: DataRepo, hub: HubStandIn
) -> None:
    looked = fetch("hf:ann/fish", dry_run=True, samples=True)
    assert (looked.added, sum(looked.classes.values())) == (0, 16)
    assert "2 files were fetched" in looked.notes[1] and "the counts are of these" in looked.notes[1]
    before = len(asked(hub, "/cdn/"))
    assert fetch("hf:ann/fish").added == 32
    assert (before, len(asked(hub, "/cdn/"))) == (2, 4)


def test_no_more_shards_come_than_are_needed(fetch: Fetch, shards: DataRepo, hub: HubStandIn) -> None:
    imported = fetch("hf:ann/fish", maximum=4)
    assert imported.added == 4 and len(asked(hub, "/cdn/")) == 2
    assert {split for splits in imported.read.values() for split in splits} == {"train", "test"}
    assert "2 files were fetched" in imported.notes[1] and "--max 4" in imported.notes[1]


def test_a_revision_that_moves_is_read_as_it_was(fetch: Fetch, shards: DataRepo) -> None:
    shards.moved = {"README.md": b"moved"}
    assert fetch("hf:ann/fish").added == 32
    with pytest.raises(SourceError, match=r"no Parquet files, pictures or archives.*\.md"):
        fetch("hf:ann/fish")


def test_a_break_goes_on_where_it_was(workspace: Workspace, fetch: Fetch, shards: DataRepo, hub: HubStandIn) -> None:
    stage = import_images(workspace, ImportConfig("hf:ann/fish"))
    for progress in stage:
        if isinstance(progress, Progress) and progress.done:
            break
    stage.close()
    assert list((workspace.cache / "hub").rglob("*.parquet"))
    before = len(asked(hub, "/cdn/"))
    assert fetch("hf:ann/fish").added == 32
    assert len(asked(hub, "/cdn/")) - before < 4


def test_a_connection_that_breaks_in_a_file_is_taken_up_again(fetch: Fetch, shards: DataRepo) -> None:
    shards.cut = {"data/test-00000-of-00001.parquet": 1500}
    assert fetch("hf:ann/fish").added == 32


def test_a_private_set_takes_the_token_of_the_environment(
    workspace: Workspace, fetch: Fetch, shards: DataRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards.needs = "private"
    with pytest.raises(NetworkError, match="or it is private, and HF_TOKEN"):
        fetch("hf:ann/fish")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch("hf:ann/fish").added == 32
    written = [path for path in workspace.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert written == []


def test_folders_of_pictures_tables_and_archives(fetch: Fetch, tmp_path: Path, hub: HubStandIn) -> None:
    for n in range(6):
        place = tmp_path / "set" / ("train" if n < 4 else "test") / "ab"[n % 2] / f"{n}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture(n))
    (tmp_path / "set/fish.py").write_text("raise SystemExit('it was run')")
    hub.data.repos["ann/tree"] = repo_of(tmp_path / "set")
    imported = fetch("hf:ann/tree")
    assert imported.read == {"a": {"train": 2, "test": 1}, "b": {"train": 2, "test": 1}}
    (tmp_path / "zips/data").mkdir(parents=True)
    for split, numbers in (("train", range(10, 14)), ("test", range(14, 16))):
        with zipfile.ZipFile(tmp_path / f"zips/data/{split}.zip", "w") as archive:
            for n in numbers:
                archive.writestr(f"{'ab'[n % 2]}/{n}.png", picture(n))
    hub.data.repos["ann/zips"] = repo_of(tmp_path / "zips")
    assert fetch("hf:ann/zips").read == {"a": {"train": 2, "test": 1}, "b": {"train": 2, "test": 1}}


def test_a_table_says_the_classes_of_pictures(fetch: Fetch, hub: HubStandIn) -> None:
    files = {f"train/{n}.png": picture(n) for n in range(4)}
    table = "file_name,label\n" + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(4))
    hub.data.repos["ann/table"] = DataRepo({"main": {**files, "train/metadata.csv": table.encode()}})
    assert fetch("hf:ann/table").classes == {"a": 2, "b": 2}


def test_configurations_are_chosen_and_told(fetch: Fetch, tmp_path: Path, hub: HubStandIn) -> None:
    dataset(known(4)).to_parquet(tmp_path / "a.parquet")
    dataset(known(4, 50)).to_parquet(tmp_path / "b.parquet")
    a, b = (tmp_path / "a.parquet").read_bytes(), (tmp_path / "b.parquet").read_bytes()
    files = {"README.md": CONFIGS.encode(), "one/odd.parquet": a, "two/odd.parquet": b}
    hub.data.repos["ann/two"] = DataRepo({"main": files})
    imported = fetch("hf:ann/two", dry_run=True)
    assert any("2 configurations; 'small' was taken. Others: big (hf:ann/two/big)" in note for note in imported.notes)
    assert "4 pictures" in imported.layout
    assert fetch("hf:ann/two/big").added == 4
    with pytest.raises(SourceError, match=r"no configuration 'huge'\. It has: big, small"):
        fetch("hf:ann/two/huge")


def test_where_only_a_program_makes_it_what_the_hub_made_of_it_is_taken(
    fetch: Fetch, shards: DataRepo, hub: HubStandIn
) -> None:
    script = {"README.md": CARD.encode(), "fish.py": b"raise SystemExit('it was run')"}
    main = shards.revisions["main"]
    made = {
        f"default/{split}/{number}.parquet": main[f"data/{split}-0{number}-of-0000{count}.parquet"]
        for split, number, count in (
            ("train", "0000", 3),
            ("train", "0001", 3),
            ("train", "0002", 3),
            ("test", "0000", 1),
        )
    }
    hub.data.repos["ann/script"] = DataRepo({"main": script, "refs/convert/parquet": made})
    imported = fetch("hf:ann/script")
    assert imported.added == 32 and "cc-by-4.0" in imported.notes[0]
    assert imported.read[KEPT[0]] == {"train": 6, "test": 2}
    del hub.data.repos["ann/script"].revisions["refs/convert/parquet"]
    with pytest.raises(SourceError, match="A program that comes with a data set is never run"):
        fetch("hf:ann/script")


def test_a_set_that_is_too_large_says_so_before_it_is_fetched(fetch: Fetch, shards: DataRepo, hub: HubStandIn) -> None:
    card = CARD.replace("num_examples: 24", "num_examples: 1281167")
    shards.revisions["main"]["README.md"] = card.encode()
    with pytest.raises(SourceError, match=r"1,281,167 pictures.*--max"):
        fetch("hf:ann/fish")
    assert not asked(hub, "/cdn/")


REFUSALS = {
    401: "does not know the token in HF_TOKEN",
    403: "may not read ann/fish",
    429: "asks for a pause",
    500: "has a fault of its own",
    0: "cannot be reached",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_every_refusal_is_one_sentence(
    fetch: Fetch, shards: DataRepo, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.fail("GET", "/api/datasets/", status, f"no, {TOKEN}")
    with pytest.raises(NetworkError, match=REFUSALS[status]) as refused:
        fetch("hf:ann/fish")
    assert TOKEN not in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_not_there_or_not_for_everybody(fetch: Fetch, shards: DataRepo) -> None:
    with pytest.raises(NetworkError, match="knows no data set ann/fishes"):
        fetch("hf:ann/fishes")
    with pytest.raises(NetworkError, match="has no revision 'v9'"):
        fetch("hf:ann/fish@v9")
    shards.needs = "gated"
    with pytest.raises(NetworkError, match="people who agreed to its terms"):
        fetch("hf:ann/fish")


def test_a_file_that_is_not_what_is_listed_is_not_taken(workspace: Workspace, fetch: Fetch, shards: DataRepo) -> None:
    name = "data/train-00001-of-00003.parquet"
    right = shards.revisions["main"][name]
    shards.sent = {name: bytes(reversed(right))}
    with pytest.raises(NetworkError, match="is another file than Hugging Face lists"):
        fetch("hf:ann/fish")
    assert len(workspace.store.images()) == 0
    shards.sent = {}
    assert fetch("hf:ann/fish").added == 32


def test_paths_that_climb_out_are_not_fetched(workspace: Workspace, fetch: Fetch, shards: DataRepo) -> None:
    shards.revisions["main"] |= {"../../evil.parquet": b"x", "/etc/evil.parquet": b"x", "a\\..\\b.parquet": b"x"}
    assert fetch("hf:ann/fish").added == 32
    assert not list(workspace.root.parent.rglob("evil*"))


def test_no_network_and_a_hub_that_is_switched_off(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    with closed_port() as nobody:
        monkeypatch.setenv("HF_ENDPOINT", nobody)
        with pytest.raises(NetworkError, match="cannot be reached"):
            fetch("hf:ann/fish")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(NetworkError, match="not https"):
        fetch("hf:ann/fish")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    with pytest.raises(NetworkError, match="switched off here"):
        fetch("hf:ann/fish")


def test_a_visitor_of_a_public_demo_fetches_nothing(workspace: Workspace, fetch: Fetch, shards: DataRepo) -> None:
    with pytest.raises(LimitReached, match="fetches nothing from Hugging Face"):
        fetch("hf:ann/fish", local=False)
    Limits().write(workspace.root.parent)
    with pytest.raises(LimitReached, match="fetches nothing from Hugging Face"):
        fetch("hf:ann/fish")


def test_it_names_no_file_of_this_machine(workspace: Workspace, fetch: Fetch, tmp_path: Path, hub: HubStandIn) -> None:
    (tmp_path / "secret.png").write_bytes(picture(5))
    made = dataset([*known(3)])
    rows = [{"image": {"bytes": None, "path": str(tmp_path / "secret.png")}, "label": 0}]
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([made.data.table, pa.Table.from_pylist(rows, schema=made.data.table.schema)])
    pq.write_table(table, tmp_path / "t.parquet")
    hub.data.repos["ann/bad"] = DataRepo({"main": {"train.parquet": (tmp_path / "t.parquet").read_bytes()}})
    imported = fetch("hf:ann/bad")
    assert imported.added == 3 and re.search("did not come along", imported.failed[0].reason)
    with pytest.raises(PipelineError):
        fetch("hf:ann/nothing")


@pytest.mark.parametrize("layout", ["parquet", "metadata", "folders"])
def test_what_was_sent_comes_back(
    fetch: Fetch, workspace: Workspace, tmp_path: Path, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    home = Workspace.create(tmp_path / "home")
    told = [one for one in known(28) if KEPT[one.label] != "nan"]  # in CSV, that is nothing
    for split, pictures in (("train", told[:13]), ("test", told[13:])):
        (tmp_path / "in" / split).mkdir(parents=True)
        dataset(pictures).to_parquet(tmp_path / "in" / split / "0.parquet")
    bring_in(home, tmp_path / "in")
    run(export_dataset(home, DatasetConfig(str(tmp_path / "set"), layout)))
    sent = SendConfig(str(tmp_path / "set"), "ann/back")
    run(send_dataset(sent, TOKEN, hub=partial(HfApi, endpoint=hub.url)))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    imported = fetch("hf:ann/back")
    before = home.store.images().set_index("id").sort_index()
    after = workspace.store.images().set_index("id").sort_index()
    assert imported.added == 21 and not imported.failed
    assert list(before.index) == list(after.index)
    assert list(before["label"]) == list(after["label"]) and list(before["given_split"]) == list(after["given_split"])
