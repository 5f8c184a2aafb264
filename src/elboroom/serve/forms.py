"""What each address takes and gives, field by field; the OpenAPI document is made from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, MaxLen
from pydantic import BaseModel, ConfigDict, StringConstraints

from elboroom.web.answers import Form

__all__ = [
    "STREAM_ID",
    "Cancelled",
    "Choice",
    "Classified",
    "ClassifyBody",
    "Codes",
    "CodesBody",
    "Completion",
    "CompletionBody",
    "DataBody",
    "DetectBody",
    "Detected",
    "EndedStream",
    "ErrorBody",
    "Examples",
    "Health",
    "ImputeBody",
    "Imputed",
    "ModelCard",
    "ModelList",
    "Reconstructed",
    "SampleBody",
]

LARGEST = 2**53 - 1
"""The largest whole number that every JSON reader keeps."""
TOKENS = 16_384
"""Most tokens of one text."""
STREAM_ID = r"^[A-Za-z0-9_.-]{1,64}$"
Text = Annotated[str, MaxLen(2**20)]
Real = int | float


class StreamOptions(Form):
    include_usage: bool = False
    """whether a last chunk counts the tokens"""


class CompletionBody(Form):
    """OpenAI's completion request, and the filters that elboroom has beside."""

    prompt: Text | Annotated[list[Text], Len(1, 256)] = ""
    """a text or a list of texts to go on from; token numbers are not read"""
    model: str | None = None
    """the run's id, as /v1/models gives it"""
    max_tokens: Annotated[int, Ge(1), Le(TOKENS)] | None = None
    """at most so many tokens for each text (default 16)"""
    temperature: Annotated[float, Ge(0), Le(1000)] | None = None
    """logits are divided by it; 0 is greedy (default 1)"""
    top_p: Annotated[float, Gt(0), Le(1)] | None = None
    """draw from the fewest tokens that together reach this mass (default 1)"""
    top_k: Annotated[int, Ge(0), Le(LARGEST)] = 0
    """draw from so many likeliest tokens; 0 keeps all"""
    min_p: Annotated[float, Ge(0), Le(1)] = 0.0
    """draw from tokens at least so likely, relative to the likeliest"""
    repetition_penalty: Annotated[float, Gt(0), Le(1000)] = 1.0
    """divides the positive logits of tokens already there; 1 is off"""
    n: Annotated[int, Ge(1), Le(1024)] | None = None
    """texts for each prompt (default 1)"""
    stop: Annotated[str, Len(1, 1000)] | Annotated[list[Annotated[str, Len(1, 1000)]], MaxLen(16)] | None = None
    """a text, or up to 16, that end a text"""
    seed: Annotated[int, Ge(0), Le(LARGEST)] | None = None
    """of the draws: the same one gives the same text as the command line (default: a fresh one, told with each text)"""
    stream: bool | None = None
    """whether the texts come piece by piece, as server-sent events"""
    stream_options: StreamOptions | None = None
    """what a stream tells beside the texts"""
    logprobs: Annotated[int, Ge(0), Le(20)] | None = None
    """log-probabilities of the tokens, and so many likeliest ones beside each"""
    echo: bool | None = None
    """not supported: true is refused"""
    best_of: Annotated[int, Ge(1), Le(1024)] | None = None
    """not supported: more than n is refused"""
    suffix: str | None = None
    """not supported: a text is refused"""
    presence_penalty: Annotated[float, Ge(-2), Le(2)] | None = None
    """not supported: other than 0 is refused; see repetition_penalty"""
    frequency_penalty: Annotated[float, Ge(-2), Le(2)] | None = None
    """not supported: other than 0 is refused; see repetition_penalty"""
    logit_bias: dict[str, Real] | None = None
    """not supported: any bias is refused"""
    user: str | None = None
    """read by nobody"""


class DataBody(Form):
    x: Annotated[list[Any], Len(1)]
    """rows: images as (n, height, width) or with channels, sequences, or a table's rows as lists or as objects"""
    columns: list[str] | None = None
    """names of a table's columns, where its rows are lists (default: those of the run, in their order)"""


class ImputeBody(DataBody):
    observed: list[str] = []
    """only these columns count as measured (default: every cell that is there)"""


class ClassifyBody(Form):
    x: Annotated[list[Any], Len(1)]
    """sequences (steps, channels) or (steps,), or texts"""


class CodesBody(Form):
    z: Annotated[list[list[Real]], Len(1)]
    """codes, as /encode gives them"""


class SampleBody(Form):
    n: Annotated[int, Ge(1), Le(10_000)] = 1
    """how many"""
    seed: Annotated[int, Ge(0), Le(LARGEST)] = 0
    """of the draws"""
    mean: bool = False
    """the decoder's mean in place of a draw of x"""
    temperature: Annotated[float, Ge(0), Le(1000)] = 1.0
    """of the prior"""
    label: str | int | None = None
    """a class by name or number, or "all" for each in turn"""
    truncation: Annotated[float, Gt(0), Le(1000)] | None = None
    """the largest number in the noise, for models of two players"""


class DetectBody(Form):
    stream: Annotated[str, StringConstraints(pattern=STREAM_ID)]
    """a name of your choice for one series: letters, digits, _ . - (at most 64)"""
    rows: Annotated[list[Annotated[list[Real | None], Len(1)]], Len(1)]
    """the rows that came since the last call, a number for each channel, null where one is missing"""
    times: list[str | int] | None = None
    """the time of each row, as ISO 8601 or nanoseconds, for a series that has times"""


# -- answers -------------------------------------------------------------------------------------------------------


class Given(BaseModel):
    """An answer's form; answers are not checked against it when they are sent, but by the tests."""

    model_config = ConfigDict(extra="forbid")


class ErrorFields(Given):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(Given):
    error: ErrorFields


class Logprobs(Given):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]] | None
    text_offset: list[int]


class Choice(Given):
    text: str
    index: int
    logprobs: Logprobs | None
    finish_reason: Literal["stop", "length", "cancelled"] | None
    seed: int


class Usage(Given):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Completion(Given):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


class Cancelled(Given):
    id: str
    cancelled: bool


class ModelCard(Given):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(Given):
    object: Literal["list"]
    data: list[ModelCard]


class Codes(Given):
    z: list[list[float]]
    z_sd: list[list[float]]


class Examples(Given):
    x: list[Any]
    columns: list[str] | None = None
    label: list[str] | None = None


class Imputed(Examples):
    sd: list[list[float]]


class Reconstructed(Examples):
    original: list[Any]


class Classified(Given):
    label: list[str]
    p: list[list[float]]
    classes: list[str]
    index: list[int]
    step: list[int] | None


class Happening(Given):
    start: int
    stop: int
    peak: int
    peak_score: float
    shares: list[float]
    kind: str


class Shifted(Given):
    start: int
    row: int
    sizes: list[float]


class Verdict(Given):
    row: int
    score: float | None
    alarm: bool
    reason: str
    shares: list[float]
    ended: Happening | None
    shift: Shifted | None
    rarity: float | None


class Detected(Given):
    stream: str
    threshold: float
    verdicts: list[Verdict]


class EndedStream(Given):
    stream: str
    ended: Happening | None


class Health(Given):
    status: Literal["ok", "failed"]
