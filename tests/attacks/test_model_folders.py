"""A model folder from a stranger ends in one sentence, and opens, fetches and costs nothing, whatever is in it."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save_file

import cli
from pipeline import predict
from pipeline.deploy.serve import ServeConfig, serve
from pipeline.errors import ExportError
from pipeline.predict import BadModel, Classifier, OnnxClassifier, checksum, file_sha256
from tests.support.paths import ROOT

SENTENCE = 400  # characters, at most
CLASSES = ["apple", "melon", "pear"]
PREPROCESSING = {"size": [32, 32], "resize": "crop", "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}


def weights(**changes: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {**timm.create_model("test_resnet", num_classes=3).state_dict(), **changes}


def signed(folder: Path, info: Mapping[str, Any]) -> Path:
    """A stranger's checksums are right."""
    files = {file.name: file_sha256(file) for file in folder.iterdir() if file.suffix in (".safetensors", ".onnx")}
    info = {"files": files, **info}
    text = json.dumps({**info, "checksum": checksum(info)})
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder


def described(**changes: Any) -> dict[str, Any]:
    info = {"format": 2, "architecture": "test_resnet", "num_classes": 3, "label_names": CLASSES, "model_args": {}}
    return {**info, "members": 1, "preprocessing": PREPROCESSING, "tta": ["mirrored"], "unfamiliar": None, **changes}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    save_file(weights(), tmp_path / "model" / "model.safetensors")
    return signed(tmp_path / "model", described())


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pictures") / "grey.png"
    Image.new("RGB", (40, 40), "grey").save(file)
    return file


