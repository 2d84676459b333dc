"""Verify: every picture is opened once; what is broken is set aside, what is there twice is grouped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
import pandas as pd

from pipeline import jobs
from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import Job
from pipeline.records import State
from pipeline.store import SPLITS
from pipeline.tabs.job_panel import running
from pipeline.tabs.problems import problems_view
from pipeline.tabs.shared import Shared, Values, translate
from pipeline.tabs.show import count, empty, escape, facts, guide, heading, picture, pictures_html, table
from pipeline.verify import SetAside, Verified, VerifyConfig, verified, verify
from pipeline.workspace import Workspace

GROUPS_A_PAGE = 20
SHOWN_SET_ASIDE = 200


def verify_job(workspace: Workspace) -> Job:
    """Start checking. Raises NotEnoughData where there is nothing to check, UsageError where it is at work already."""
    if workspace.store.images().empty:
        raise NotEnoughData("There are no pictures to check yet. Go to Collect and bring some in first.")
    if running(workspace, "verify"):
        raise UsageError("The pictures are being checked already; see above.")
    return jobs.start(workspace, verify, VerifyConfig())


def summary(workspace: Workspace, found: Verified) -> str:
    """What verify found, in numbers and words, as HTML."""
    images = workspace.store.images()
    new = int((images["status"] == "new").sum())
    if images.empty:
        return empty("No pictures yet", "Go to Collect and bring some in first.")
    if not found.checked:
        return empty(f"{count(new, 'picture')} not checked yet", "Press the button above; it takes seconds.")
    numbers: list[tuple[str, object]] = [
        ("checked", f"{found.checked:,}"),
        ("fine", f"{found.ok:,}"),
        ("set aside", f"{len(found.set_aside):,}"),
        ("duplicate groups", f"{len(found.duplicate_groups):,}"),
    ]
    words = [_new(new), _doubts(found), _conflicts(found), _leaks(found)]
    return facts(numbers) + "".join(f'<p class="w-hint">{escape(line)}</p>' for line in words if line)


def _new(new: int) -> str:
    return f"{count(new, 'picture')} came in since and should be checked too." if new else ""


def _doubts(found: Verified) -> str:
    if not found.suspects:
        return ""
    return f"{count(len(found.suspects), 'picture')} can be shown, but the file is damaged somewhere. They are kept."


def _conflicts(found: Verified) -> str:
    if not found.label_conflicts:
        return ""
    number = count(len(found.label_conflicts), "picture is", "pictures are")
    return f"{number} there under two classes. Clean lets you decide which one is right."


def _leaks(found: Verified) -> str:
    if not found.leaks:
        return ""
    return (
        f"{count(len(found.leaks), 'duplicate group')} reach from the pictures to learn from into those to test with, "
        "which makes results look too good. Remove the extra copies in Clean."
    )


def splits(workspace: Workspace) -> str:
    """How many usable pictures of each class are in train, valid and test, as HTML; empty before verify."""
    counts = split_counts(workspace)
    if counts.empty:
        return ""
    rows = [(label, *(f"{row[name]:,}" for name in (*SPLITS, "all"))) for label, row in counts.iterrows()]
    return table(("class", *SPLITS, "all"), rows, numbers=range(1, 5))


def split_counts(workspace: Workspace) -> pd.DataFrame:
    """Usable pictures per class (index, sorted) and split (columns train, valid, test, all)."""
    images = workspace.store.images("ok")
    placed = images[images["split"].notna() & images["label"].notna()]
    if placed.empty:
        return pd.DataFrame(columns=[*SPLITS, "all"])
    counts = pd.crosstab(placed["label"], placed["split"]).reindex(columns=list(SPLITS), fill_value=0)
    return counts.assign(all=counts.sum(axis=1)).sort_index()


def set_aside_choices(found: Verified) -> list[tuple[str, str]]:
    """(what to show, image id) of the pictures that were set aside, for a list with check boxes."""
    return [(f"{_short(item)} — {item.reason}", item.id) for item in found.set_aside[:SHOWN_SET_ASIDE]]


def _short(item: SetAside) -> str:
    return item.name if len(item.name) <= 60 else f"…{item.name[-58:]}"


def restore(workspace: Workspace, image_ids: Sequence[str]) -> int:
    """Take pictures back in: they count as new and are checked again next time. Returns how many."""
    for image_id in image_ids:
        before = workspace.store.state(image_id)
        if before.status == "set_aside":
            workspace.store.decide(image_id, "restore", lambda state: State(state.labels, "new"), expected=before)
    return len(image_ids)


def duplicates(workspace: Workspace, found: Verified, limit: int = GROUPS_A_PAGE) -> str:
    """The first ``limit`` duplicate groups as rows of thumbnails, those with two classes first, as HTML."""
    rows = {str(row["id"]): row for row in workspace.store.images("ok").to_dict("records")}
    disputed = set(found.label_conflicts)
    ordered = sorted(found.duplicate_groups, key=lambda group: (group not in disputed, -len(group)))
    lone = [group for group in found.label_conflicts if group not in set(found.duplicate_groups)]
    shown = (lone + ordered)[:limit]
    groups = (_group(workspace, [rows[image] for image in group], group in disputed) for group in shown)
    return f'<div class="w-groups">{"".join(groups)}</div>'


def _group(workspace: Workspace, rows: Sequence[Mapping[Any, Any]], disputed: bool) -> str:
    shown = "".join(
        f"<figure>{picture(workspace.thumbnail(str(row['id'])), str(row['label']))}"
        f"<figcaption>{escape(row['label'])} <small>{escape(row['split'])}</small></figcaption></figure>"
        for row in rows[:12]
    )
    more = f"<p class=w-hint>and {len(rows) - 12:,} more</p>" if len(rows) > 12 else ""
    note = '<p class="w-warn">under two classes</p>' if disputed else ""
    return f'<div class="w-group">{note}<div class="w-tiles w-small">{shown}</div>{more}</div>'


# --- the tab -------------------------------------------------------------------------------------------------------


def build(tab: gr.Tab, shared: Shared) -> None:
    """Draw the tab, then wire it."""
    guide("Open every picture once, set the broken ones aside, and find the ones that are there twice.")
    check = gr.Button("Check the pictures", variant="primary", elem_id="verify-run")
    result = gr.HTML(elem_id="verify-summary")
    with gr.Column(visible=False) as broken:
        heading("Set aside")
        chosen = gr.CheckboxGroup([], show_label=False, elem_id="verify-set-aside", elem_classes="w-list")
        back = gr.Button("Take the ticked ones back in", elem_id="verify-restore")
    with gr.Column(visible=False) as twice:
        heading("There more than once")
        groups = pictures_html("verify-duplicates")
        limit = gr.State(GROUPS_A_PAGE)
        more = gr.Button("Show more", elem_id="verify-more", visible=False)
    with gr.Column(visible=False) as doubtful:
        heading("Worth a look")
        gr.HTML("<p>These are kept. Look whether they show what they should; Clean removes what does not.</p>")
        looks = pictures_html("verify-problems")
    with gr.Column(visible=False) as divided:
        heading("How they are divided")
        gr.HTML(
            "<p>A model learns from <b>train</b>, is steered by <b>valid</b>, and is judged by <b>test</b>. "
            "A picture never moves from one to another.</p>"
        )
        shares = gr.HTML(elem_id="verify-splits")
    outputs = [result, check, broken, chosen, twice, groups, more, doubtful, looks, divided, shares]

    @translate
    def view(name: str, shown: int) -> list[Any]:
        return _view(shared.open(name), shown)

    @translate
    def take_back(name: str, ids: list[str], shown: int) -> list[Any]:
        workspace = shared.open(name)
        if not ids:
            raise UsageError("Tick the pictures you want back first.")
        gr.Info(f"{count(restore(workspace, ids), 'picture')} taken back. Check the pictures again.", title="Restored")
        return _view(workspace, shown)

    def enlarge(name: str, shown: int) -> list[Any]:
        return [shown + GROUPS_A_PAGE, *view(name, shown + GROUPS_A_PAGE)]

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shared.job.launch(check.click, lambda values: _start(shared, values), {shared.picker})
    back.click(take_back, [shared.picker, chosen, limit], outputs, **quiet)
    more.click(enlarge, [shared.picker, limit], [limit, *outputs], **quiet)
    shared.watch(tab, view, outputs, limit)


def _start(shared: Shared, values: Values) -> Job:
    return verify_job(shared.open(values[shared.picker]))


def _view(workspace: Workspace, limit: int) -> list[Any]:
    found = verified(workspace)
    groups, shares = len(found.duplicate_groups), splits(workspace)
    return [
        summary(workspace, found),
        _check_button(workspace),
        gr.Column(visible=bool(found.set_aside)),
        gr.CheckboxGroup(set_aside_choices(found), value=[]),
        gr.Column(visible=bool(groups or found.label_conflicts)),
        duplicates(workspace, found, limit),
        gr.Button(f"Show more ({groups - limit:,} left)", visible=groups > limit),
        gr.Column(visible=any(found.problems.values())),
        problems_view(workspace, found.problems),
        gr.Column(visible=bool(shares)),
        shares,
    ]


def _check_button(workspace: Workspace) -> gr.Button:
    new = bool(len(workspace.store.images("new")))
    words = "Check again" if not new and len(workspace.store.images("ok")) else "Check the pictures"
    return gr.Button(words, variant="primary" if new else "secondary")
