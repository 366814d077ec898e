"""API keys: made here, shown once, revoked, never deleted: traces and ledger entries name them."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.html import format_html
from django.utils.safestring import SafeString

from rag import clock
from rag.models import ApiKey, corpus_name
from ragsite.admin import CheckboxesInput, ModelForm, NoDelete, RowAdmin, TextInput, action, badge, reason_page


class CorporaField(forms.CharField):
    """Names with commas between them <-> a list of them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(each.strip() for each in str(value or "").split(",") if each.strip()))

    def run_validators(self, value: Any) -> None:
        for each in value:
            corpus_name(each)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != list(initial or []))


class ApiKeyForm(ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in ApiKey.SCOPES],
        widget=CheckboxesInput,
        initial=["ask"],
        help_text="ask: POST /api/ask. read: corpora, and the traces of this key. costs: what all questions cost. "
        "prompts: choose the prompt version that answers.",
    )

    corpora = CorporaField(
        required=False,
        widget=TextInput,
        help_text="Names of corpora, separated by commas: the key is for these alone. Empty: for all.",
    )


class ChangedKeyForm(ModelForm):
    corpora = CorporaField(required=False, widget=TextInput, help_text="Separated by commas. Empty: all.")


@admin.register(ApiKey)
class ApiKeyAdmin(NoDelete, RowAdmin):
    """A key's secret leaves the server once, in the page after it was made."""

    form = ChangedKeyForm
    add_form = ApiKeyForm
    list_display = (
        "name",
        "shown_prefix",
        "scope_names",
        "corpus_names",
        "owner",
        "state",
        "expires_at",
        "last_used_at",
    )
    list_select_related = ("owner",)
    search_fields = ("name", "prefix", "owner__username")
    ordering = ("-created_at",)
    actions = ("revoke_selected",)
    actions_detail = ("revoke_key",)

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        if not change:
            kwargs["form"] = self.add_form
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        made = ("name", "scopes", "corpora", "owner", "expires_at")
        if obj is None:
            return made
        return (
            "name",
            "expires_at",
            "corpora",
            "shown_prefix",
            "scope_names",
            "owner",
            "state",
            "created_at",
            "last_used_at",
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)[3:]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk, "scopes": ["ask"]} | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        full_key = obj.make_secret()
        super().save_model(request, obj, form, change)
        messages.success(
            request,
            format_html(
                'The key of {}: <code class="one-time-key">{}</code> Copy it now: it is never shown again.',
                obj.name,
                full_key,
            ),
        )

    @action(description="Revoke", permissions=["change"], icon="block", url_path="revoke")
    def revoke_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = get_object_or_404(ApiKey, pk=object_id)

        def act(why: str) -> str:
            revoke(ApiKey.objects.filter(pk=key.pk))
            return f"{key} is revoked: the next request with it is refused."

        return reason_page(
            self,
            request,
            obj=key,
            title=f"Revoke {key.name}",
            explanation="Every further request with this key is refused. This cannot be taken back.",
            act=act,
        )

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset.filter(revoked_at=None):
            self.log_change(request, key, "Revoked")
        messages.success(request, f"Keys revoked: {revoke(queryset)}.")

    @admin.display(description="key")
    def shown_prefix(self, key: ApiKey) -> SafeString:
        return format_html("<code>rk_{}_…</code>", key.prefix)

    @admin.display(description="scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="corpora")
    def corpus_names(self, key: ApiKey) -> str:
        return ", ".join(key.corpora) or "all"

    @admin.display(description="state")
    def state(self, key: ApiKey) -> SafeString:
        now = clock.now()
        if key.refusal(now) is None:
            return badge("active")
        return badge("revoked" if key.revoked_at else "expired")


def revoke(keys: QuerySet[ApiKey]) -> int:
    """Revoke the keys that are not yet, and say how many that were."""
    return keys.filter(revoked_at=None).update(revoked_at=clock.now())
