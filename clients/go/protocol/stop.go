package protocol

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
)

// stop is a cancel or an interrupt. It is repeated on each socket until the terminal event has come.
type stop struct {
	kind      string
	through   *int
	event     string
	sent      bool
	notBefore time.Duration
	err       error
}

// Cancel asks the server to stop; the terminal event, with its receipt, is the answer. through is the number of the last
// event that the user saw or heard; nil: the largest that was acknowledged. Of a response that is over already what was
// heard is kept and the rest cut, if that is known.
func (r *Run) Cancel(through *int) error {
	if through != nil && *through >= r.next {
		return ErrEventNotReceived
	}
	if through == nil {
		through = r.acked
	}
	if r.stage == over {
		if through != nil {
			r.cutAt(*through)
			r.s.pump()
		}
		return nil
	}
	r.stopWith("response.cancel", through)
	return nil
}

// Interrupt asks the server to end the response without the item that is being written.
func (r *Run) Interrupt() { r.stopWith("response.interrupt", nil) }

func (r *Run) stopWith(kind string, through *int) {
	if r.stage >= over {
		return
	}
	if r.stop == nil || r.stop.err != nil || r.stop.kind != kind && kind == "response.cancel" {
		r.stop = &stop{kind: kind, through: through, event: r.s.eventID("stop")}
	}
	r.unpause()
	r.s.pump()
}

// StopErr returns why the cancel or interrupt was refused. The response goes on then.
func (r *Run) StopErr() error {
	if r.stop == nil {
		return nil
	}
	return r.stop.err
}

// Stopped reports whether the response has ended, and is cut where a cancel said so; with why it could not be cut.
func (r *Run) Stopped() (bool, error) {
	if r.cutting != nil {
		return r.cutting.Done(), r.cutting.Err
	}
	return r.Ended(), nil
}

func (r *Run) sendStop() {
	stop := r.stop
	if stop == nil || stop.sent || stop.err != nil || r.stage != following && r.stage != resuming || r.s.now < stop.notBefore {
		return
	}
	stop.sent = true
	frame := map[string]any{"type": stop.kind, "response_id": r.id, "event_id": stop.event}
	if stop.kind == "response.cancel" && stop.through != nil {
		frame["through"] = *stop.through
	}
	r.s.send(frame)
}

func (r *Run) stopRefused(err *ServerError) {
	switch {
	case err.Code == ResponseAlreadyCompleted: // it ended by itself: its terminal event is on its way
	case err.Retry:
		r.stop.sent, r.stop.notBefore = false, r.s.now+max(err.RetryAfter, r.s.policy.Backoff(1))
	default:
		r.stop.err = err
	}
}

// Detach lets go of the response, which goes on at the server. Its cursor stays.
func (r *Run) Detach() {
	switch {
	case r.stage >= over:
		return
	case r.stage == queued && r.frame == nil, r.stage == paused:
		r.end(ErrDetached)
	case r.stage == following, r.stage == resuming:
		r.sendDetachNow()
		r.end(ErrDetached)
	default: // the next socket is told, or the one on which it is confirmed
		r.detaching, r.err = true, ErrDetached
	}
	r.s.pump()
}

func (r *Run) sendDetach() {
	if r.detaching && (r.stage == following || r.stage == resuming) {
		r.sendDetachNow()
		r.end(ErrDetached)
	}
}

func (r *Run) sendDetachNow() {
	r.s.send(map[string]any{"type": "response.detach", "response_id": r.id, "event_id": r.s.eventID("detach")})
}

// Leave tells that nobody will read on. What runs is cancelled, and so is a successor that is on its way. An answer that
// was complete before it was read is cut at what was acknowledged.
func (r *Run) Leave() {
	if r.left || r.stage == ended || r.detaching {
		return
	}
	r.left = true
	wasRead := len(r.unread) == 0
	r.unread, r.unreadBytes = nil, 0
	if r.stage != over {
		_ = r.Cancel(nil)
	} else if !wasRead && r.acked != nil {
		r.cutAt(*r.acked)
	}
	r.s.pump()
}

