"""A budget that several threads spend from: what is under way is reserved, so that together they do not overrun it."""

import threading
from decimal import Decimal


class Purse:
    """USD. `expected` is what one question probably costs, until the dearest of those that were paid is known.

    Only a question that costs more than every one before it can overrun the budget. Without a budget nothing is refused.
    """

    def __init__(self, *, budget: Decimal | None, spent: Decimal, expected: Decimal) -> None:
        self.spent = spent
        self.exhausted = False
        self._budget = budget
        self._expected = expected
        self._dearest: Decimal | None = None
        self._under_way = 0
        self._lock = threading.Lock()

    def reserve(self) -> bool:
        """Whether one more question may be asked."""
        with self._lock:
            if self._budget is not None and self.spent + (self._under_way + 1) * self._each() > self._budget:
                self.exhausted = True
                return False
            self._under_way += 1
            return True

    def settle(self, cost: Decimal) -> None:
        """A question that was reserved has cost this much."""
        with self._lock:
            self._under_way -= 1
            self.spent += cost
            self._dearest = max(cost, self._dearest or Decimal(0))

    def _each(self) -> Decimal:
        return self._expected if self._dearest is None else self._dearest
