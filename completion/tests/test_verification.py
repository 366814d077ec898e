"""Each way of changing a file gets its own answer: by the file and the certificate alone."""

import base64
import io
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext

from completion.certificates import published
from completion.examining import CannotExamine, Limits, examine_apart
from completion.models import Artifact
from completion.tests.forging import FORGERIES, hole_of, stranger_signs, without_signature
from completion.verification import ANSWERS, Verdict, certificates_in, examine

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db
REJECTED_BY_PDFSIG = re.compile(
    r"Digest Mismatch|not signed|Not total document signed|isn't signed|Couldn't|does not contain", re.I
)


@pytest.fixture
def pdf(artifact: Artifact) -> bytes:
    return bytes(artifact.pdf)


def test_an_artifact_is_valid_and_tells_its_facts(artifact: Artifact, pdf: bytes) -> None:
    found = examine(pdf, published())

    assert found.verdict is Verdict.VALID
    assert found.sha256 == artifact.sha256
    assert found.certificate_sha256 == artifact.certificate.sha256
    assert found.manifest is not None
    assert (found.manifest["name"], found.manifest["id"]) == ("Ada Lovelace", artifact.number)


@pytest.mark.parametrize("name", FORGERIES)
def test_every_forgery_gets_its_own_answer(name: str, pdf: bytes) -> None:
    forge, verdict = FORGERIES[name]

    found = examine(forge(pdf), published())

    assert (found.verdict, found.manifest) == (verdict, None), found.detail


def test_every_verdict_has_an_answer() -> None:
    assert set(ANSWERS) == set(Verdict)
    assert len(set(ANSWERS.values())) == len(ANSWERS)


def test_pyhanko_itself_accepts_an_artifact(pdf: bytes) -> None:
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    context = ValidationContext(trust_roots=certificates_in(published()), allow_fetching=False)

    status = validate_pdf_signature(signature, context)

    assert status.bottom_line
    assert status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    assert signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"


