"""PipelineError and its children: what can go wrong, in words for the person at the screen.

    PipelineError            a step failed; the message says what happened and what to do
    ├── UsageError           wrong arguments (exit code 2 on the command line)
    ├── LimitReached         more than a public demo gives a visitor
    ├── Cancelled            the person stopped it (exit code 130)
    ├── WorkspaceError       the folder cannot be (or is not) a workspace
    ├── StoreError           the store refuses: unknown image, newer version, locked
    │   └── StaleDecision    the image changed since the person looked at it
    ├── SourceError          what was to be imported cannot be read
    ├── NetworkError         a service cannot be reached or refused
    │   └── BlockedAddress   the address rule forbids this URL
    ├── NotEnoughData        too few images or classes for the step
    ├── TooManyBroken        so many images cannot be used that something else must be wrong
    ├── BackboneError        a backbone is unknown or its weights cannot be had
    ├── TrainingError        training cannot go on
    ├── RunError             no such run, or its files were changed
    ├── ExportError          the exported model does not do what the run did
    ├── DeployError          the hub said no
    └── JobError             no such job, or it cannot be done in its state

One failed image is never an exception: it is a row with a reason.
"""


class PipelineError(Exception):
    """A step failed; ``str(error)`` is a sentence for the person at the screen.

    >>> try:
    ...     run = w.load_run(ws, "no-such-run")
    ... except w.PipelineError as error:
    ...     print(error)
    There is no run no-such-run in this workspace.
    """


class UsageError(PipelineError):
    """The arguments make no sense together.

    >>> w.TrainConfig(epochs=-1)
    Traceback (most recent call last):
    pipeline.errors.UsageError: --epochs is 0 or more.
    """


class LimitReached(PipelineError):
    """It is more than a public demo gives each visitor."""


class Cancelled(PipelineError):
    """The person asked the step to stop, and it stopped."""


class WorkspaceError(PipelineError):
    """The folder cannot be, or is not, a workspace.

    >>> w.Workspace.open("nowhere")
    Traceback (most recent call last):
    pipeline.errors.WorkspaceError: There is no workspace at ...
    """


class StoreError(PipelineError):
    """The store refuses: an unknown image, a newer version, a lock held too long.

    >>> w.keep(ws, "no-such-image")
    Traceback (most recent call last):
    pipeline.errors.StoreError: ...
    """


class StaleDecision(StoreError):
    """The image is no longer as the person saw it when deciding.

    >>> image = w.suspects(ws, w.load_run(ws))["id"][0]
    >>> seen = w.keep(ws, image).after  # what the person has before them
    >>> elsewhere = w.relabel(ws, image, "quince")
    >>> w.remove(ws, image, expected=seen)
    Traceback (most recent call last):
    pipeline.errors.StaleDecision: ...
    """


class SourceError(PipelineError):
    """What was to be imported cannot be read.

    >>> w.run(w.import_images(ws, w.ImportConfig("no-such-folder")))
    Traceback (most recent call last):
    pipeline.errors.SourceError: There is nothing at ...
    """


class NetworkError(PipelineError):
    """A service on the network cannot be reached, or refused.

    >>> config = w.SearchConfig((("bear", "grizzly bear"),), providers=("openverse",))
    >>> try:
    ...     found = w.run(w.search(ws, config))
    ... except w.NetworkError as error:  # there is no network
    ...     print(error)
    Openverse cannot be reached...
    """


class BlockedAddress(NetworkError):
    """The address rule forbids this URL."""


class NotEnoughData(PipelineError):
    """There are too few images or classes for this step.

    >>> w.run(w.train(w.Workspace.create("empty")))
    Traceback (most recent call last):
    pipeline.errors.NotEnoughData: ...
    """


class TooManyBroken(PipelineError):
    """So many images cannot be used that something else is probably wrong; it is up to the person to go on.

    >>> broken = w.Workspace.create("broken")
    >>> imported = w.run(w.import_images(broken, w.ImportConfig("cut-off")))
    >>> w.run(w.verify(broken))
    Traceback (most recent call last):
    pipeline.errors.TooManyBroken: 4 of 4 pictures cannot be used: ...
    """


class BackboneError(PipelineError):
    """The backbone is unknown, or its pretrained weights cannot be had.

    >>> w.run(w.train(ws, w.TrainConfig(backbone="resnet5")))
    Traceback (most recent call last):
    pipeline.errors.BackboneError: There is no backbone 'resnet5'. Did you mean ...
    """


class TrainingError(PipelineError):
    """Training cannot go on."""


class RunError(PipelineError):
    """There is no such run, or its files are not as they were written.

    >>> w.load_run(ws, "no-such-run")
    Traceback (most recent call last):
    pipeline.errors.RunError: There is no run no-such-run in this workspace.
    """


class ExportError(PipelineError):
    """The exported model does not do what the run did.

    >>> w.run(w.export(ws, w.ExportConfig(run="", out="fruit/runs")))
    Traceback (most recent call last):
    pipeline.errors.ExportError: ... is part of the workspace. Choose a folder outside it...
    """


class DeployError(PipelineError):
    """The hub refused or cannot be reached.

    >>> w.run(w.deploy(w.DeployConfig("fruit-page", "ann/fruit"), token=None))
    Traceback (most recent call last):
    pipeline.errors.DeployError: Publishing needs a Hugging Face token...
    """


class JobError(PipelineError):
    """There is no such job, or it cannot be done in its state.

    >>> w.cancel(ws, "no-such-job")
    Traceback (most recent call last):
    pipeline.errors.JobError: There is no job no-such-job in this workspace.
    """
