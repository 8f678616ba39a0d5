package protocol

import (
	"encoding/json"
	"slices"
	"time"
)

type stage int

const (
	queued    stage = iota // its create is to be sent, for the first time or again
	creating               // its create is on this socket, unconfirmed
	following              // this socket is sent its events
	resuming               // a resume is on this socket: events until its answer are of the older reading
	apart                  // it has an id, and no socket
	paused                 // detached at the server until the caller has read what there is
	over                   // its terminal event was received
	ended                  // without one
)

// A Cursor is all that is needed to go on with a response later, anywhere.
type Cursor struct {
	ResponseID    string `json:"response_id"`
	StartingAfter int    `json:"starting_after"` // the last event that was read; -1: none
	Epoch         string `json:"epoch,omitempty"`
}

// A Run is one response that this client created or follows.
type Run struct {
	s     *Session
	stage stage
	err   error

	create    // how it was asked for
	id, epoch string
	next      int // the number that comes next
	final     json.RawMessage
	terminal  json.RawMessage

	resumeEvent string
	gaps        int // that were resumed since the last delivery
	notBefore   time.Duration
	retries     int
	retrySince  time.Duration

	unread      []Event
	unreadBytes int
	marks       []mark
	start       int // the cursor at which this reader began

	acked     *int
	stop      *stop
	detaching bool // said nothing yet: the next socket is told
	abandoned bool
	confirmed bool
	cutting   *Truncation // of a cancel that came after the end
	left      bool
	successor *Run
}

func newRun(s *Session, start int) *Run {
	return &Run{s: s, next: start + 1, start: start}
}

// ID returns the response's id, "" until the create is confirmed.
func (r *Run) ID() string { return r.id }

// Over reports whether the terminal event was received.
func (r *Run) Over() bool { return r.stage == over }

// Ended reports whether no event will be received any more.
func (r *Run) Ended() bool { return r.stage >= over }

// Confirmed reports whether the server has answered the create or the resume with this response.
func (r *Run) Confirmed() bool { return r.confirmed }

// Err returns why it ended without a terminal event, or a ResponseFailedError.
func (r *Run) Err() error { return r.err }

// Final returns the response object as far as it is known.
func (r *Run) Final() json.RawMessage { return r.final }

// Terminal returns the response object of the terminal event, which a truncation does not change; it has the receipt.
func (r *Run) Terminal() json.RawMessage { return r.terminal }

// Cursor returns the cursor behind the last event that was read; false while the response has no id.
func (r *Run) Cursor() (Cursor, bool) {
	after := r.next - 1
	if len(r.unread) > 0 {
		after = r.unread[0].First - 1
	}
	return Cursor{ResponseID: r.id, StartingAfter: after, Epoch: r.epoch}, r.id != ""
}

// Resume starts to follow a response behind a cursor. It fails with ErrAlreadyFollowed, or ErrClosed.
func (s *Session) Resume(cursor Cursor, catchUp string) (*Run, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if s.byID[cursor.ResponseID] != nil {
		return nil, ErrAlreadyFollowed
	}
	run := newRun(s, cursor.StartingAfter)
	run.id, run.epoch, run.stage, run.catchUp = cursor.ResponseID, cursor.Epoch, apart, catchUp
	s.runs = append(s.runs, run)
	s.byID[run.id] = run
	s.pump()
	return run, nil
}

func (r *Run) needsSocket() bool {
	switch r.stage {
	case queued, creating, following, resuming, apart:
		return true
	}
	return false
}

// sendResume follows the response on this socket.
func (r *Run) sendResume() {
	if r.stage != apart || r.s.now < r.notBefore {
		return
	}
	r.stage, r.resumeEvent = resuming, r.s.eventID("resume")
	frame := map[string]any{
		"type": "response.resume", "response_id": r.id, "starting_after": r.next - 1, "event_id": r.resumeEvent,
		"catch_up": r.catchUp,
	}
	if r.catchUp == "" {
		frame["catch_up"] = "merged"
	}
	if r.epoch != "" {
		frame["epoch"] = r.epoch
	}
	r.s.send(frame)
}

// resumed takes the answer to a resume.
func (s *Session) resumed(m *message) {
	answer := part[struct {
		ResponseID string `json:"response_id"`
		Epoch      string `json:"epoch"`
	}](m.Resumed)
	run := s.byID[answer.ResponseID]
	if run == nil {
		return
	}
	if answer.Epoch != "" {
		run.epoch = answer.Epoch // also unasked: another one, where a server took the response over from one that died
	}
	if run.stage != resuming {
		return
	}
	run.stage, run.retries, run.confirmed = following, 0, true
	run.sendAck()
}

