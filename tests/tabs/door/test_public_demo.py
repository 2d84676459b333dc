"""A public demo as hostile visitors meet it: nothing of the host's, nothing of other visitors', and not without end."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cleaner.clean.decisions import rename
from pipeline.jobs import job as jobs
from pipeline.tabs.door.visitors import SCOPE, Visitors
from pipeline.workspace.limits import Limits
from pipeline.workspace.runs import describe, list_runs
from pipeline.workspace.workspace import Workspace, workspaces_in
from tests.support.demo import Visitor, served

SECRET, LABEL, NOTE = "secret-bears", "zz-secret-label", "zz-secret-note"
PATIENCE = 60.0
SMALL = Limits(images=80, workspaces=3, upload_megabytes=1, jobs=2, epochs=2, pixels=96, visitors=6)


@pytest.fixture(scope="module")
def demo(tiny_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visitors, Visitor]]:
    root = tmp_path_factory.mktemp("demo")
    template = Workspace.open(
        shutil.copytree(
            tiny_run.folder.parents[1], root / "template" / "starter", ignore=shutil.ignore_patterns("jobs")
        )
    )
    template.jobs.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(root / "cache"))
        patch.setenv("HF_TOKEN", "hf_canarycanarycanary")
        patch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")  # as behind a proxy that was named
        with served(root, template, SMALL) as (visitors, first):
            yield visitors, first


@pytest.fixture(scope="module")
def victim(demo: tuple[Visitors, Visitor]) -> Visitor:
    """Somebody with a workspace of their own, a labelled class and a run with a note."""
    visitors, first = demo
    visitor = first.opened()
    made = visitor.do("workspace-create", workspace_name=SECRET)
    assert made["success"], made
    home = home_of(visitors, visitor)
    shutil.rmtree(home / SECRET)
    shutil.copytree(home / "starter", home / SECRET)
    mine = Workspace.open(home / SECRET)
    rename(mine, "apple", LABEL)
    describe(mine, list_runs(mine)[0].id, NOTE, NOTE)
    return visitor


@pytest.fixture(scope="module")
def stranger(demo: tuple[Visitors, Visitor], victim: Visitor) -> Visitor:
    """Somebody else, who knows everything of the victim but the key."""
    return Visitor(victim.address, victim.demo).opened()


def home_of(visitors: Visitors, visitor: Visitor) -> Path:
    name = visitors.who(visitor.client.cookies.get(visitors.cookie))
    assert name is not None
    return visitors.home(name)


def files_of(folder: Path) -> dict[str, str]:
    """Every file below a folder and what is in it."""
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}


def own_workspaces(visitors: Visitors, visitor: Visitor) -> list[str]:
    return [workspace.name for workspace in workspaces_in(home_of(visitors, visitor))]


# --- each their own --------------------------------------------------------------------------------------------------


def test_each_visitor_finds_the_starter_set_in_a_workspace_of_their_own(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    visitors, _ = demo
    assert own_workspaces(visitors, victim) == [SECRET, "starter"]
    assert own_workspaces(visitors, stranger) == ["starter"]
    load = stranger.number("first_choice")
    answer = stranger.call(load, [])
    assert answer is not None and SECRET not in json.dumps(answer) and "starter" in json.dumps(answer)


def test_a_page_that_is_loaded_anew_is_the_same_visitor(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    again = victim.reloaded()
    assert home_of(visitors, again) == home_of(visitors, victim)
    assert SECRET in json.dumps(again.call(again.number("first_choice"), []))


def test_a_change_of_one_visitor_is_none_of_the_others(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    visitors, _ = demo
    before = files_of(home_of(visitors, victim))
    assert stranger.do("workspace-create", workspace_name="mine")["success"]
    assert own_workspaces(visitors, stranger) == ["mine", "starter"]
    mine = Workspace.open(home_of(visitors, stranger) / "starter")
    rename(mine, "pear", "birne")
    assert files_of(home_of(visitors, victim)) == before


@pytest.mark.parametrize("change", ["guess", "cut", "seal", "other seal", "name", "empty", "junk", "huge"])
def test_a_key_that_was_not_given_out_is_a_newcomers(
    demo: tuple[Visitors, Visitor], victim: Visitor, change: str
) -> None:
    visitors, _ = demo
    key = str(victim.client.cookies.get(visitors.cookie))
    word, _, seal = key.partition(".")
    forged = {
        "guess": f"{'A' * 43}.{'0' * 64}",
        "cut": key[:-1],
        "seal": f"{word}.",
        "other seal": f"{word[:-1]}x.{seal}",
        "name": str(visitors.who(key)),
        "empty": "",
        "junk": "%00../..;x",
        "huge": "a" * 5000 + "." + seal,
    }[change]
    assert visitors.who(forged) is None
    somebody = Visitor(victim.address, victim.demo)
    page = somebody.client.get(somebody.address, headers={"cookie": f"{visitors.cookie}={forged}"})
    fresh = page.cookies.get(visitors.cookie)
    assert page.status_code == 200 and fresh is not None
    assert visitors.who(fresh) not in (None, visitors.who(key))
    assert not visitors.home(str(visitors.who(fresh))).exists(), "nothing is kept for who only looks at the page"


def test_the_key_is_out_of_reach_of_scripts_and_of_other_sites(victim: Visitor) -> None:
    here = Visitor(victim.address, victim.demo)
    cookie = here.get("").headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" not in cookie
    behind = here.client.get(here.address, headers={"x-forwarded-proto": "https", "cookie": ""})
    for word in ("HttpOnly", "Secure", "SameSite=None", "Partitioned"):
        assert word in behind.headers["set-cookie"]


def test_without_a_cookie_one_is_told_so_and_has_nothing(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    there = {path.name for path in (visitors.root / "visitors").iterdir()}
    nobody = Visitor(victim.address, victim.demo)
    nobody.client.cookies.clear()
    for name in (None, "starter", SECRET):
        body = {"fn_index": nobody.number("predict"), "data": [None, None, name, False], "session_hash": nobody.session}
        for path in ("queue/join", "run/predict", "call/predict"):
            refused = nobody.client.post(f"{nobody.address}gradio_api/{path}", json=body)
            assert refused.status_code == 403 and "knows you by a cookie" in refused.json()["detail"]
    assert {path.name for path in (visitors.root / "visitors").iterdir()} == there


# --- other visitors' things -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_function_of_the_app_does_anything_with_anothers_workspace(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    """Every function there is, called with all it might take: names, ids of runs, images and jobs, paths."""
    visitors, _ = demo
    home = home_of(visitors, victim)
    theirs = Workspace.open(home / SECRET)
    run, image = list_runs(theirs)[0].id, str(theirs.store.images()["id"].iloc[0])
    before, called = files_of(home), 0
    for place in (SECRET, f"../{home.name}/{SECRET}", str(home / SECRET)):
        event = _everything(place, run, image)
        for number, fn in stranger.demo.fns.items():
            if fn.fn is None or "page_closed" in str(fn.fn) or "start_over" in str(fn.fn):
                continue
            answer = stranger.call(number, _with(stranger, number, place, run), event)
            called += answer is not None
            told = json.dumps(answer)
            assert LABEL not in told and NOTE not in told, fn
            assert home.name not in told.replace(json.dumps(place)[1:-1], ""), fn
    assert called > 200
    assert files_of(home) == before


def _everything(place: str, run: str, image: str) -> dict[str, Any]:
    seen = {"labels": ["pear"], "status": "ok", "reason": "", "known": None}
    actions = [{"number": 1, "kind": "remove", "id": image, "seen": seen, "label": ""}]
    return {
        "workspace": place,
        "id": image,
        "ids": [run],
        "page": 0,
        "number": 1,
        "at": 0,
        "kind": "step",
        "action": "undo",
        "seen": "",
        "label": LABEL,
        "urls": [],
        "all": True,
        "wanted": False,
        "first": 1,
        "last": 1,
        "mark": "",
        "actions": actions,
        "many": False,
        "files": [["/etc/passwd", "a/1.jpg"]],
        "lost": 0,
        "rate": 0.1,
        "second": "",
        "run": run,
    }


def _with(visitor: Visitor, number: int, place: str, run: str) -> list[Any]:
    """What a page would send, but with another's workspace, runs and files in it."""
    given: dict[str, Any] = {"workspace-picker": place, "workspace-name": ""}
    given |= dict.fromkeys(("predict-run", "deploy-run", "review-run", "clean-run", "train-trashed"), run)
    given |= dict.fromkeys(("clean-before", "clean-after", "job-choose"), run)
    given |= {"train-weights": f"{place}/runs/{run}/model.safetensors"}
    return visitor.data(number, given)


