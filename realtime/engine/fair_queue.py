"""A queue in which tenants take turns: however much one of them has waiting, the next tenant is next. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items that wait, by tenant; each tenant's in their order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()  # whose turn is next comes first; none is empty

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def push(self, tenant: str, item: T) -> None:
        """Wait, behind the tenant's other items."""
        self._waiting.setdefault(tenant, deque()).append(item)

    def push_first(self, tenant: str, item: T) -> None:
        """Wait before everything else."""
        self._waiting.setdefault(tenant, deque()).appendleft(item)
        self._waiting.move_to_end(tenant, last=False)

    def pop(self, busy: Container[str] = ()) -> T | None:
        """Take the next item; None if there is none but of tenants that are busy."""
        tenant = next((one for one in self._waiting if one not in busy), None)
        if tenant is None:
            return None
        items = self._waiting.pop(tenant)
        item = items.popleft()
        if items:
            self._waiting[tenant] = items
        return item

    def remove(self, tenant: str, item: T) -> bool:
        """Take this item out; False if it does not wait."""
        items = self._waiting.get(tenant, deque())
        if item not in items:
            return False
        items.remove(item)
        if not items:
            del self._waiting[tenant]
        return True
