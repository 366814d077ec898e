from django.apps import AppConfig


class RagConfig(AppConfig):
    name = "rag"
    verbose_name = "Questions and documents"

    def ready(self) -> None:
        """Registers the system checks."""
        from rag import checks  # noqa: F401