def told_by(pdfsig: str, pdf: bytes, folder: Path) -> str:
    file = folder / "file.pdf"
    file.write_bytes(pdf)
    done = subprocess.run([pdfsig, str(file)], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_pdfsig_accepts_an_artifact(pdfsig: str, pdf: bytes, tmp_path: Path) -> None:
    told = told_by(pdfsig, pdf, tmp_path)

    assert "Signature is Valid." in told
    assert "Total document signed" in told
    assert "ETSI.CAdES.detached" in told


SIGNED_ALL_THE_SAME = {
    "the padding of the signature used",
    "the signature spelled otherwise",
    "the last byte cut off",
    "a line feed appended",
    "signed again by another key",
    "another document, signed by its author",
}
"""pdfsig trusts no key of its own accord, and looks neither at the room of the signature nor at a last line feed"""


@pytest.mark.parametrize("name", sorted(FORGERIES.keys() - SIGNED_ALL_THE_SAME))
def test_pdfsig_rejects_every_forgery_that_is_its_business(name: str, pdfsig: str, pdf: bytes, tmp_path: Path) -> None:
    forge, _ = FORGERIES[name]

    told = told_by(pdfsig, forge(pdf), tmp_path)

    assert "Signature is Valid." not in told or REJECTED_BY_PDFSIG.search(told), told


def test_a_signature_by_an_earlier_key_of_ours_stays_valid(pdf: bytes) -> None:
    other = stranger_signs(without_signature(pdf))
    first = PdfFileReader(io.BytesIO(other))
    newer = certificate_text(first.embedded_signatures[0].signer_cert.dump())

    assert examine(pdf, newer + published()).valid
    assert examine(pdf, newer).verdict is Verdict.OTHER_KEY


def certificate_text(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_without_a_certificate_nothing_is_verified(text: str, pdf: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        examine(pdf, text)


@given(data=st.data())
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_can_be_changed(pdf: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(pdf) - 1))
    flip = data.draw(st.integers(1, 255))

    found = examine(pdf[:at] + bytes([pdf[at] ^ flip]) + pdf[at + 1 :], published())

    assert not found.valid


@given(place=st.integers(0, 99_999), digit=st.sampled_from(b"0123456789ABCDEFabcdef"))
@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_digit_of_the_signature_can_be_changed(pdf: bytes, place: int, digit: int) -> None:
    start, end = hole_of(pdf)
    at = start + place % (end - start)
    assume(digit != pdf[at])

    assert not examine(pdf[:at] + bytes([digit]) + pdf[at + 1 :], published()).valid


@given(st.binary(max_size=3_000))
@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_rubbish_is_valid_or_an_error(pdf: bytes, rubbish: bytes) -> None:
    assert not examine(b"%PDF-1.7\n" + rubbish, published()).valid


def bomb(megabytes: int) -> bytes:
    """A PDF whose cross-references unpack to many times its size."""
    packed = zlib.compress(bytes(megabytes * 1024 * 1024), 9)
    head = b"%PDF-1.7\n"
    table = (
        b"1 0 obj\n<</Type/XRef/W[1 4 2]/Size 9/Root 2 0 R/Filter/FlateDecode/Length %d>>\nstream\n" % len(packed)
        + packed
        + b"\nendstream\nendobj\n"
    )
    return head + table + b"startxref\n%d\n%%%%EOF\n" % len(head)


def nested(depth: int) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n" + b"[" * depth + b"]" * depth + b"\nendobj\n"
    return (
        head
        + b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \ntrailer<</Root 1 0 R/Size 2>>\nstartxref\n%d\n%%%%EOF\n"
        % len(head)
    )


def looping() -> bytes:
    head = b"%PDF-1.7\n"
    return head + b"xref\n0 1\n0000000000 65535 f \ntrailer<</Root 1 0 R/Size 1/Prev 9>>\nstartxref\n9\n%%EOF\n"


@pytest.mark.parametrize("hostile", [bomb(600), nested(200_000), looping()], ids=["bomb", "nested", "looping"])
def test_a_hostile_file_costs_no_more_than_the_limits(hostile: bytes, artifact: Artifact) -> None:
    limits = Limits(seconds=10, memory_bytes=400 * 1024 * 1024)
    try:
        found = examine_apart(hostile, published(), limits=limits)
    except CannotExamine as error:
        assert "no artifact" in str(error)
    else:
        assert not found.valid


def test_a_check_that_takes_too_long_is_ended(artifact: Artifact) -> None:
    with pytest.raises(CannotExamine, match="takes longer than 0 s"):
        examine_apart(bytes(artifact.pdf), published(), limits=Limits(seconds=0))


def test_a_file_that_is_too_large_is_not_read(artifact: Artifact) -> None:
    with pytest.raises(CannotExamine, match="larger than"):
        examine_apart(b"%PDF-" + bytes(5 * 1024 * 1024), published())


def test_apart_it_is_the_same_answer(pdf: bytes) -> None:
    assert examine_apart(pdf, published()) == examine(pdf, published())


def stranger(pdf: bytes, certificate: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`manage.py verify_artifact` where there is neither a database nor anything else of ours."""
    (folder / "artifact.pdf").write_bytes(pdf)
    (folder / "certificate.pem").write_text(certificate)
    environment = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": "",
        "DEBUG": "true",
        "SECRET_KEY": "x" * 50,
        "DATA_DIR": str(folder / "data"),
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    command = [sys.executable, str(ROOT / "manage.py"), "verify_artifact", str(folder / "artifact.pdf"), *options]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_stranger_verifies_with_the_certificate_alone(pdf: bytes, tmp_path: Path) -> None:
    done = stranger(pdf, published(), tmp_path, "--certificate", str(tmp_path / "certificate.pem"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("valid: ")
    assert "Name: Ada Lovelace" in done.stdout
    assert "whether it was revoked" in done.stdout


def test_a_stranger_sees_a_forgery(pdf: bytes, tmp_path: Path) -> None:
    forge, verdict = FORGERIES["signed again by another key"]

    done = stranger(forge(pdf), published(), tmp_path, "--certificate", str(tmp_path / "certificate.pem"))

    assert (done.returncode, done.stdout.split(":")[0]) == (1, verdict)
    assert "Ada" not in done.stdout


def test_a_stranger_without_certificate_is_told_where_it_is(pdf: bytes, tmp_path: Path) -> None:
    done = stranger(pdf, published(), tmp_path)

    assert done.returncode == 2
    assert "/verify/certificate.pem" in done.stderr


def test_the_check_needs_no_django() -> None:
    code = "import sys, completion.verification, completion.examining; sys.exit('django' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
