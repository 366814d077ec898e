"""What the admin pages of all rooms share, and the pages of users and groups.

django-unfold carries no types. Its names enter the application here, once, under the types of what they stand in for.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    ModelAdmin: TypeAlias = admin.ModelAdmin[Any]
    TabularInline: TypeAlias = admin.TabularInline[Any, Any]
    InfinitePaginator: TypeAlias = Paginator[Any]
    RadioFilter: TypeAlias = admin.SimpleListFilter
    RangeDateTimeFilter: TypeAlias = admin.FieldListFilter
    ChoicesCheckboxFilter: TypeAlias = admin.ChoicesFieldListFilter
    RelatedDropdownFilter: TypeAlias = admin.RelatedFieldListFilter
    ModelForm: TypeAlias = forms.ModelForm[Any]
    CheckboxesInput: TypeAlias = forms.CheckboxSelectMultiple
    TextInput: TypeAlias = forms.TextInput
    TextArea: TypeAlias = forms.Textarea
    Method = TypeVar("Method", bound=Callable[..., HttpResponse])

    def action(
        *, description: str, permissions: Iterable[str] = (), url_path: str = "", icon: str = ""
    ) -> Callable[[Method], Method]: ...
else:
    from django.forms import ModelForm
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.contrib.filters.admin import (
        ChoicesCheckboxFilter,
        RadioFilter,
        RelatedDropdownFilter,
    )
    from unfold.decorators import action
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
    from unfold.paginator import InfinitePaginator
    from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxesInput
    from unfold.widgets import UnfoldAdminTextareaWidget as TextArea
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

    from ragsite.time_filters import RangeDateTimeFilter

__all__ = [
    "CheckboxesInput",
    "ChoicesCheckboxFilter",
    "InfinitePaginator",
    "ModelAdmin",
    "ModelForm",
    "RadioFilter",
    "RangeDateTimeFilter",
    "RelatedDropdownFilter",
    "TextArea",
    "TextInput",
    "action",
]

TONES: Mapping[str, str] = {
    "ready": "good",
    "done": "good",
    "active": "good",
    "ok": "good",
    "building": "busy",
    "running": "busy",
    "queued": "busy",
    "simulated": "notice",
    "unpriced": "bad",
    "failed": "bad",
    "revoked": "bad",
    "expired": "bad",
}
LONGEST_SHOWN = 200_000
DONE: Mapping[int, str] = {ADDITION: "added", CHANGE: "changed", DELETION: "deleted"}


class RowAdmin(ModelAdmin):
    """The base of every page of ours: no list counts a huge table, and filters are applied together."""

    show_full_result_count = False
    list_filter_submit = True
    list_per_page = 50


class NoAdd:
    """To be made elsewhere."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False


class NoChange:
    """Never changed; still to be looked at."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class NoDelete:
    """Never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(NoAdd, NoChange, NoDelete):
    """To look at, with Django's view permission; for pages and for inlines."""


class ReadOnlyInline(ReadOnly, TabularInline):
    extra = 0
    max_num = 0
    hide_title = True


def badge(text: str) -> SafeString:
    """A word in a coloured pill; its colour follows from the word."""
    return format_html('<span class="badge badge-{}">{}</span>', TONES.get(text, "plain"), text)


def outcome_badge(outcome: str) -> SafeString:
    """`ok`, or the name of a failure."""
    return format_html('<span class="badge badge-{}">{}</span>', "good" if outcome == "ok" else "bad", outcome)


def to_the_second(moment: datetime) -> SafeString:
    return format_html('<span class="moment">{}</span>', f"{timezone.localtime(moment):%Y-%m-%d %H:%M:%S}")


def money(amount: Decimal | None, mode: str) -> SafeString:
    """Dollars to the eight places of the ledger. What the sandbox charged is told as simulated, always.

    Without a mode no provider was to be asked, so there is nothing to price.
    """
    if not mode:
        return format_html('<span class="money">{}</span>', "-")
    shown = badge("unpriced") if amount is None else format_html("${}", f"{amount:.8f}")
    note = badge("simulated") if mode == "simulated" else ""
    return format_html('<span class="money">{} {}</span>', note, shown)


def text_box(text: str) -> SafeString:
    """Text of any length in a scrolling box, letter for letter."""
    left_out = len(text) - LONGEST_SHOWN
    note = f"{left_out:,} more characters are not shown" if left_out > 0 else ""
    return format_html('<pre class="text-box" tabindex="0">{}</pre>{}', text[:LONGEST_SHOWN], note)


