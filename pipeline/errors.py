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
    """A step failed; ``str(error)`` is a sentence for the person at the screen."""


class UsageError(PipelineError):
    """The arguments make no sense together."""


class LimitReached(PipelineError):
    """It is more than a public demo gives each visitor."""


class Cancelled(PipelineError):
    """The person asked the step to stop, and it stopped."""


class WorkspaceError(PipelineError):
    """The folder cannot be, or is not, a workspace."""


class StoreError(PipelineError):
    """The store refuses: an unknown image, a newer version, a lock held too long."""


class StaleDecision(StoreError):
    """The image is no longer as the person saw it when deciding."""


class SourceError(PipelineError):
    """What was to be imported cannot be read."""


class NetworkError(PipelineError):
    """A service on the network cannot be reached, or refused."""


class BlockedAddress(NetworkError):
    """The address rule forbids this URL."""


class NotEnoughData(PipelineError):
    """There are too few images or classes for this step."""


class TooManyBroken(PipelineError):
    """So many images cannot be used that something else is probably wrong; it is up to the person to go on."""


class BackboneError(PipelineError):
    """The backbone is unknown, or its pretrained weights cannot be had."""


class TrainingError(PipelineError):
    """Training cannot go on."""


class RunError(PipelineError):
    """There is no such run, or its files are not as they were written."""


class ExportError(PipelineError):
    """The exported model does not do what the run did."""


class DeployError(PipelineError):
    """The hub refused or cannot be reached."""


class JobError(PipelineError):
    """There is no such job, or it cannot be done in its state."""