@pytest.fixture(autouse=True)
def nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    called: list[Any] = []
    asked = socket.getaddrinfo

    def known(host: Any, *about: Any, **more: Any) -> Any:
        if host != "127.0.0.1":
            called.append(host)
        return asked(host if host == "127.0.0.1" else "", *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    monkeypatch.setattr(socket.socket, "connect", lambda _, about: called.append(about))
    yield
    assert called == []


def refused(ask: Callable[[], object]) -> str:
    """What is said, in one sentence."""
    with pytest.raises(BadModel) as said:
        ask()
    words = str(said.value)
    assert 10 < len(words) < SENTENCE and "\n" not in words and words.endswith(".")
    return words


# --- config.json ----------------------------------------------------------------------------------------------------


def with_preprocessing(**changes: Any) -> dict[str, Any]:
    return {"preprocessing": {**PREPROCESSING, **changes}}


def with_opening(**changes: Any) -> dict[str, Any]:
    return with_preprocessing(opening=changes)


def with_outputs(**changes: Any) -> dict[str, Any]:
    return {"outputs": {"kind": "softmax", "several": False, "thresholds": [], "temperature": 1.0, **changes}}


WRONG: list[dict[str, Any]] = [
    *({"architecture": name} for name in ("hf-hub:someone/model", "hf_hub:a/b", "local-dir:/etc", "../resnet18")),
    *({"architecture": name} for name in ("/etc/passwd", "resnet18\n", "", "no_such_network", "résnet18", "x" * 5000)),
    *({"architecture": odd} for odd in (None, 3, ["resnet18"], {"a": 1}, True)),
    {"model_args": {"checkpoint_path": "/tmp/evil.pth"}},
    {"model_args": {"pretrained": True}},
    {"model_args": {"pretrained_cfg": {"file": "/tmp/evil.pth"}}},
    {"model_args": {"pretrained_cfg_overlay": {"url": "http://127.0.0.1/x"}}},
    {"model_args": {"cache_dir": "/tmp"}},
    {"model_args": {"num_classes": 10**12}},
    {"model_args": {"in_chans": 10**9}},
    *({"model_args": {"img_size": size}} for size in (10**9, [10**9, 10**9], [0, 32], ["a", "b"], [32], -1, 32.5)),
    *({"model_args": odd} for odd in ([], "x", 3, True)),
    {"model_args": {"img_size": [32, 32]}},  # which this network does not take
    *({"members": odd} for odd in (10_000_000, 0, -1, 1.5, "2", None, True, [1], 2)),
    *(
        {"label_names": odd}
        for odd in ([], "abc", None, [1, 2, 3], [None] * 3, {"a": 1}, ["a", "a", "b"], ["", "b", "c"])
    ),
    {"label_names": ["a", "b"]},
    {"label_names": [f"class {number}" for number in range(100_001)], "num_classes": 100_001},
    *({"num_classes": odd} for odd in (2, 10**12, -1, "3", None)),
    *({"preprocessing": odd} for odd in (None, [], "x", {}, {"size": [32, 32]})),
    *(
        with_preprocessing(size=odd)
        for odd in ([10**6, 10**6], [0, 0], [-32, 32], [32], [32.5, 32], "32", None, 32, [[32], [32]])
    ),
    *(with_preprocessing(resize=odd) for odd in ("stretch", "", None, 1)),
    *(with_preprocessing(mean=odd) for odd in ([0.5], [0.5] * 4, ["a"] * 3, None, [1e300] * 3)),
    *(with_preprocessing(std=odd) for odd in ([0.0] * 3, [-1.0] * 3, [0.5], None, [1e-300] * 3)),
    *(with_preprocessing(crop_pct=odd) for odd in (0, -1, 2, 1e-9, None, "1", True)),
    *(with_preprocessing(padding=odd) for odd in ("wrap", None, 3)),
    *(with_preprocessing(opening=odd) for odd in ([], "x", 3, True)),
    *(with_opening(whole=odd) for odd in ([5, 5], [9, 1], [1], "ab", [None, 1], True)),
    *(with_opening(real=odd) for odd in ([0.5, 0.5], [[0], [1]], {"a": 1})),
    *(with_opening(megapixels=odd) for odd in (10**9, 0, -1, None, "50", 1.5)),
    *({"outputs": odd} for odd in ([1], "softmax", 3, {"kind": "softmax"})),
    *(with_outputs(kind=odd) for odd in ("tanh", None, 1, ["softmax"])),
    *(with_outputs(several=odd) for odd in ("yes", 1, None)),
    *(with_outputs(temperature=odd) for odd in (0, -1, None, "1", 1e300, True)),
    *(with_outputs(thresholds=odd) for odd in ([0.5], [0.5] * 4, [2.0] * 3, ["a"] * 3, None, "abc", 0.5)),
    with_outputs(more=1),
    *({"tta": odd} for odd in ("mirrored", None, [1], [["mirrored"]], {"mirrored": 1}, ["mirrored"] * 1000)),
    *(
        {"unfamiliar": odd}
        for odd in ([1], "x", 3, {"rate": 1}, {"threshold": 0}, {"threshold": "1"}, {"threshold": -1})
    ),
    *({"title": odd} for odd in (3, ["x"], None, {"a": 1})),
    *({"versions": odd} for odd in (["torch"], {"torch": 2}, {"torch": "2.11\n--index-url http://127.0.0.1"})),
    *({"files": odd} for odd in ([], "x", None, {}, {"model.safetensors": None}, {"../../etc/passwd": "0" * 64})),
    *({"files": {name: "0" * 64}} for name in ("/etc/passwd", "a/b", "..", ".", "", "a\0b", "C:\\x", "x" * 300)),
]


@pytest.mark.parametrize("changes", WRONG, ids=lambda changes: str(changes)[:60])
def test_what_config_json_may_not_say_is_a_sentence(folder: Path, changes: dict[str, Any]) -> None:
    signed(folder, described(**changes))
    refused(lambda: Classifier.load(folder))


TEXTS: dict[str, bytes] = {
    **{
        "empty": b"",
        "no JSON": b"hello",
        "a list": b"[1, 2]",
        "null": b"null",
        "a number": b"3",
        "cut off": b'{"a": 1',
    },
    **{"NaN": b'{"architecture": NaN}', "infinity": b'{"members": -Infinity}', "deep": b"[" * 100_000},
    **{
        "deep objects": b'{"a":' * 100_000,
        "not UTF-8": b'{"a": "\xff\xfe"}',
        "a mark": b"\xef\xbb\xbf{}",
        "NUL": b"\0" * 99,
    },
    **{
        "long number": b'{"a": ' + b"9" * 100_000 + b"}",
        "large": b" " * (17 << 20),
        "twice": b'{"files": {}, "files": 3}',
    },
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_config_json_that_is_none_is_a_sentence(folder: Path, text: bytes) -> None:
    (folder / "config.json").write_bytes(text)
    assert "config.json" in refused(lambda: Classifier.load(folder))


def test_what_lies_at_its_place_and_is_no_file_is_a_sentence(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").mkdir()
    assert "config.json" in refused(lambda: Classifier.load(folder))
    assert "not a model folder" in refused(lambda: Classifier.load(folder / "nowhere"))


def test_no_pickle_is_opened_whatever_the_folder_says(folder: Path) -> None:
    """It would make a file."""
    made = folder.parent / "made"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(made),)

    torch.save({"state_dict": Evil()}, folder / "evil.pth")
    for arguments in (
        {"checkpoint_path": str(folder / "evil.pth")},
        {"pretrained_cfg": {"file": str(folder / "evil.pth")}},
    ):
        signed(folder, described(model_args=arguments))
        refused(lambda: Classifier.load(folder))
    assert not made.exists()


# --- weights --------------------------------------------------------------------------------------------------------


def header(about: Any) -> bytes:
    text = about if isinstance(about, bytes) else json.dumps(about).encode()
    return struct.pack("<Q", len(text)) + text


GARBAGE: dict[str, bytes] = {
    **{
        "empty": b"",
        "short": b"abc",
        "zeros": b"\0" * 1000,
        "noise": bytes(range(256)) * 40,
        "a pickle": b"\x80\x04N.",
    },
    "a header without end": struct.pack("<Q", 2**60),
    "no JSON": header(b"{{{{"),
    "deep": header(b"[" * 50_000),
    "beyond the end": header({"a": {"dtype": "F32", "shape": [10**6], "data_offsets": [0, 4 * 10**6]}}),
    "overlapping": header({n: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for n in "ab"}) + b"abcd",
    "more than there is": header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}) + b"abcd",
    "no tensor": header({}),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_weights_that_are_garbage_are_a_sentence(folder: Path, data: bytes) -> None:
    (folder / "model.safetensors").write_bytes(data)
    signed(folder, described())
    refused(lambda: Classifier.load(folder))


@pytest.mark.parametrize(
    "tensors",
    [
        weights(**{"fc.weight": torch.full((3, 96), math.nan)}),
        weights(**{"fc.bias": torch.tensor([math.inf, 0.0, 0.0])}),
        weights(**{"fc.bias": torch.zeros(4)}),
        weights(more=torch.zeros(1)),
        {name: tensor for name, tensor in weights().items() if name != "fc.bias"},
        {"conv1.weight": torch.zeros(1)},
    ],
    ids=["NaN", "infinity", "another shape", "one more", "one less", "another network"],
)
def test_weights_that_do_not_fit_or_are_no_numbers_are_a_sentence(folder: Path, tensors: dict[str, Any]) -> None:
    save_file(tensors, folder / "model.safetensors")
    signed(folder, described())
    refused(lambda: Classifier.load(folder))


def test_a_large_network_is_not_made_for_weights_that_are_not_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.device] = []
    create = timm.create_model

    def watched(name: str, **settings: Any) -> Any:
        model = create(name, **settings)
        made.append(next(model.parameters()).device)
        return model

    monkeypatch.setattr(timm, "create_model", watched)
    signed(folder, described(architecture="vit_gigantic_patch14_224"))
    refused(lambda: Classifier.load(folder))
    assert [device.type for device in made] == ["meta"]


