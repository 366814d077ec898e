"""A filter of admin lists by a range of moments."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateTimeFilter as NaiveRangeDateTimeFilter  # type: ignore[import-untyped]
from unfold.utils import parse_datetime_str  # type: ignore[import-untyped]


class RangeDateTimeFilter(NaiveRangeDateTimeFilter):  # type: ignore[misc]
    """unfold's, with what is typed in read as of TIME_ZONE. An end of which the day or the time is missing is open."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for end, lookup in (("from", "gte"), ("to", "lte")):
            day, time = (self.used_parameters.get(f"{self.parameter_name}_{end}_{n}") for n in (0, 1))
            moment = parse_datetime_str(f"{day} {time}") if day and time else None
            if moment is not None:
                queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": timezone.make_aware(moment)})
        return queryset
