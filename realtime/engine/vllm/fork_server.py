"""What the fork server imports before anything else (see `launch`): to import it changes the process."""

from __future__ import annotations

from .child import end_with_parent, leave_terminal

leave_terminal()
end_with_parent()