def test_a_network_that_takes_pictures_of_one_size_alone_says_so(folder: Path, picture: Path) -> None:
    torch.manual_seed(0)
    save_file(timm.create_model("test_vit3", num_classes=3).state_dict(), folder / "model.safetensors")
    signed(folder, described(architecture="test_vit3"))
    assert "does not fit" in refused(lambda: Classifier.load(folder).predict([picture]))


@pytest.mark.parametrize(
    "usual",
    [
        {"mean": torch.zeros(3)},
        {"mean": torch.full((96,), math.nan), "directions": torch.zeros(96, 2)},
        {},
    ],
    ids=["too few", "NaN", "none"],
)
def test_what_is_familiar_in_a_strangers_folder_is_a_sentence(
    folder: Path, picture: Path, usual: dict[str, Any]
) -> None:
    if usual:
        save_file(usual, folder / "familiar.safetensors")
    signed(folder, described(unfamiliar={"threshold": 1.0}))
    refused(lambda: Classifier.load(folder).predict([picture]))


@pytest.fixture
def overflowing(folder: Path) -> Path:
    """Weights near the end of what a number can be: finite, but what comes of them is not."""
    save_file(weights(**{"fc.bias": torch.tensor([3e38, 3e38, 0.0])}), folder / "model.safetensors")
    return signed(folder, described(**with_outputs(temperature=1e-9)))


def test_answers_that_are_no_probabilities_are_a_sentence(overflowing: Path, picture: Path) -> None:
    assert "damaged" in refused(lambda: Classifier.load(overflowing).predict([picture]))


# --- ONNX -----------------------------------------------------------------------------------------------------------