def test_an_empty_name_or_a_path_is_no_workspace(stranger: Visitor) -> None:
    predict = stranger.number("predict")
    for name in ("..", ".", "/", "../starter", "starter/../starter", "starter\x00", "\udcff", "Starter", "visitors"):
        answer = stranger.call(predict, [None, None, name, False])
        assert answer is not None and "no workspace called" in answer["output"]["error"]


def test_the_address_of_the_page_cannot_name_anothers_workspace(victim: Visitor) -> None:
    stranger = Visitor(victim.address, victim.demo)
    page = stranger.get(f"?workspace={SECRET}")
    assert page.status_code == 200 and SECRET not in page.text and LABEL not in page.text
    body = {"fn_index": stranger.number("first_choice"), "data": [], "session_hash": stranger.session}
    joined = stranger.client.post(f"{stranger.address}gradio_api/queue/join?workspace={SECRET}", json=body)
    assert joined.status_code == 200
    with stranger.client.stream("GET", f"{stranger.address}gradio_api/queue/data?session_hash={stranger.session}") as s:
        lines = [line for line in s.iter_lines() if "process_completed" in line]
    assert lines and SECRET not in lines[0] and "starter" in lines[0]


def test_anothers_page_cannot_be_listened_to_or_spoken_for(victim: Visitor, stranger: Visitor) -> None:
    for path in (f"queue/data?session_hash={victim.session}", f"heartbeat/{victim.session}"):
        assert stranger.api(path).status_code == 403
    assert stranger.api(f"deep_link?session_hash={victim.session}").status_code == 403
    body = {
        "fn_index": stranger.number("predict"),
        "data": [None, None, "starter", False],
        "session_hash": victim.session,
    }
    joined = stranger.client.post(f"{stranger.address}gradio_api/run/predict", json=body)
    assert joined.status_code == 403 and "belongs to another visitor" in joined.text