// receive takes one event with this run's id.
func (r *Run) receive(event Event, m *message) {
	if r.stage != following || event.Number < r.next {
		return
	}
	if event.First != r.next {
		r.gap()
		return
	}
	r.next, r.gaps, r.retries = event.Number+1, 0, 0
	r.s.progress()
	if r.epoch == "" {
		r.epoch = m.Epoch // of the first event: the one that the answer to a resume told is newer
	}
	if m.Response != nil {
		r.final = m.Response
	}
	if !r.left {
		r.unread = append(r.unread, event)
		r.unreadBytes += len(event.Raw)
	}
	if event.Done {
		r.finish(event)
		return
	}
	r.pauseIfFull()
}

const maxGaps = 3

// gap asks for what is missing; when that brings the same gap again and again, the server is at fault.
func (r *Run) gap() {
	if r.gaps++; r.gaps > maxGaps {
		r.end(&ProtocolError{Message: "events are missing, and a resume does not bring them"})
		return
	}
	r.stage = apart
}

// pauseIfFull detaches a response whose reader is slow, so that memory is bounded and the socket goes on. A detach gives
// steers back, so one that waits for its successor is not paused.
func (r *Run) pauseIfFull() {
	if r.unreadBytes <= r.s.policy.MaxBufferBytes || r.stop != nil || r.waitsForInputs() {
		return
	}
	r.stage = paused
	r.sendDetachNow()
	r.freeLane()
}

// Read returns the next event that was received; false when there is none yet.
func (r *Run) Read() (Event, bool) {
	if len(r.unread) == 0 {
		return Event{}, false
	}
	event := r.unread[0]
	r.unread = r.unread[1:]
	r.unreadBytes -= len(event.Raw)
	r.mark(event)
	if len(r.unread) == 0 && r.stage == paused {
		r.unpause()
		r.s.pump()
	}
	return event, true
}

// Unread returns how many events were received and not read.
func (r *Run) Unread() int { return len(r.unread) }

func (r *Run) unpause() {
	if r.stage == paused {
		r.stage = apart
	}
}

// finish takes the terminal event.
func (r *Run) finish(event Event) {
	r.stage, r.terminal = over, r.final
	object := part[responseObject](r.final)
	if event.Type == "response.failed" {
		failed := &ResponseFailedError{ResponseID: r.id}
		if e := object.Error; e != nil {
			failed.Code, failed.Message, failed.Param = e.Code, e.Message, e.Param
		}
		r.err = failed
	} else {
		r.cutWhatWasCancelled(object)
	}
	r.weighInjections(object)
	r.freeLane()
	r.s.forget(r)
}

// end stops a run without a terminal event.
func (r *Run) end(err error) {
	if r.stage >= over {
		return
	}
	r.stage, r.err = ended, err
	for _, input := range slices.Clone(r.s.inputs) {
		if input.run == r && input.fate == Held {
			input.fail(err)
		}
	}
	for _, cut := range slices.Clone(r.s.cuts) {
		if cut.run == r && r.id == "" {
			cut.done(nil, err)
		}
	}
	r.freeLane()
	r.s.forget(r)
}

// cut notes that the socket is gone.
func (r *Run) cut() {
	switch r.stage {
	case creating:
		r.stage = queued
		if r.abandoned {
			r.end(ErrAbandoned)
		}
	case following, resuming:
		r.stage = apart
	}
	if r.stop != nil {
		r.stop.sent = false
	}
}

// lost takes an error that nobody asked for: the server sends no more of this response on this socket.
func (r *Run) lost(err *ServerError) {
	if err.Code == slowReader {
		r.stage = apart
		return
	}
	r.refused(err)
}

// refused takes an error that answers this run's create or resume. A retry comes no earlier than the server says.
func (r *Run) refused(err *ServerError) {
	wasCreate := r.stage == creating
	if wasCreate && (err.Code == serverDraining || err.Code == connectionLimit) {
		r.s.conn.draining = true
		r.stage = queued
		return
	}
	// Of a response that is not there any more, server_restarted is the last word; a create may be tried again.
	final := !err.Retry || r.abandoned || !wasCreate && err.Code == ServerRestarted
	if r.retries == 0 {
		r.retrySince = r.s.now
	}
	r.retries++
	at := r.s.now + max(err.RetryAfter, r.s.policy.Backoff(r.retries))
	if final || at-r.retrySince > max(r.s.policy.MaxRetry, r.s.conn.patience) {
		r.end(err)
		return
	}
	if r.notBefore = at; wasCreate {
		r.stage = queued
	} else {
		r.stage = apart
	}
}
