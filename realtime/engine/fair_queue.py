"""A queue in which tenants take turns, however much one of them has waiting. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Waiting items, by tenant; each tenant's in their order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()  # whose turn is next comes first; none is empty

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def push(self, tenant: str, item: T) -> None:
        """Add an item behind the tenant's other items."""
        self._waiting.setdefault(tenant, deque()).append(item)

    def push_first(self, tenant: str, item: T) -> None:
        """Add an item before all others."""
        self._waiting.setdefault(tenant, deque()).appendleft(item)
        self._waiting.move_to_end(tenant, last=False)

    def pop(self, busy: Container[str] = ()) -> T | None:
        """Take the next item; None if there is none, or only items of busy tenants."""
        tenant = next((one for one in self._waiting if one not in busy), None)
        if tenant is None:
            return None
        items = self._waiting.pop(tenant)
        item = items.popleft()
        if items:
            self._waiting[tenant] = items
        return item

    def remove(self, tenant: str, item: T) -> bool:
        """Remove this item. Return False if it does not wait."""
        items = self._waiting.get(tenant, deque())
        if item not in items:
            return False
        items.remove(item)
        if not items:
            del self._waiting[tenant]
        return True
