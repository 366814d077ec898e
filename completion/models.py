"""Rows: artifacts as they were issued, which were revoked, and the certificates that signed. The database guards all three."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models


class Immutable(Exception):
    """Raised on an attempt to change or delete what was issued: issue a new one, or revoke it."""


class KeptQuerySet(models.QuerySet[Any]):
    def update(self, **kwargs: Any) -> NoReturn:
        raise Immutable("what was issued never changes: issue a new one")

    def delete(self) -> NoReturn:
        raise Immutable("what was issued never goes away: revoke it")


class Kept(models.Model):
    """A row that is written once."""

    objects = KeptQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Immutable("what was issued never changes: issue a new one")
        super().save(*args, **(kwargs | {"force_insert": True}))  # never an UPDATE of a row with the same key

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Immutable("what was issued never goes away: revoke it")


class SigningCertificate(Kept):
    """Public: it is served at /verify/certificate.pem. Its key lies in a file, never here."""

    pem = models.TextField()
    sha256 = models.CharField("SHA-256 of the certificate", max_length=64, unique=True)
    key_sha256 = models.CharField("SHA-256 of the public key", max_length=64, unique=True)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.sha256[:16]


class Artifact(Kept):
    """One issue of the proof. `manifest` is the canonical JSON that is embedded in `pdf`, letter for letter."""

    number = models.CharField(max_length=19, unique=True, help_text="printed on the page")
    name = models.CharField(max_length=200)
    sha256 = models.CharField("SHA-256 of the PDF", max_length=64, unique=True)
    manifest = models.TextField()
    manifest_sha256 = models.CharField("SHA-256 of the manifest", max_length=64)
    pdf = models.BinaryField()
    certificate = models.ForeignKey(SigningCertificate, on_delete=models.PROTECT, related_name="artifacts")
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, help_text="empty: by the shell"
    )
    issued_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        permissions = [("issue", "Can issue artifacts"), ("revoke", "Can revoke artifacts")]
        indexes = [
            # the newest first
            models.Index(fields=["-issued_at"], name="artifact_newest"),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def revoked(self) -> "Revocation | None":
        return Revocation.objects.filter(artifact=self).first()


class Revocation(Kept):
    """An artifact that is withdrawn. There is no way back: issue a new one."""

    artifact = models.OneToOneField(Artifact, on_delete=models.PROTECT, related_name="revocation")
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, help_text="empty: by the shell"
    )
    reason = models.CharField(max_length=200, help_text="shown to everybody who verifies it")
    at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints = [models.CheckConstraint(condition=~models.Q(reason=""), name="a_revocation_says_why")]

    def __str__(self) -> str:
        return f"{self.artifact} revoked"