def graph(shares: Any = (0.5, 0.25, 0.25), takes: tuple[str, int, list[Any]] | None = None, **more: Any) -> Any:
    """A model that answers the same about every picture."""
    value = numpy_helper.from_array(np.array([shares], np.float32), "shares")
    name, kind, shape = takes or ("image", TensorProto.UINT8, [1, "H", "W", 3])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, list(np.shape([shares])))
    made = helper.make_graph(
        more.get("nodes", [helper.make_node("Identity", ["shares"], ["probabilities"])]),
        "model",
        [helper.make_tensor_value_info(name, kind, shape), *more.get("inputs", [])],
        [*more.get("outputs", [answer])],
        [value],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outside(place: str) -> Any:
    model = graph()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", place), ("offset", "0"), ("length", "12")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return model


def endless() -> Any:
    """A loop without a last time."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Identity", ["was"], ["is"])],
        "body",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("was", TensorProto.FLOAT, [1, 3]),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("is", TensorProto.FLOAT, [1, 3]),
        ],
    )
    yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
    return graph(nodes=[yes, helper.make_node("Loop", ["", "yes", "shares"], ["probabilities"], body=body)])


def bytes_of(odd: Any) -> bytes:
    return odd if isinstance(odd, bytes) else bytes(odd.SerializeToString())


ODD_GRAPHS: dict[str, Callable[[], Any]] = {
    "empty": lambda: b"",
    "garbage": lambda: b"\x08\x07" * 500,
    "cut off": lambda: graph().SerializeToString()[:-20],
    "another file": lambda: outside("../../etc/passwd"),
    "a file beside it": lambda: outside("model.safetensors"),
    "another name": lambda: graph(takes=("x", TensorProto.UINT8, [1, "H", "W", 3])),
    "another kind": lambda: graph(takes=("image", TensorProto.FLOAT, [1, "H", "W", 3])),
    "another rank": lambda: graph(takes=("image", TensorProto.UINT8, [1, "H", "W"])),
    "one input more": lambda: graph(inputs=[helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])]),
    "no output": lambda: graph(outputs=[]),
    "words": lambda: graph(
        nodes=[helper.make_node("Cast", ["shares"], ["probabilities"], to=TensorProto.STRING)],
        outputs=[helper.make_tensor_value_info("probabilities", TensorProto.STRING, [1, 3])],
    ),
    "unknown": lambda: graph(nodes=[helper.make_node("Evil", ["shares"], ["probabilities"], domain="com.evil")]),
    "endless": endless,
    "too few": lambda: graph((0.5, 0.5)),
    "above 1": lambda: graph((2.0, -0.5, -0.5)),
    "NaN": lambda: graph((math.nan, 0.5, 0.5)),
    "infinity": lambda: graph((math.inf, 0.5, 0.5)),
}


@pytest.fixture
def onnx_folder(tmp_path: Path) -> Path:
    (tmp_path / "onnx").mkdir()
    return tmp_path / "onnx"


@pytest.mark.parametrize("odd", ODD_GRAPHS.values(), ids=ODD_GRAPHS.keys())
def test_an_odd_graph_is_a_sentence(onnx_folder: Path, picture: Path, odd: Callable[[], Any]) -> None:
    (onnx_folder / "model.onnx").write_bytes(bytes_of(odd()))
    signed(onnx_folder, described())
    refused(lambda: OnnxClassifier.load(onnx_folder).predict([picture]))


def test_a_graph_that_is_none_of_these_answers(onnx_folder: Path, picture: Path) -> None:
    onnx.save(graph(), onnx_folder / "model.onnx")
    signed(onnx_folder, described())
    assert OnnxClassifier.load(onnx_folder).predict([picture])[0].probabilities == dict(
        zip(CLASSES, (0.5, 0.25, 0.25), strict=True)
    )


# --- wherever it is opened ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"members": 10_000_000},
        {"architecture": "hf-hub:a/b"},
        {"model_args": {"checkpoint_path": "x"}},
        {"outputs": [1]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_command_line_and_serve_say_so(
    folder: Path, picture: Path, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    signed(folder, described(**changes))
    assert cli.main(["predict", str(folder), str(picture), "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and "config.json" in told.err
    with pytest.raises(ExportError, match=r"config\.json"):
        serve(ServeConfig(str(folder)), lambda place, **_: predict.load(place))


def test_damaged_answers_end_the_command_line_with_a_sentence(
    overflowing: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["predict", str(overflowing), str(picture), "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "damaged" in told.err and "Traceback" not in told.err


@pytest.mark.slow
def test_predict_alone_and_a_space_end_with_a_sentence(folder: Path, picture: Path) -> None:
    signed(folder, described(members=10_000_000))
    shutil.copy(str(predict.__file__), folder / "predict.py")
    for file in (ROOT / "spaces" / "gradio" / "app.py", ROOT / "pipeline" / "web" / "gate.py"):
        shutil.copy(file, folder / file.name)
    for command in ([str(folder / "predict.py"), str(folder), str(picture)], [str(folder / "app.py")]):
        ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, cwd=folder)
        assert (ended.returncode, ended.stdout) == (1, "") and "members" in ended.stderr
        assert "Traceback" not in ended.stderr and ended.stderr.count("\n") == 1
