"""Bugs for the clients in JavaScript and Go: what of the source is replaced by what, and a case that catches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutant:
    """One bug. `case`: words of the name of a case that fails with it."""

    name: str
    file: str
    right: str
    wrong: str
    case: str

    def plant(self, folder: Path) -> None:
        """Put it into this copy of the client; the source has the right text exactly once."""
        path = folder / self.file
        text = path.read_text("utf-8")
        assert text.count(self.right) == 1, f"{self.name}: {self.file} has changed"
        path.write_text(text.replace(self.right, self.wrong), "utf-8")


JAVASCRIPT = [
    Mutant(
        "delivers duplicates",
        "src/track.mjs",
        'return number < this.nextNumber ? "duplicate" : "gap"',
        'if (number >= this.nextNumber) return "gap"',
        "duplicates are dropped",
    ),
    Mutant(
        "delivers over a gap",
        "src/track.mjs",
        'return number < this.nextNumber ? "duplicate" : "gap"',
        'if (number < this.nextNumber) return "duplicate"',
        "a gap is never delivered",
    ),
    Mutant(
        "asks for a gap for ever",
        "src/tracks.mjs",
        "const MAX_GAPS = 3;",
        "const MAX_GAPS = 3000;",
        "a gap that no resume closes",
    ),
    Mutant(
        "resumes one too early",
        "src/frames.mjs",
        "starting_after: track.nextNumber - 1,",
        "starting_after: track.nextNumber - 2,",
        "a cut in the middle",
    ),
    Mutant(
        "forgets the epoch",
        "src/frames.mjs",
        "...(track.epoch === null ? {} : { epoch: track.epoch }),",
        "",
        "a cut in the middle",
    ),
    Mutant(
        "takes what is on its way",
        "src/tracks.mjs",
        'return track?.phase === "live" &&',
        'if (track?.phase === "resuming") this.move(track, "live");\n    return track?.phase === "live" &&',
        "a gap is never delivered",
    ),
    Mutant(
        "repeats a create as a new one",
        "src/tracks.mjs",
        'else this.move(track, "held");',
        'else this.move(track, "held"), (track.request = track.request.replace("{", \'{"again":1,\'));',
        "a cut before response.created",
    ),
    Mutant(
        "forgets a cancel with the socket",
        "src/tracks.mjs",
        "track.cancelSent = track.ackedSent = false;",
        "track.cancelWanted = track.ackedSent = false;",
        "a cancel outlives the socket",
    ),
    Mutant(
        "does not repeat an ack on another socket",
        "src/tracks.mjs",
        "track.cancelSent = track.ackedSent = false;",
        "track.cancelSent = false;",
        "what was acknowledged holds for a cancel on another socket",
    ),
    Mutant(
        "forgets a truncation with the socket",
        "src/cuts.mjs",
        "for (const cut of this.#open) cut.isSent = false;",
        "",
        "a truncation outlives the socket",
    ),
    Mutant(
        "does not wait as long as it was told",
        "src/patience.mjs",
        "(retryAfter ?? 0) + backoff",
        "backoff",
        "a refusal that may pass is tried again",
    ),
    Mutant(
        "never gives up",
        "src/patience.mjs",
        "return this.retryAt <= Math.max(this.#troubledSince + maxRetrySeconds, this.#until);",
        "return true;",
        "trying to connect ends after the longest time",
    ),
    Mutant(
        "creates on a socket that goes down",
        "src/session.mjs",
        "...this.#tracks.frames(now, !this.#draining),",
        "...this.#tracks.frames(now, true),",
        "no new work on a socket that is going down",
    ),
    Mutant(
        "holds all that is unread",
        "src/tracks.mjs",
        "track.length > this.#policy.maxBufferLength &&",
        "track.length < 0 &&",
        "a slow reader is detached at the server",
    ),
    Mutant(
        "takes a successor for a create",
        "src/inputs.mjs",
        "return tracks.find((t) => t.awaitsSuccessor && t.lane === lane && t.responseId === responseId) ?? null;",
        "return null;",
        "a steer is accepted, and the successor",
    ),
    Mutant(
        "believes a silent socket",
        "src/liveness.mjs",
        "return this.#seconds > 0 ? heardAt + this.#maxMissed * this.#seconds : Infinity;",
        "return Infinity;",
        "heartbeats are asked for on each socket",
    ),
    Mutant(
        "says that it reconnects when nothing is wanted",
        "src/session.mjs",
        'if (this.connectAt === null && this.#dialUntil === Infinity) return "idle";',
        "",
        "how the connection stands",
    ),
    Mutant(
        "counts a merged delta as heard before its end",
        "src/track.mjs",
        "if (this.textEnds[middle] <= numCharacters) low = middle + 1;",
        "if (this.textEnds[middle - 1] < numCharacters) low = middle + 1;",
        "characters of a merged delta",
    ),
]

GO = [
    Mutant(
        "delivers duplicates",
        "protocol/run.go",
        "if r.stage != following || event.Number < r.next {",
        "if r.stage != following {",
        "duplicates are dropped",
    ),
    Mutant(
        "delivers over a gap",
        "protocol/run.go",
        "if event.First != r.next {",
        "if event.First < r.next {",
        "a gap is never delivered",
    ),
    Mutant(
        "asks for a gap for ever",
        "protocol/run.go",
        "const maxGaps = 3\n",
        "const maxGaps = 3000\n",
        "a gap that no resume closes",
    ),
    Mutant(
        "resumes one too early",
        "protocol/run.go",
        '"starting_after": r.next - 1, "event_id"',
        '"starting_after": r.next - 2, "event_id"',
        "a cut in the middle",
    ),
    Mutant(
        "forgets the epoch",
        "protocol/run.go",
        'frame["epoch"] = r.epoch',
        "_ = r.epoch",
        "a cut in the middle",
    ),
    Mutant(
        "takes what is on its way",
        "protocol/run.go",
        "if r.stage != following || event.Number < r.next {",
        "if r.stage != following && r.stage != resuming || event.Number < r.next {",
        "a gap is never delivered",
    ),
    Mutant(
        "repeats a create as a new one",
        "protocol/run.go",
        "\tcase creating:\n\t\tr.stage = queued\n",
        '\tcase creating:\n\t\tr.frame = append([]byte(`{"again":1,`), r.frame[1:]...)\n\t\tr.stage = queued\n',
        "a cut before response.created",
    ),
    Mutant(
        "does not repeat a cancel on another socket",
        "protocol/run.go",
        "r.stop.sent = false",
        "r.stop.sent = true",
        "a cancel outlives the socket",
    ),
    Mutant(
        "does not repeat an ack on another socket",
        "protocol/run.go",
        "\trun.sendAck()\n",
        "",
        "what was acknowledged holds for a cancel on another socket",
    ),
    Mutant(
        "forgets a truncation with the socket",
        "protocol/connection.go",
        "\t\tcut.sent = false\n",
        "\t\tcut.sent = true\n",
        "a truncation outlives the socket",
    ),
    Mutant(
        "does not wait as long as it was told",
        "protocol/run.go",
        "at := r.s.now + max(err.RetryAfter, r.s.policy.Backoff(r.retries))",
        "at := r.s.now + r.s.policy.Backoff(r.retries)",
        "a refusal that may pass is tried again",
    ),
    Mutant(
        "never gives up",
        "protocol/connection.go",
        "c.nextDial-c.lostAt > max(s.policy.MaxRetry, c.patience)",
        "c.nextDial < c.lostAt",
        "trying to connect ends after the longest time",
    ),
    Mutant(
        "creates on a socket that goes down",
        "protocol/create.go",
        "\tif s.conn.draining {\n\t\treturn\n\t}\n",
        "",
        "no new work on a socket that is going down",
    ),
    Mutant(
        "holds all that is unread",
        "protocol/run.go",
        "r.unreadBytes <= r.s.policy.MaxBufferBytes ||",
        "r.unreadBytes >= 0 ||",
        "a slow reader is detached at the server",
    ),
    Mutant(
        "takes a successor for a create",
        "protocol/create.go",
        "if run := s.succeed(m, id); run != nil {",
        "if run := s.succeed(m, id); run != nil && false {",
        "a steer is accepted, and the successor",
    ),
    Mutant(
        "believes a silent socket",
        "protocol/connection.go",
        "case c.phase == open && c.promised > 0:",
        "case c.phase == open && c.promised < 0:",
        "heartbeats are asked for on each socket",
    ),
    Mutant(
        "says that it reconnects when nothing is wanted",
        "protocol/connection.go",
        "\tcase s.conn.phase == idle:\n\t\treturn Idle\n",
        "",
        "how the connection stands",
    ),
    Mutant(
        "counts a merged delta as heard before its end",
        "protocol/stop.go",
        "r.marks = append(r.marks, mark{r.marks[len(r.marks)-1].characters + count, event.Number})",
        "r.marks = append(r.marks, mark{r.marks[len(r.marks)-1].characters, event.Number})",
        "characters of a merged delta",
    ),
]
