from django.apps import AppConfig


class CompletionConfig(AppConfig):
    name = "completion"

    def ready(self) -> None:
        """Registers the system checks."""
        from completion import checks  # noqa: F401
