"""The kinds of text and number that requests hold; NUL characters and lone surrogates are refused by each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from radiolucent.findings.vocabulary import CODES

CLEAN = r"^[^\x00]*$"  # pydantic itself refuses lone surrogates


class Body(BaseModel):
    """A request's JSON: known fields only, no conversion between kinds."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """A response's JSON."""

    model_config = ConfigDict(extra="forbid")


Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=CLEAN)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=CLEAN)]
ReportPart = Annotated[str, StringConstraints(max_length=20_000, pattern=CLEAN)]
Remark = Annotated[str, StringConstraints(max_length=2_000, pattern=CLEAN)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=CLEAN)]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
_CODE = StringConstraints(max_length=40, pattern=r"^[a-z_]+$")
Code = Annotated[str, _CODE, Field(json_schema_extra={"enum": list(CODES)})]
Cursor = Annotated[str, StringConstraints(max_length=400, pattern=r"^[0-9A-Za-z_.@+-]+$")]
Limit = Annotated[int, Field(ge=1, le=200)]

Side = Literal["left", "right", "bilateral", "midline"]
Zone = Literal["upper", "middle", "lower", "hilar", "diffuse"]
Severity = Literal["minimal", "mild", "moderate", "severe"]
Polarity = Literal["present", "absent", "uncertain"]
Certainty = Literal["definite", "likely", "possible"]


def example(**values: Any) -> ConfigDict:
    """A body's configuration with an example of it."""
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [values]})
