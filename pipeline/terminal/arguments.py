"""The command line's arguments: every command with its options, as ``cli.py`` reads them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

HELP = argparse.ArgumentDefaultsHelpFormatter


def parser() -> argparse.ArgumentParser:
    """Everything ``cli.py`` understands; ``command`` is the name of the chosen one."""
    whole = argparse.ArgumentParser(prog="cli.py", description="Winnow on the command line.", formatter_class=HELP)
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, workspace: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about, formatter_class=HELP)
        added.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        if workspace:
            added.add_argument("workspace", metavar="WORKSPACE", help="the workspace's folder")
        return added

    _collect_arguments(command)
    _model_arguments(command)
    _cleaning_arguments(command)
    _shipping_arguments(command)
    _serving_arguments(command)
    return whole


Add = Callable[..., argparse.ArgumentParser]


def _collect_arguments(command: Add) -> None:
    added = command("import", "copy pictures into the workspace")
    about = "folder, .zip, .tar, .csv, 'starter', 'starter-messy', or a ready-made set like PETS or MNIST_SAMPLE"
    added.add_argument("source", metavar="SOURCE", help=about)
    added.add_argument("--label", help="the class of all of them")
    added.add_argument("--label-regex", metavar="R", help="finds the class in file names, like (.+)_[0-9]+[.]jpg$")
    added.add_argument("--label-separator", metavar="S", help="between several labels in one cell of a table, like ';'")
    added.add_argument("--split-from", choices=("folders", "column"), help="where train, valid and test come from")
    _allow_host(added)
    _search_arguments(command("search", "find candidates on the web; nothing is fetched yet"))
    added = command("download", "fetch the candidates, or the URLs of a file")
    added.add_argument("--urls", metavar="FILE.csv", help="a CSV file with the columns url and label")
    added.add_argument("--max-side", type=int, default=0, help="reduce larger pictures to so many pixels (0: do not)")
    added.add_argument("--ignore-noai", action="store_true", help="take pictures whose site asks not to train on them")
    _allow_host(added)
    added = command("check", "the verdict on files, without a workspace", workspace=False)
    added.add_argument("paths", nargs="+", metavar="PATH", help="files or folders")
    added = command("verify", "check every picture, set aside the broken, find duplicates, give splits")
    added.add_argument("--valid", type=float, default=0.15, help="share of the valid split")
    added.add_argument("--test", type=float, default=0.15, help="share of the test split")
    added.add_argument("--seed", type=int, default=0, help="draws the splits")
    added.add_argument("--accept-broken", action="store_true", help="do not ask where many pictures cannot be used")
    added = command("images", "the store's rows")
    added.add_argument("--status", choices=("new", "ok", "set_aside", "removed"), help="only these")


def _search_arguments(added: argparse.ArgumentParser) -> None:
    about = "a class, and what to search for if it is not its name (repeatable)"
    added.add_argument("--class", dest="classes", action="append", required=True, metavar="NAME[=QUERY]", help=about)
    added.add_argument("--max", dest="maximum", metavar="N", type=int, default=100, help="candidates a class")
    about = "duckduckgo, openverse, wikimedia (repeatable; all if left out), or urls: QUERY is a list of URLs"
    added.add_argument("--provider", dest="providers", action="append", metavar="P", help=about)
    about = "search each class with these words behind its phrase too (repeatable)"
    added.add_argument("--extra", dest="extras", action="append", metavar="WORDS", help=about)
    added.add_argument("--size", choices=("small", "medium", "large"), help="only of this size")
    added.add_argument("--kind", choices=("photo", "drawing"), help="only of this kind")
    added.add_argument("--open-licence", action="store_true", help="only what may be used commercially and changed")
    added.add_argument("--safesearch", action=argparse.BooleanOptionalAction, default=True, help="not for adults only")
    added.add_argument("--fresh", dest="keep_hours", action="store_const", const=0.0, help="use no answer of today")


def _allow_host(added: argparse.ArgumentParser) -> None:
    about = "a server of your own that may be asked although its address is not public (repeatable)"
    added.add_argument("--allow-host", action="append", default=[], metavar="HOST:PORT", help=about)


def _model_arguments(command: Add) -> None:
    added = command("backbones", "the networks that can be trained", workspace=False)
    added.add_argument("filter", nargs="?", default="", metavar="FILTER", help="a part of the name")
    added = command("lr-find", "the learning-rate range test")
    _settings(added)
    added.add_argument("--steps", type=int, help="how many rates are tried")
    added.add_argument("--low", type=float, help="the lowest rate")
    added.add_argument("--high", type=float, help="the highest rate")
    added = command("train", "fine-tune a backbone; the result is a run")
    _settings(added)
    _learning_settings(added)
    _rate_settings(added)
    added.add_argument("--note", help="kept with the run")


def _settings(added: argparse.ArgumentParser) -> None:
    added.add_argument("--backbone", help="a timm name ('backbones' lists them), or fast, balanced, accurate")
    added.add_argument("--weights", metavar="FILE", help="a safetensors file to start from, of the same architecture")
    added.add_argument("--image-size", type=int, help="height in pixels (0: the backbone's own)")
    added.add_argument("--image-width", type=int, help="width in pixels (0: as high as wide)")
    added.add_argument("--resize", choices=("squish", "crop", "pad"), help="how pictures get that shape")
    about = "what --resize pad puts around them"
    added.add_argument("--padding", choices=("zeros", "border", "reflection"), help=about)
    added.add_argument("--presize", type=int, metavar="PIXELS", help="side of what random views are cut from")
    added.add_argument("--batch-size", type=int, help="pictures a step")
    added.add_argument("--augmentation", choices=("photo", "top-down", "text", "none"), help="random views")
    added.add_argument("--seed", type=int, help="the same seed gives the same run")
    added.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="where to compute")


def _learning_settings(added: argparse.ArgumentParser) -> None:
    about = "softmax: one class a picture; sigmoid: each class by itself, several or none; auto: by the labels"
    added.add_argument("--head", choices=("auto", "softmax", "sigmoid"), help=about)
    about = "what learns: the head alone, all layers, gradually more of them, or (auto) all where that may pay"
    added.add_argument("--layers", choices=("auto", "head", "gradual", "all"), help=about)
    added.add_argument("--epochs", type=int, help="passes with more than the head (0: the head alone)")
    added.add_argument("--freeze-epochs", type=int, help="views of each picture that the head is fitted to first")
    added.add_argument("--minutes", type=float, help="what --layers auto may take with all layers")
    added.add_argument("--patience", type=int, help="stop after so many epochs without a lower loss (0: never)")
    about = "heights in pixels that the epochs go through, smaller ones first"
    added.add_argument("--sizes", type=int, nargs="+", metavar="PIXELS", help=about)
    added.add_argument("--min-scale", type=float, help="the smallest share of the area a random crop keeps")
    added.add_argument("--max-rotate", type=float, metavar="DEGREES", help="random turns (-1: the preset's)")
    added.add_argument("--max-lighting", type=float, metavar="SHARE", help="random brightness (-1: the preset's)")
    about = "what may be mirrored and turned by quarters (auto: by the preset)"
    added.add_argument("--flip", choices=("auto", "none", "sideways", "every-way"), help=about)
    added.add_argument("--mixup", type=float, metavar="ALPHA", help="mix pictures (0: off)")
    added.add_argument("--cutmix", type=float, metavar="ALPHA", help="paste parts of others (0: off)")
    added.add_argument("--label-smoothing", type=float, help="from 0 to 1")
    about = "make rare classes count alike, by weights or by drawing them more often"
    added.add_argument("--balance", choices=("none", "weights", "sampling"), help=about)
    added.add_argument("--drop-rate", type=float, help="dropout before the head, from 0 to 1")
    added.add_argument("--drop-path-rate", type=float, help="dropout of whole layers, from 0 to 1")
    added.add_argument("--ema", type=float, metavar="DECAY", help="average the weights, 0.99 for one (0: off)")


def _rate_settings(added: argparse.ArgumentParser) -> None:
    added.add_argument("--optimizer", choices=("adamw", "sgd"), help="the optimiser")
    added.add_argument("--base-lr", type=float, help="the highest learning rate")
    added.add_argument("--layer-decay", type=float, help="rate of each layer group, as a part of the one above")
    added.add_argument("--weight-decay", type=float, help="the optimiser's weight decay")
    added.add_argument("--clip", type=float, help="the longest gradient (0: any)")
    about = "how the rate goes: one-cycle, cosine with warm-up, cosine with restarts"
    added.add_argument("--schedule", choices=("one-cycle", "cosine", "restarts"), help=about)
    added.add_argument("--warmup", type=float, help="share of the steps, for cosine")
    added.add_argument("--cycle-epochs", type=int, help="epochs of the first cycle, for restarts")
    added.add_argument("--cycle-factor", type=float, help="how much longer each next cycle is, for restarts")
    about = "for restarts: average the weights at the ends of the cycles, or ask all of these networks"
    added.add_argument("--snapshots", choices=("none", "average", "ensemble"), help=about)


def _serving_arguments(command: Add) -> None:
    added = command("serve", "the prediction app of a model alone, in the browser", workspace=False)
    added.add_argument("model", metavar="MODEL", help="a model folder: an export, a Space folder or a run")
    added.add_argument("--port", type=int, default=7860, help="port to listen at")
    added.add_argument("--host", metavar="H", default="127.0.0.1", help="address to listen at (0.0.0.0: from anywhere)")
    added.add_argument("--auth", metavar="USER:PASSWORD", help="ask for it")
    added.add_argument("--mcp", action="store_true", help="also as a tool for language models, at /gradio_api/mcp/")


def _cleaning_arguments(command: Add) -> None:
    added = command("review", "what a run gets wrong")
    added.add_argument("--run", help="the run (newest if left out)")
    added.add_argument("--split", choices=("train", "valid", "test"), default="valid", help="judged on")
    added.add_argument("--count", type=int, default=50, help="top losses")
    added = command("suspects", "the cleaning queue")
    added.add_argument("--run", help="the run (newest if left out)")
    added.add_argument(
        "--audit-test", action="store_true", help="the locked test split instead, which is logged and said ever after"
    )
    added = command("decide", "keep, remove, restore or relabel one image")
    added.add_argument("--id", required=True, help="the image")
    choice = added.add_mutually_exclusive_group(required=True)
    for action in ("keep", "remove", "restore"):
        choice.add_argument(f"--{action}", dest="action", action="store_const", const=action, help=f"{action} it")
    choice.add_argument("--relabel", metavar="L", help="give it this label")
    added = command("undo", "take back the last decisions")
    added.add_argument("--count", type=int, default=1, help="how many")
    added = command("decisions", "the journal")
    added.add_argument("--out", type=Path, metavar="FILE.csv", help="write it as a CSV file for 'replay'")
    added = command("replay", "make somebody else's decisions here, on the same pictures")
    added.add_argument("file", type=Path, metavar="FILE.csv", help="what 'decisions --out' wrote")
    added = command("rename", "call a class by another name; it is merged where that name exists")
    added.add_argument("old", metavar="OLD", help="the class")
    added.add_argument("new", metavar="NEW", help="its new name")
    added = command("compare", "two runs on the same images, paired")
    added.add_argument("run_a", metavar="RUN_A", help="the run before")
    added.add_argument("run_b", metavar="RUN_B", help="the run after")
    command("ledger", "every run: its data, the decisions until then, its test error then and by the labels of today")


def _shipping_arguments(command: Add) -> None:
    added = command("predict", "what a model says about pictures", workspace=False)
    added.add_argument("model", metavar="MODEL", help="an exported folder, or a run's folder")
    added.add_argument("images", nargs="+", metavar="IMAGE", help="picture files, or folders of them")
    added.add_argument("--tta", action="store_true", help="average over several views (the answer says which)")
    added.add_argument("--out", metavar="FILE.csv", help="write a table instead: a row a picture, a column a class")
    added = command("export", "a run as a model folder or a Space folder, checked")
    added.add_argument("run", metavar="RUN", help="the run")
    added.add_argument("out", metavar="OUT", help="the folder to write")
    added.add_argument("--onnx", action="store_true", help="an ONNX model too, which takes pictures of any size")
    added.add_argument("--int8", action="store_true", help="a smaller ONNX model too; what it costs is measured")
    added.add_argument("--space", action="store_true", help="a Hugging Face Space folder")
    added.add_argument(
        "--kind",
        default="gradio",
        help="of Space: gradio (a CPU; the default), static (the visitor's browser), zerogpu (a borrowed GPU)",
    )
    added.add_argument("--examples", type=int, default=4, help="example pictures in a Space, published with it (4)")
    added = command("test-space", "a Space folder in a fresh environment, or online: same answers?", workspace=False)
    added.add_argument("folder", metavar="SPACE_DIR", help="what export --space wrote")
    added.add_argument("--url", default="", help="ask it where it is online: an address, or USER/NAME")
    added.add_argument("--python", default="", help="the Python to make the environment with (this one)")
    added = command("deploy", "a Space folder to Hugging Face; the token is HF_TOKEN", workspace=False)
    added.add_argument("space_dir", metavar="SPACE_DIR", help="what export --space wrote")
    added.add_argument("repo_id", metavar="REPO_ID", help="USER/NAME")
    added.add_argument("--private", action="store_true", help="only you may see it")
    added.add_argument(
        "--wait", type=float, default=1800, metavar="S", help="wait so many seconds at most until it runs (1800)"
    )
    command("card", "data_card.md and attributions.csv: where the pictures come from, and claimed licences")
    added = command("dataset", "the pictures and labels as a folder for others, with the card")
    added.add_argument("out", metavar="OUT", help="a new or an empty folder")
    added.add_argument("--layout", choices=("folders", "csv", "metadata"), default="folders", help="where labels are")
    added.add_argument("--originals", action="store_true", help="files as they came, with metadata (place, camera)")
    command("jobs", "what is running")
    added = command("cancel", "ask a job to stop")
    added.add_argument("job", metavar="JOB", help="the job's id")
