"""Where a model fails: recall and false alarms against each property of a film, on phantoms with exact truth."""

from radiolucent.faithfulness.limits.find import find_limits
from radiolucent.faithfulness.limits.types import Limits
from radiolucent.faithfulness.limits.write import write

__all__ = ["Limits", "find_limits", "write"]
