"""Replaying a trace: the generation request rebuilt from what the trace names, and what differs today."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from prompts.texts import PromptText
from prompts.versions import UnknownPromptVersion, text_of
from rag import wiring
from rag.errors import RagError
from rag.generate import generation_request
from rag.models import ChunkSet, Turn
from rag.modules import MODULES
from rag.retrieval.passages import StoredPassages
from rag.sessions import conversation_of
from rag.trace_reading import find_line
from rag.values import Caller, Conversation, Passage, Question, sha256

PINNING = frozenset({"eval", "try"})
"""kinds of questions that name the version of the answer prompt, so that it does not matter to them which one is active"""


@dataclass(frozen=True, slots=True)
class Difference:
    what: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Replay:
    """`rebuilt` says whether the exact request could be made again byte for byte; None when none was ever sent.

    `differences` holds what makes today's answer to the same question another one. `withheld` says why nothing can be compared:
    the trace was `redacted` when it was written, or its content was `forgotten` since.
    """

    trace_id: str
    rebuilt: bool | None
    differences: tuple[Difference, ...]
    withheld: str = ""

    @property
    def identical(self) -> bool:
        return self.rebuilt is not False and not self.differences and not self.withheld


def replay(line: dict[str, Any]) -> Replay:
    """Compare a trace with what is stored and active now."""
    if reason := next((name for name in ("forgotten", "redacted") if line.get(name)), ""):
        return Replay(line["trace_id"], None, (), withheld=reason)
    if line.get("answer_from"):
        return replay_of_kept(line)
    if line["request_sha256"] is None:
        return Replay(line["trace_id"], None, tuple(todays_differences(line)))
    differences = [*prompt_differences(line), *source_differences(line), *conversation_differences(line)]
    rebuilt = False
    if not differences:
        rebuilt = rebuilt_sha256(line) == line["request_sha256"]
        if not rebuilt:
            differences.append(Difference("request", line["request_sha256"], rebuilt_sha256(line)))
    return Replay(line["trace_id"], rebuilt, (*differences, *todays_differences(line)))


def replay_of_kept(line: dict[str, Any]) -> Replay:
    """An answer from the cache is as reproducible as the request that made it."""
    maker = find_line(line["answer_from"]["trace_id"])
    if maker is None:
        return Replay(line["trace_id"], False, (Difference("the trace that made it", "there", "gone"),))
    made = replay(maker)
    if made.withheld:
        return Replay(line["trace_id"], None, (), withheld=made.withheld)
    same = maker["final_answer"] == line["final_answer"]
    altered = () if same else (Difference("answer", str(line["final_answer"]), str(maker["final_answer"])),)
    return Replay(line["trace_id"], made.rebuilt, (*altered, *made.differences))


def prompt_differences(line: dict[str, Any]) -> list[Difference]:
    try:
        stored = text_of(name="answer", version=line["prompt_version"]).content_hash
    except UnknownPromptVersion:
        stored = "gone"
    same = stored == line["prompt_hash"]
    return [] if same else [Difference(f"prompt {line['prompt_version']}", line["prompt_hash"], stored)]


def source_differences(line: dict[str, Any]) -> list[Difference]:
    """Sources whose stored text is gone or another one."""
    now = {key: sha256(passage.text) for key, passage in stored_passages(line).items()}
    return [
        Difference(f"chunk {source['id']}", source["sha256"], now.get(source["id"], "gone"))
        for source in line["sources"]
        if now.get(source["id"]) != source["sha256"]
    ]


def conversation_differences(line: dict[str, Any]) -> list[Difference]:
    """Earlier turns that are kept no more."""
    earlier = (line.get("turn") or 1) - 1
    if not earlier:
        return []
    kept = Turn.objects.filter(session_id=line["session_id"], number__lte=earlier).count()
    return [] if kept == earlier else [Difference("conversation", f"{earlier} earlier turns", f"{kept} kept")]


def stored_passages(line: dict[str, Any]) -> dict[str, Passage]:
    """The passages of the corpus version that answered, as they stand in the rows."""
    chunk_set = chunk_sets_of(line).first()
    keys = [source["id"] for source in line["sources"]]
    return StoredPassages(chunk_set_id=chunk_set.pk, url_template="").load(keys) if chunk_set else {}


def rebuilt_sha256(line: dict[str, Any]) -> str:
    prompt: PromptText = text_of(name="answer", version=line["prompt_version"])
    passages = stored_passages(line)
    sent = line.get("sources_sent", [source["id"] for source in line["sources"]])
    request = generation_request(
        question=line.get("standalone") or line["query"],
        passages=[passages[key] for key in sent],
        prompt=prompt,
        model=line["model"],
        max_tokens=line["config"]["max_tokens"],
        temperature=line["config"]["temperature"],
        keep_system=line.get("keep_system", False),
        keep_turns=line["config"].get("prompt_cache", False),
        conversation=conversation_before(line),
    )
    return request.fingerprint()


def conversation_before(line: dict[str, Any]) -> Conversation | None:
    """What the model was shown of the earlier turns."""
    if not line.get("session_id"):
        return None
    turns = Turn.objects.filter(session_id=line["session_id"], number__lt=line["turn"]).order_by("number")
    chunk_set = chunk_sets_of(line).get()
    return conversation_of(list(turns), chunk_set.pk, StoredPassages(chunk_set_id=chunk_set.pk, url_template=""))


def chunk_sets_of(line: dict[str, Any]) -> QuerySet[ChunkSet]:
    """The one that answered, unless it is gone."""
    return ChunkSet.objects.filter(
        version__corpus__slug=line["corpus"],
        version__number=int((line["corpus_version"] or "v0").removeprefix("v")),
        chunker=line["chunker"],
    )


def todays_differences(line: dict[str, Any]) -> list[Difference]:
    """Active versions and settings that are others than the trace's."""
    if line["config"] is None:
        return []
    try:
        transform, top_k = line["config"]["transform"], line["config"]["top_k"]
        asker = Caller(line["api_key_id"], line["user_id"]).asker(line["session_id"])
        version = line["prompt_version"] if line["kind"] in PINNING else None
        question = Question(line["query"], line["corpus"], line["module"], transform, top_k, prompt_version=version)
        wired = wiring.parts_for(question, asker=asker)
    except RagError as error:
        return [Difference("service", "answered", str(error))]
    now = wiring.configuration(wired.module, wired.models)
    then = line["config"] if line["module"] in MODULES else {}
    pairs = [
        ("prompt version", line["prompt_version"], wired.prompt.version),
        ("corpus version", line["corpus_version"], wired.serving.version),
        ("model", line["model"], wired.models.answer),
        ("provider mode", line["provider_mode"], wired.provider_mode),
        *((f"config {name}", then.get(name), now.get(name)) for name in sorted(now.keys() | then.keys())),
    ]
    return [Difference(what, str(old), str(new)) for what, old, new in pairs if old != new]
