from __future__ import annotations

from pipeline.tabs.models import SHOWN, catalogue


def test_the_default_comes_first_and_says_that_it_needs_no_network() -> None:
    html = catalogue("", offline_only=False)
    first = html.split("<tbody><tr>")[1].split("</tr>")[0]
    assert "tf_efficientnet_lite0 (fast, the default)" in first and "came with Winnow" in first
    assert html.count("<tr>") == SHOWN + 1 and f"the first {SHOWN} are shown" in html


def test_the_list_narrows_by_name() -> None:
    html = catalogue("resnet18", offline_only=False)
    assert "resnet18" in html and "lite0" not in html and "Hugging Face" in html


def test_only_what_needs_no_network_can_be_listed() -> None:
    html = catalogue("", offline_only=True)
    assert "tf_efficientnet_lite0" in html and "Hugging Face" not in html


def test_an_unknown_name_is_answered_with_examples() -> None:
    html = catalogue("<script>", offline_only=False)
    assert "No backbone of that name" in html and "<script>" not in html