def bad_file_list(files: Iterable[Mapping[str, str]]) -> SafeString | str:
    """The files that could not be read, each with its reason."""
    rows = [(file.get("source", ""), file.get("reason", "")) for file in files]
    if not rows:
        return "none"
    return format_html('<ul class="bad-files">{}</ul>', format_html_join("", "<li><code>{}</code> {}</li>", rows))


def admin_link(obj: Model | None, text: str | None = None) -> SafeString | str:
    """A link to the admin page of a row."""
    if obj is None:
        return "-"
    url = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
    return format_html('<a class="row-link" href="{}">{}</a>', url, text or str(obj))


def choice_filter(*, field: str, title: str, choices: Sequence[tuple[str, str]]) -> type[RadioFilter]:
    """A filter on one column whose values are known: Django's would read the whole table for them."""

    class KnownValues(RadioFilter):
        parameter_name = field

        def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> Sequence[tuple[str, str]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: Any) -> Any:
            return queryset.filter(**{field: self.value()}) if self.value() else queryset

    KnownValues.title = title
    return KnownValues


class ReasonForm(forms.Form):
    why = forms.CharField(label="Reason", max_length=200, widget=TextInput, help_text="Kept in the log for good.")


def reason_page(
    model_admin: ModelAdmin,
    request: HttpRequest,
    *,
    obj: Model,
    title: str,
    explanation: str,
    act: Callable[[str], str],
    refusals: tuple[type[Exception], ...] = (),
    suggestion: str = "",
) -> HttpResponse:
    """Ask why, then `act(why)`, which returns what to tell. A refusal is shown as the form's error."""
    form = ReasonForm(request.POST or None, initial={"why": suggestion})
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                told = act(form.cleaned_data["why"])
                model_admin.log_change(request, obj, f"{title}: {form.cleaned_data['why']}")
        except refusals as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, told)
            return redirect(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", obj.pk)
    context = model_admin.admin_site.each_context(request) | {
        "title": title,
        "explanation": explanation,
        "form": form,
        "original": obj,
        "opts": obj._meta,
    }
    return TemplateResponse(request, "admin/reason.html", context)


def note(request: HttpRequest, text: str, *, on: type[Model]) -> None:
    """Put on record what was done that changed no row; `on` is what it is about."""
    LogEntry.objects.create(
        user_id=cast(int, request.user.pk),
        content_type=ContentType.objects.get_for_model(on),
        object_repr=str(on._meta.verbose_name),
        action_flag=CHANGE,
        change_message=text,
    )


class SuperusersChange:
    """Looked at with Django's permission; changed by superusers alone, for whoever grants permissions has them all."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


admin.site.unregister(User)
admin.site.unregister(Group)

if TYPE_CHECKING:
    UserBase: TypeAlias = DjangoUserAdmin[User]
    GroupBase: TypeAlias = DjangoGroupAdmin
else:

    class UserBase(DjangoUserAdmin, ModelAdmin):
        form = UserChangeForm
        add_form = UserCreationForm
        change_password_form = AdminPasswordChangeForm

    class GroupBase(DjangoGroupAdmin, ModelAdmin):
        pass


@admin.register(User)
class UserAdmin(NoDelete, SuperusersChange, UserBase):
    """People who sign in. Who leaves is made inactive: what they did stays on record under their name."""


@admin.register(Group)
class GroupAdmin(SuperusersChange, GroupBase):
    """Permissions that people share."""


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnly, RowAdmin):
    """Who changed what in the admin, and when. The database refuses to change or delete these rows."""

    list_display = ("moment", "user", "kind", "content_type", "object_repr", "what")
    list_display_links = ("moment",)
    list_filter = (
        choice_filter(field="action_flag", title="kind", choices=[(str(flag), word) for flag, word in DONE.items()]),
        ("user", RelatedDropdownFilter),
        ("action_time", RangeDateTimeFilter),
    )
    list_select_related = ("user", "content_type")
    search_fields = ("object_repr", "change_message", "user__username")
    ordering = ("-action_time", "-id")
    paginator = InfinitePaginator
    fields = ("moment", "user", "kind", "content_type", "object_id", "object_repr", "what")
    readonly_fields = fields

    @admin.display(description="at", ordering="action_time")
    def moment(self, entry: LogEntry) -> SafeString:
        return to_the_second(entry.action_time)

    @admin.display(description="kind", ordering="action_flag")
    def kind(self, entry: LogEntry) -> str:
        return DONE.get(entry.action_flag, "?")

    @admin.display(description="what")
    def what(self, entry: LogEntry) -> str:
        return entry.get_change_message()