// Ack tells that the user has seen or heard everything up to this event.
func (r *Run) Ack(through int) error {
	if through >= r.next {
		return ErrEventNotReceived
	}
	if r.acked != nil && through <= *r.acked {
		return nil
	}
	r.acked = &through
	if r.stage == following {
		r.sendAck()
	}
	return nil
}

// sendAck is for each socket anew, once it follows the response.
func (r *Run) sendAck() {
	if r.acked != nil {
		r.s.send(map[string]any{"type": "response.ack", "response_id": r.id, "through": *r.acked, "event_id": r.s.eventID("ack")})
	}
}

// mark says how many characters of the answer were read with the end of a delta.
type mark struct{ characters, number int }

func (r *Run) mark(event Event) {
	count := utf8.RuneCountInString(event.TextDelta())
	if count == 0 {
		return
	}
	if len(r.marks) == 0 {
		r.marks = append(r.marks, mark{0, event.First - 1})
	}
	r.marks = append(r.marks, mark{r.marks[len(r.marks)-1].characters + count, event.Number})
}

// Through returns the number of the last event of which so many characters (code points of the text that was read here)
// leave nothing out: what a loudspeaker that counts them acknowledges.
func (r *Run) Through(characters int) int {
	after, _ := slices.BinarySearchFunc(r.marks, characters, func(m mark, target int) int {
		if m.characters <= target {
			return -1
		}
		return 1
	})
	if after == 0 {
		return r.start
	}
	return r.marks[after-1].number
}

// A Truncation cuts a stored answer for good. It is sent until it is answered.
type Truncation struct {
	run       *Run
	members   map[string]any
	event     string
	sent      bool
	notBefore time.Duration

	// Final is the response with what is left of it; nil while there is no answer. Err is the refusal.
	Final json.RawMessage
	Err   error
}

// Done reports whether the truncation was answered, or can't be any more.
func (c *Truncation) Done() bool { return c.Final != nil || c.Err != nil }

// Truncate cuts the answer. members has through, or item_id, content_index and num_characters.
func (r *Run) Truncate(members map[string]any) (*Truncation, error) {
	if through, ok := members["through"].(int); ok && through >= r.next {
		return nil, ErrEventNotReceived
	}
	if r.s.closed {
		return nil, ErrClosed
	}
	if r.stage == ended && r.id == "" {
		return nil, r.err
	}
	cut := &Truncation{run: r, members: members, event: r.s.eventID("truncate")}
	r.s.cuts = append(r.s.cuts, cut)
	r.s.pump()
	return cut, nil
}

func (r *Run) cutAt(through int) {
	if through < r.next-1 {
		r.cutting = &Truncation{run: r, members: map[string]any{"through": through}, event: r.s.eventID("truncate")}
		r.s.cuts = append(r.s.cuts, r.cutting)
	}
}

// cutWhatWasCancelled is for a cancel that came after the end: its through has cut nothing.
func (r *Run) cutWhatWasCancelled(final responseObject) {
	if r.stop != nil && r.stop.err == nil && r.stop.through != nil && final.Truncated == nil {
		r.cutAt(*r.stop.through)
	}
}

func (c *Truncation) send() {
	if c.sent || c.run.id == "" || c.run.stage == apart || c.run.s.now < c.notBefore {
		return
	}
	c.sent = true
	frame := map[string]any{}
	for key, value := range c.members {
		frame[key] = value
	}
	frame["type"], frame["response_id"], frame["event_id"] = "response.truncate", c.run.id, c.event
	c.run.s.send(frame)
}

func (c *Truncation) refused(err *ServerError) {
	if err.Retry {
		c.sent, c.notBefore = false, c.run.s.now+max(err.RetryAfter, c.run.s.policy.Backoff(1))
		return
	}
	c.done(nil, err)
}

func (c *Truncation) done(final json.RawMessage, err error) {
	s := c.run.s
	c.Final, c.Err = final, err
	s.cuts = slices.DeleteFunc(s.cuts, func(other *Truncation) bool { return other == c })
}

func (s *Session) truncated(m *message) {
	for _, cut := range s.cuts {
		if cut.event == m.EventID {
			cut.run.final = m.Response
			cut.done(m.Response, nil)
			s.progress()
			return
		}
	}
}
