from django.apps import AppConfig


class PromptsConfig(AppConfig):
    name = "prompts"

    def ready(self) -> None:
        """Registers the system checks."""
        from prompts import checks  # noqa: F401
