"""/v1/completions over a socket: the texts of the command line, streams, room, and clients that leave."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from elboroom.cli.main import main
from elboroom.run import Run, load
from elboroom.serve.forms import Completion, CompletionBody, ModelCard, ModelList
from served import TOKEN, Client, until

LONG = 16_000
"""Tokens of a text that no test waits for."""
URL = "/v1/completions"


def choices(document: Any) -> list[Any]:
    Completion.model_validate(document, strict=True)
    return list(document["choices"])


def test_a_seed_gives_the_text_that_the_command_line_gives(text: Client, text_run: Run) -> None:
    flags = ["--tokens", "40", "--seed", "7", "--temperature", "0.8", "--top-k", "9", "--top-p", "0.95", "-n", "2"]
    flags += ["--min-p", "0.01", "--repetition-penalty", "1.2", "--stop", "q"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["generate", str(text_run.path), "--prompt", "the cat", "a dog", *flags, "--json"]) == 0
    expected = json.loads(said.getvalue())
    found = choices(text.post(URL, prompt=["the cat", "a dog"], max_tokens=40, seed=7, temperature=0.8, top_k=9,
                              top_p=0.95, n=2, min_p=0.01, repetition_penalty=1.2, stop="q"))  # fmt: skip
    assert [c["index"] for c in found] == [0, 1, 2, 3]
    assert [(c["text"], c["finish_reason"], c["seed"]) for c in found] == [
        (e["text"], e["finish_reason"], e["seed"]) for e in expected
    ]


def test_a_stream_is_the_whole_in_pieces(text: Client) -> None:
    asked = {"prompt": ["the ", "dog"], "max_tokens": 30, "seed": 5, "logprobs": 2}
    whole = text.post(URL, **asked)
    *events, usage, last = text.events(URL, **asked, stream_options={"include_usage": True})
    assert last == "[DONE]" and usage["choices"] == [] and usage["usage"] == whole["usage"]
    for index, expected in enumerate(choices(whole)):
        own = [c for event in events for c in choices(event) if c["index"] == index]
        assert "".join(c["text"] for c in own) == expected["text"]
        assert [c["finish_reason"] for c in own] == [None] * (len(own) - 1) + ["length"]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            joined = [one for c in own for one in c["logprobs"][name]]
            assert joined == expected["logprobs"][name]
    assert len({event["id"] for event in events}) == 1


def test_logprobs_are_those_of_the_command_line(text: Client, text_run: Run) -> None:
    made = text_run.generate("the ", tokens=9, seed=2, logprobs=3)
    (found,) = choices(text.post(URL, prompt="the ", max_tokens=9, seed=2, logprobs=3))
    said = found["logprobs"]
    assert said["tokens"] == [t.text for t in made.logprobs]  # type: ignore[union-attr]
    assert said["token_logprobs"] == pytest.approx([t.logprob for t in made.logprobs], abs=1e-5)  # type: ignore[union-attr]
    assert [len(top) for top in said["top_logprobs"]] == [3] * 9
    (chosen,) = choices(text.post(URL, prompt="the ", max_tokens=9, seed=2, logprobs=0))
    assert chosen["logprobs"]["top_logprobs"] is None and chosen["text"] == found["text"]


def test_defaults_are_those_of_the_interface_and_a_fresh_seed_is_told(text: Client) -> None:
    document = text.post(URL)
    (one,) = choices(document)
    assert document["usage"] == {"prompt_tokens": 0, "completion_tokens": 16, "total_tokens": 16}
    (again,) = choices(text.post(URL, seed=one["seed"]))
    assert again["text"] == one["text"]
    assert len({choices(text.post(URL))[0]["seed"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("field", "value", "status", "says"),
    [
        ("echo", True, 400, "echo is not supported"),
        ("suffix", "end", 400, "suffix is not supported"),
        ("best_of", 4, 400, "best_of is not supported"),
        ("logit_bias", {"3": 1}, 400, "logit_bias is not supported"),
        ("presence_penalty", 0.5, 400, "presence_penalty is not supported"),
        ("prompt", [1, 2], 400, "token numbers are not read"),
        ("prompt", [], 400, "it is a text or a list of texts"),
        ("prompt", "ÿ", 400, "no token for 1 character"),
        ("model", "gpt-4", 404, "there is no model 'gpt-4' here"),
        ("max_tokens", 0, 400, "max_tokens: Input should be greater than or equal to 1"),
        ("max_tokens", "9", 400, "max_tokens: Input should be a valid integer"),
        ("temperature", -1, 400, "temperature: Input should be greater"),
        ("n", 65, 400, "65 texts in one request; this server takes 64 at once"),
        ("stop", [""], 400, "stop: "),
        ("max_token", 3, 400, "did you mean 'max_tokens'?"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: Client, field: str, value: Any, status: int, says: str) -> None:
    assert text.refused(URL, **{field: value})[0] == status
    assert says in text.refused(URL, **{field: value})[1]
    assert says in text.refused(URL, **{field: value, "stream": True})[1]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"a"', b"[" * 100_000, b'{"temperature": NaN}', b"\xff{}", b"null"]
)
def test_bodies_that_are_no_form_are_refused(text: Client, body: bytes) -> None:
    status, document = text.ask("POST", URL, body)
    assert status == 400 and "error" in document


def test_the_run_is_the_only_model(text: Client, text_run: Run) -> None:
    _, listed = text.ask("GET", "/v1/models")
    ModelList.model_validate(listed, strict=True)
    assert [card["id"] for card in listed["data"]] == [text_run.path.name]
    status, card = text.ask("GET", f"/v1/models/{text_run.path.name}")
    assert status == 200 and ModelCard.model_validate(card)
    assert text.ask("GET", "/v1/models/other")[0] == 404


# -- room ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_hundred_streams_at_once_complete_and_with_eight_slots_the_rest_are_told_to_come_back(
    served_run: Any, text_run: Run
) -> None:
    def one(client: Client, i: int) -> Any:
        with client.send("POST", URL, {"prompt": "the cat sat on a ", "max_tokens": 50, "stream": True}) as answer:
            return answer.status, answer.read().endswith(b"data: [DONE]\n\n")

    for slots in (200, 8):
        with served_run(text_run, slots=slots, queue=0) as (serving, client), ThreadPoolExecutor(200) as pool:
            found = list(pool.map(lambda i: one(client, i), range(200)))
            assert serving.worker.busy == serving.worker.waiting == 0
        whole, refused = found.count((200, True)), found.count((429, False))
        assert whole + refused == 200 and whole >= slots
        assert (refused == 0) == (slots == 200)


def test_fifty_streams_at_once_complete_each_in_its_order(text: Client, text_run: Run) -> None:
    expected = {i: text_run.generate("the ", tokens=20 + i % 7, seed=i).text for i in range(50)}  # type: ignore[union-attr]

    def one(i: int) -> str:
        *events, last = text.events(URL, prompt="the ", max_tokens=20 + i % 7, seed=i)
        assert last == "[DONE]"
        return "".join(c["text"] for event in events for c in event["choices"])

    with ThreadPoolExecutor(50) as pool:
        assert dict(enumerate(pool.map(one, range(50)))) == expected


def test_what_does_not_fit_is_told_to_come_back_and_may(served_run: Any, text_run: Run) -> None:
    with served_run(text_run, slots=2, queue=1) as (serving, client):
        held = [client.events(URL, max_tokens=LONG) for _ in range(2)]
        names = [next(stream)["id"] for stream in held]
        waiting: list[Any] = []
        thread = threading.Thread(target=lambda: waiting.append(client.post(URL, seed=1)))
        thread.start()
        until(lambda: serving.worker.waiting == 1)
        answer = client.send("POST", URL, {})
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert json.loads(answer.read())["error"]["type"] == "rate_limit_error"
        assert "elboroom_slots_busy 2" in client.ask("GET", "/metrics")[1]
        assert client.ask("POST", f"{URL}/{names[0]}/cancel", {})[0] == 200
        thread.join(20)
        assert len(choices(waiting[0])) == 1
        assert len(choices(client.post(URL))) == 1
        for stream in held:
            stream.close()


def test_a_client_that_leaves_frees_its_slot_within_200_ms(served_run: Any, text_run: Run) -> None:
    with served_run(text_run, slots=4, queue=0) as (serving, client):
        took = []
        for stream in (True, False, True):
            bare = client.connect()
            body = json.dumps({"max_tokens": LONG, "n": 4, "stream": stream}).encode()
            head = f"POST {URL} HTTP/1.1\r\nHost: 127.0.0.1:{client.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            bare.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            until(lambda: serving.worker.busy == 4)
            bare.close()
            took.append(until(lambda: serving.worker.busy == serving.worker.waiting == 0))
            assert len(choices(client.post(URL, n=4))) == 4
        assert sorted(took)[1] < 0.2
        assert serving.completions.open == {}


def test_a_request_that_is_cancelled_returns_what_there_is(served_run: Any, text_run: Run) -> None:
    with served_run(text_run, slots=2, queue=2) as (serving, client):
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(client.post(URL, max_tokens=LONG, n=3, seed=4)))
        thread.start()
        until(lambda: serving.counts.tokens > 20)
        (name,) = serving.completions.open
        assert client.post(f"{URL}/{name}/cancel") == {"id": name, "cancelled": True}
        thread.join(20)
        made = choices(found[0])
        assert [c["finish_reason"] for c in made] == ["cancelled"] * 3
        assert 0 < len(made[0]["text"]) < LONG and made[2]["text"] == ""  # the third had no slot yet
        whole = text_run.generate(tokens=len(made[0]["text"]), seed=4)
        assert made[0]["text"] == whole.text  # type: ignore[union-attr]
        assert client.ask("POST", f"{URL}/{name}/cancel", {})[0] == 404


def test_a_slow_reader_gets_the_whole_text_in_fewer_pieces(text: Client, text_run: Run) -> None:
    stream = text.events(URL, max_tokens=800, seed=8)
    first = next(stream)
    time.sleep(0.5)
    pieces = [c["text"] for event in [first, *stream][:-1] for c in event["choices"]]
    assert "".join(pieces) == text_run.generate(tokens=800, seed=8).text  # type: ignore[union-attr]


def test_the_end_of_the_server_ends_a_stream_in_order(served_run: Any, text_run: Run) -> None:
    with served_run(text_run, slots=1) as (_, client):
        stream = client.events(URL, max_tokens=LONG)
        next(stream)
        rest: list[Any] = []
        thread = threading.Thread(target=lambda: rest.extend(stream))
        thread.start()
    thread.join(20)
    assert rest[-1] == "[DONE]" and rest[-2]["choices"][0]["finish_reason"] == "cancelled"


def test_a_damaged_model_fails_each_request_and_not_the_server(served_run: Any, text_run: Run) -> None:
    broken = load(text_run.path)
    with torch.no_grad():
        for parameter in broken.model.parameters():
            parameter.fill_(float("nan"))
    with served_run(broken, slots=2, queue=0) as (serving, client):
        for _ in range(3):
            status, message = client.refused(URL, n=2)
            assert status == 400 and "no numbers" in message
            assert serving.worker.busy == serving.worker.waiting == 0
        assert client.ask("GET", "/health") == (200, {"status": "ok"})


def test_a_fault_of_ours_is_one_sentence_without_a_traceback(
    served_run: Any, text_run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    broken = load(text_run.path)
    broken.transform.tokenizer = None  # type: ignore[union-attr]
    with served_run(broken) as (_, client):
        status, message = client.refused(URL, prompt="a")
    assert (status, message) == (500, "a fault of ours; the server's own messages say more")
    assert "Traceback" in caplog.text


# -- clients -------------------------------------------------------------------------------------------------------


def test_the_client_library_of_openai_completes_and_streams(text: Client, text_run: Run) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"http://127.0.0.1:{text.port}/v1", api_key=TOKEN, max_retries=0) as client:
        expected = text_run.generate("the ", tokens=25, seed=3).text  # type: ignore[union-attr]
        model = client.models.list().data[0].id
        whole = client.completions.create(model=model, prompt="the ", max_tokens=25, seed=3)
        assert whole.choices[0].text == expected and whole.usage.completion_tokens == 25
        stream = client.completions.create(model=model, prompt="the ", max_tokens=25, seed=3, stream=True)
        assert "".join(chunk.choices[0].text for chunk in stream) == expected
        with pytest.raises(openai.BadRequestError, match="echo is not supported"):
            client.completions.create(model=model, prompt="the ", echo=True)
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model="other", prompt="the ")
    wrong = openai.OpenAI(base_url=f"http://127.0.0.1:{text.port}/v1", api_key="wrong", max_retries=0)
    with wrong as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_every_field_says_what_it_is() -> None:
    assert all(field.description for field in CompletionBody.model_fields.values())