def test_anothers_job_can_be_neither_seen_nor_cancelled_nor_resumed(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    visitors, _ = demo
    theirs = Workspace.open(home_of(visitors, victim) / "starter")
    job = victim.do("verify-run", workspace_picker="starter")
    assert job["success"], job
    (found,) = jobs.list_jobs(theirs)
    shown = json.dumps(stranger.call(stranger.number("_page_opened"), []))
    assert found.id not in shown
    show = stranger.of("job-choose", "input")
    assert found.id not in json.dumps(stranger.call(show, ["starter", found.id]))
    cancelled = stranger.call(stranger.of("job-cancel"), ["starter", None])
    assert cancelled is not None and not cancelled["success"]
    with pytest.raises(jobs.JobError):
        jobs.get_job(Workspace.open(home_of(visitors, stranger) / "starter"), found.id)
    assert jobs.wait_for(theirs, found.id, PATIENCE).status == "done"


def test_thumbnails_are_served_to_their_owner_alone(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    visitors, _ = demo
    theirs = Workspace.open(home_of(visitors, victim) / SECRET)
    thumbnail = next(theirs.thumbnails.rglob("*.jpg"))
    shown = victim.api(f"file={thumbnail}")
    assert shown.status_code == 200 and shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-content-type-options"] == "nosniff"
    nobody = Visitor(victim.address, victim.demo)
    own = home_of(visitors, stranger)
    around = f"{own}/starter/thumbnails/../../../{home_of(visitors, victim).name}/{SECRET}/thumbnails"
    for who, path in (
        (stranger, thumbnail),
        (nobody, thumbnail),
        (stranger, f"{around}/{thumbnail.parent.name}/{thumbnail.name}"),
    ):
        assert who.api(f"file={path}").status_code == 403
        assert who.api(f"file/{path}").status_code in (403, 404)
    link = own / "starter" / "thumbnails" / "link.jpg"
    link.symlink_to(thumbnail)
    assert stranger.api(f"file={link}").status_code == 403
    link.unlink()


# --- the host's things ----------------------------------------------------------------------------------------------


def test_no_file_of_the_host_is_served(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    mine = Workspace.open(home_of(visitors, victim) / "starter")
    picture = next(mine.images.rglob("*.jpg"))
    weights = next(mine.runs.rglob("*.safetensors"))
    files = ["/etc/passwd", "/proc/self/environ", __file__, "app.py", mine.database, mine.limits, picture, weights]
    files += [visitors.root / "template" / "starter" / "winnow.sqlite", mine.thumbnails, f"{mine.thumbnails}/../x.jpg"]
    files += [
        "http://127.0.0.1:1/x",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "%00",
        "/tmp/%00",
        "a" * 5000,
        "%2e%2e/app.py",
    ]
    for path in files:
        assert victim.api(f"file={path}").status_code in (400, 403, 404), path
    for path in (
        "proxy=http://127.0.0.1:1/",
        "monitoring/summary",
        "vibe-code/",
        "runs",
        "profiling/traces",
    ):
        assert victim.api(path).status_code >= 400, path
    assert victim.get("monitoring/summary").status_code >= 400


def test_forged_uploads_are_refused(demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor) -> None:
    visitors, _ = demo
    theirs = Workspace.open(home_of(visitors, victim) / SECRET)
    picture, thumbnail = next(theirs.images.rglob("*.jpg")), next(theirs.thumbnails.rglob("*.jpg"))
    for path in (picture, thumbnail, theirs.database, "/etc/passwd", "app.py", "../../etc/passwd"):
        forged = {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": "x.jpg"}
        for trigger, event, box in (
            ("predict-image", "input", "predict-image"),
            ("predict-start", "click", "predict-files"),
            ("collect-import", "click", "collect-files"),
            ("clean-replay", "upload", "clean-replay"),
        ):
            value = forged if box in ("predict-image", "clean-replay") else [forged]
            number = stranger.of(trigger, event)
            answer = stranger.call(number, stranger.data(number, {box: value, "workspace-picker": "starter"}))
            assert answer is None or not answer["success"], (trigger, path)
    url = {"path": "x", "url": "http://127.0.0.1:1/x.jpg", "meta": {"_type": "gradio.FileData"}}
    answer = stranger.call(stranger.number("predict"), [url, None, None, False])
    assert answer is None or not answer["success"]


def test_a_sent_folder_takes_no_file_but_uploads(
    demo: tuple[Visitors, Visitor], victim: Visitor, stranger: Visitor
) -> None:
    visitors, _ = demo
    picture = next(Workspace.open(home_of(visitors, victim) / SECRET).images.rglob("*.jpg"))
    sent = stranger.call(
        stranger.of("collect-folder", "sent"), [], {"files": [[str(picture), "a/1.jpg"], ["/etc/passwd", "a/2.jpg"]]}
    )
    assert sent is not None and "None of these files can be used" in sent["output"]["error"]


def test_there_is_no_field_for_a_path_and_none_is_imported(victim: Visitor) -> None:
    assert "collect-path" not in {block.elem_id for block in victim.demo.blocks.values()}
    table = victim.upload("list.csv", b"path,label\n/etc/passwd,a\n")
    (kept,) = table.json()
    file = {"path": kept, "meta": {"_type": "gradio.FileData"}, "orig_name": "list.csv"}
    assert "names pictures that did not come along" in victim.said(
        "collect-import", collect_files=[file], workspace_picker="starter"
    )


def test_links_to_private_addresses_are_refused_one_by_one(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    victim.do("workspace-create", workspace_name="links")
    mine = Workspace.open(home_of(visitors, victim) / "links")
    links = "http://127.0.0.1:1/a.jpg\nhttp://169.254.169.254/latest/b.jpg\nhttp://[::1]/c.jpg\nhttp://0x7f000001/d.jpg"
    started = victim.do(
        "collect-links-download", workspace_picker="links", collect_links=links, collect_links_label="a"
    )
    assert started["success"], started
    (job,) = jobs.list_jobs(mine)
    ended = jobs.wait_for(mine, job.id, PATIENCE)
    assert {row["code"] for row in ended.result["results"]} == {"blocked_address"} and len(ended.result["results"]) == 4
    assert Path(job.config["urls"]).is_relative_to(home_of(visitors, victim))


def test_nothing_is_sent_with_the_hosts_token_or_with_any(
    victim: Visitor, demo: tuple[Visitors, Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("", "hf_typedtypedtyped"):
        said = victim.said("deploy-push", workspace_picker="starter", deploy_repo="me/bears", deploy_token=token)
        assert "it neither installs a Space nor takes a token" in said
    assert "hf_canary" not in victim.get("").text and "hf_canary" not in victim.get("config").text


def test_the_command_line_that_is_shown_names_no_folder_of_the_host(
    demo: tuple[Visitors, Visitor], victim: Visitor
) -> None:
    visitors, _ = demo
    spelled = victim.number("spelled_out")
    answer = victim.call(spelled, victim.data(spelled, {"workspace-picker": "starter"}))
    assert answer is not None and answer["output"]["data"] == ["python cli.py train starter"]
    assert str(visitors.root) not in victim.get("config").text


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_visitor_cannot_have_workspaces_without_end(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    victim.do("workspace-create", workspace_name="links")
    assert len(own_workspaces(visitors, victim)) == 3
    assert "3 workspaces" in victim.said("workspace-create", workspace_name="one more")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("train-epochs", 3, "at most 2"),
        ("train-image-size", 128, "at most 96"),
        ("train-image-width", 512, "at most 96"),
        ("train-presize", 1024, "at most 96"),
        ("train-batch-size", 4096, "at most 64"),
        ("train-sizes", "64, 128", "at most 96"),
        ("train-backbone", "resnet18", "only what came with Winnow"),
        ("train-weights", "/etc/passwd", "from a run of this workspace only"),
    ],
)
@pytest.mark.parametrize("trigger", ["train-run", "train-find", "train-preview"])
def test_a_training_has_limits_whatever_the_page_sends(
    stranger: Visitor, trigger: str, field: str, value: Any, says: str
) -> None:
    modest = {"train-epochs": 1, "train-image-size": 64, "workspace-picker": "starter", field: value}
    number = stranger.of(trigger)
    answer = stranger.call(number, stranger.data(number, modest))
    if trigger == "train-preview" and field == "train-weights":
        return  # it reads none
    assert answer is not None and not answer["success"]
    assert says in answer["output"]["error"]


def test_pictures_beyond_the_limit_are_not_taken(demo: tuple[Visitors, Visitor], stranger: Visitor) -> None:
    visitors, _ = demo
    mine = Workspace.open(home_of(visitors, stranger) / "starter")
    started = stranger.do("collect-starter", workspace_picker="starter")
    assert started["success"]
    job = next(job for job in jobs.list_jobs(mine) if job.stage == "import_images")
    ended = jobs.wait_for(mine, job.id, PATIENCE)
    assert ended.status == "failed" and "at most 80" in ended.note and "room for 20 more" in ended.note
    assert len(mine.store.images()) == 60


def test_large_and_endless_uploads_are_refused_before_they_are_read(victim: Visitor) -> None:
    assert victim.upload("big.zip", b"0" * (3 << 20)).status_code == 413
    nobody = Visitor(victim.address, victim.demo)
    assert nobody.upload("a.jpg", b"x").status_code == 403

    def endless() -> Iterator[bytes]:
        yield b"--x\r\n"

    headers = {"content-type": "multipart/form-data; boundary=x"}
    sent = victim.client.post(f"{victim.address}gradio_api/upload", content=endless(), headers=headers)
    assert sent.status_code == 411
    assert victim.upload("a.jpg", b"x").status_code == 200


def test_when_it_is_full_newcomers_are_told_so(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    crowd = [Visitor(victim.address, victim.demo) for _ in range(SMALL.visitors)]
    said = []
    for number, one in enumerate(crowd):
        one.client.headers["x-forwarded-for"] = f"203.0.113.{number}"
        one.get("")
        answer = one.call(one.number("first_choice"), [])
        said.append("" if answer is None or answer["success"] else answer["output"]["error"])
    assert "Try again in some minutes" in said[-1]
    assert len(list((visitors.root / "visitors").iterdir())) == SMALL.visitors
    for one, trouble in zip(crowd, said, strict=True):
        if not trouble:
            assert one.do("demo-sure")["success"]
    assert len(list((visitors.root / "visitors").iterdir())) < SMALL.visitors


def test_starting_over_clears_ones_own_and_nobody_elses(demo: tuple[Visitors, Visitor], victim: Visitor) -> None:
    visitors, _ = demo
    other = files_of(home_of(visitors, victim))
    one = Visitor(victim.address, victim.demo).opened()
    one.do("workspace-create", workspace_name="mine")
    assert one.do("demo-sure")["success"]
    assert not home_of(visitors, one).exists()
    one.call(one.number("first_choice"), [])
    assert own_workspaces(visitors, one) == ["starter"]
    assert files_of(home_of(visitors, victim)) == other


def test_the_scope_is_set_by_the_guard_alone(victim: Visitor) -> None:
    """A header or a query of that name is nothing but a header or a query."""
    nobody = Visitor(victim.address, victim.demo)
    headers = {SCOPE: "x", "cookie": f"{SCOPE}=x"}
    body = {"data": [None, None, "starter", False], "session_hash": "s"}
    sent = nobody.client.post(f"{nobody.address}gradio_api/run/predict?{SCOPE}=x", json=body, headers=headers)
    assert "knows you by a cookie" in sent.text
