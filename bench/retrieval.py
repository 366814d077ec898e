"""`python -m bench.retrieval FILE MODULE`: what retrieval takes in a running service, without what the providers take.

Vector search over HTTP, BM25, fusion and the rows of what was found, as `rag/finding.py` goes about them. FILE holds questions,
a JSON list; they are embedded before the clock starts. Prints JSON: percentiles in milliseconds. `bench.load` starts it.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import django

WARM = 20
"""questions that are not counted: connections, caches, pages of the index"""


def main() -> None:
    django.setup()
    questions = json.loads(Path(sys.argv[1]).read_text())
    walls = [wall_ms(text, sys.argv[2]) for text in [*questions[:WARM], *questions]][WARM:]
    cuts = statistics.quantiles(walls, n=100)
    print(json.dumps({"n": len(walls), "p50": cuts[49], "p95": cuts[94]}))


def wall_ms(text: str, module: str) -> float:
    from rag import clock, wiring
    from rag.finding import retrieved
    from rag.providers.contracts import EmbedReply, EmbedRequest
    from rag.trace import Trace, new_trace_id
    from rag.transforms import simple
    from rag.values import Question

    @dataclass(frozen=True)
    class Embedded:
        reply: EmbedReply

        def send(self, request: EmbedRequest) -> EmbedReply:
            return self.reply

    parts = wiring.parts_for(Question(text=text, corpus="bench", module=module)).parts
    request = EmbedRequest(parts.models.embedding, (text,), "query", parts.models.dimensions)
    parts = replace(parts, embedder=Embedded(parts.embedder.send(request)))
    trace = Trace(trace_id=new_trace_id(), timestamp=clock.now(), query=text)
    begun = time.perf_counter()
    found = retrieved(simple(text), parts, trace)
    parts.passages.load([hit.key for hit in found.fused])
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
