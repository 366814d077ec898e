import base64
from collections.abc import Sequence

import numpy as np
import openai
import pytest
import voyageai.error

from sandbox.tests.clients import gpt, voyage
from sandbox.tests.conftest import post

TEXTS = ["How do I cache a page?", "Caching whole pages is simple.", "Bananas are yellow."]


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    return float(np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second)))


def test_voyage_returns_vectors_of_its_width_and_bills_tokens(server):
    result = voyage(server).embed(TEXTS, model="voyage-3.5", input_type="document")

    assert [len(vector) for vector in result.embeddings] == [1_024] * 3
    assert result.total_tokens > 12


def test_openai_returns_vectors_of_its_width_and_bills_tokens(server):
    result = gpt(server).embeddings.create(model="text-embedding-3-small", input=TEXTS)

    assert [len(row.embedding) for row in result.data] == [1_536] * 3
    assert result.usage.prompt_tokens == result.usage.total_tokens > 12


def test_vectors_have_length_one_and_follow_meaning(server):
    question, near, far = voyage(server).embed(TEXTS, model="voyage-3.5").embeddings

    assert np.linalg.norm(question) == pytest.approx(1, abs=1e-5)
    assert cosine(question, near) > cosine(question, far) + 0.3


def test_the_two_spaces_agree_within_and_differ_across(server):
    ours = voyage(server).embed(TEXTS, model="voyage-3.5").embeddings
    theirs = [row.embedding for row in gpt(server).embeddings.create(model="text-embedding-3-small", input=TEXTS).data]

    assert cosine(ours[0], ours[1]) == pytest.approx(cosine(theirs[0], theirs[1]), abs=1e-4)
    assert abs(cosine([*ours[0], *[0.0] * 512], theirs[0])) < 0.3


def test_the_voyage_4_family_shares_one_space_and_older_models_do_not(server):
    large, lite, older = (
        voyage(server).embed([TEXTS[0]], model=name).embeddings[0]
        for name in ("voyage-4-large", "voyage-4-lite", "voyage-3.5")
    )

    assert cosine(large, lite) == pytest.approx(1, abs=1e-6)
    assert abs(cosine(large, older)) < 0.3


def test_floats_and_base64_are_the_same_numbers(server):
    body = {"model": "text-embedding-3-small", "input": TEXTS[0]}
    as_floats = post(server, "/openai/v1/embeddings", body | {"encoding_format": "float"}).json()
    as_text = post(server, "/openai/v1/embeddings", body | {"encoding_format": "base64"}).json()

    decoded = np.frombuffer(base64.b64decode(as_text["data"][0]["embedding"]), dtype="<f4")

    assert decoded.tolist() == as_floats["data"][0]["embedding"]


def test_a_vector_does_not_depend_on_what_it_was_sent_with(server):
    text = "A sentence that no other test embeds, first alone and then among longer ones."
    alone = voyage(server).embed([text], model="voyage-3.5").embeddings[0]
    among = (
        gpt(server).embeddings.create(model="text-embedding-3-small", input=["x " * 400, text, "y"]).data[1].embedding
    )
    again = voyage(server).embed(["z " * 300, text], model="voyage-3.5").embeddings[1]

    assert alone == again
    assert np.linalg.norm(among) == pytest.approx(1, abs=1e-5)


def test_a_shorter_vector_is_normalised_again(server):
    short = gpt(server).embeddings.create(model="text-embedding-3-small", input="hello there", dimensions=128)
    wide = voyage(server).embed(["hello there"], model="voyage-3.5", output_dimension=256)

    assert len(short.data[0].embedding) == 128
    assert len(wide.embeddings[0]) == 256
    assert np.linalg.norm(short.data[0].embedding) == pytest.approx(1, abs=1e-5)


def test_results_keep_the_order_of_the_input_with_repeats(server):
    result = voyage(server).embed([TEXTS[0], TEXTS[1], TEXTS[0]], model="voyage-3.5").embeddings

    assert result[0] == result[2] != result[1]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": []}, "may not be empty"),
        ({"input": [""]}, "none of them empty"),
        ({"input": [3]}, "strings only"),
        ({"input": ["x"] * 1_001}, "at most 1000"),
        ({"input": ["x"], "model": "voyage-9"}, "not supported"),
        ({"input": ["x"], "model": ["voyage-3.5"]}, "model"),
        ({"input": ["x"], "input_type": "poem"}, "input_type"),
        ({"input": ["x"], "output_dimension": 300}, "output_dimension"),
        ({"input": ["x"], "output_dtype": "int8"}, "float only"),
        ({"input": ["word " * 33_000], "truncation": False}, "context length"),
        ({"input": ["word " * 31_000] * 11}, "320000 tokens"),
    ],
)
def test_voyage_refuses_with_a_detail(server, body, words):
    answer = post(server, "/voyage/v1/embeddings", {"model": "voyage-3.5"} | body)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"input": []}, 400, "may not be empty"),
        ({"input": ["x"] * 2_049}, 400, "at most 2048"),
        ({"input": "word " * 8_200}, 400, "maximum context length is 8192"),
        ({"input": ["word " * 8_000] * 38}, 400, "300000 tokens"),
        ({"input": "x", "dimensions": 1_537}, 400, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, 400, "encoding_format"),
        ({"input": "x", "model": "text-embedding-9"}, 404, "does not exist"),
    ],
)
def test_openai_refuses_in_its_own_shape(server, body, status, words):
    answer = post(server, "/openai/v1/embeddings", {"model": "text-embedding-3-small"} | body)

    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_the_sdks_raise_their_own_errors(server):
    with pytest.raises(openai.NotFoundError) as caught:
        gpt(server).embeddings.create(model="nobody", input="x")
    with pytest.raises(voyageai.error.InvalidRequestError):
        voyage(server).embed(["x"], model="nobody")

    assert caught.value.code == "model_not_found"
