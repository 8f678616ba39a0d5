package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

type phase int

const (
	idle    phase = iota // no socket, and nobody needs one
	waiting              // for the end of the back-off
	dialing
	open
)

const (
	longestAway  = time.Hour // a server that needs longer to restart is not waited for
	maxDoublings = 2         // of the time that an attempt may take
)

// connection is what is known of the socket, and of the attempts to get one.
type connection struct {
	phase    phase
	attempt  int           // counts the sockets that were tried
	began    time.Duration // this attempt, or this open socket
	nextDial time.Duration // not earlier
	failures int           // in a row
	overdue  int           // attempts in a row that took too long: whoever is slow has twice the time with the next one
	isLost   bool          // since lostAt there was no progress
	lostAt   time.Duration
	patience time.Duration // that a server which restarts has asked for
	draining bool          // no creates on this socket
	gaveUp   bool          // the socket was dropped for its silence
	heard    time.Duration // the last message
	promised time.Duration // interval of the heartbeats that the server has promised
	limit    int           // max_message_bytes
	last     *ServerError  // the last error that answered nothing
}

// due returns when the connection itself has something to do.
func (c *connection) due(policy Policy) (time.Duration, bool) {
	switch {
	case c.phase == waiting:
		return c.nextDial, true
	case c.phase == dialing:
		return c.began + policy.ConnectTimeout<<min(c.overdue, maxDoublings), true
	case c.phase == open && c.promised > 0:
		return c.heard + time.Duration(policy.MaxMissedHeartbeats)*c.promised, true
	}
	return 0, false
}

// Dials reports whether a socket is to be opened now, and which attempt this is: another number means another attempt,
// and the one before it is given up.
func (s *Session) Dials() (attempt int, dials bool) { return s.conn.attempt, s.conn.phase == dialing }

// WantsSocket reports whether there is no socket and one will be opened, now or later.
func (s *Session) WantsSocket() bool { return s.conn.phase == waiting || s.conn.phase == dialing }

// IsOpen reports whether there is a socket.
func (s *Session) IsOpen() bool { return s.conn.phase == open }

// GaveUp reports whether the open socket is to be dropped, because it was silent for too long.
func (s *Session) GaveUp() bool { return s.conn.gaveUp }

// IsWatched reports whether silence of the open socket means a dead path: the server has promised heartbeats.
func (s *Session) IsWatched() bool { return s.conn.phase == open && s.conn.promised > 0 }

// A State is how the connection stands.
type State string

// The states of a connection.
const (
	Idle         State = "idle"         // there is no socket and nothing needs one, or the client gave up: a request opens one
	Connecting   State = "connecting"   // a socket is being opened, and there was none before
	Open         State = "open"         // there is a socket
	Reconnecting State = "reconnecting" // another socket is being opened, or waited for
	Closed       State = "closed"       // by Close, for good
)

// State returns how the connection stands.
func (s *Session) State() State {
	switch {
	case s.closed:
		return Closed
	case s.conn.phase == open:
		return Open
	case s.conn.phase == idle:
		return Idle
	case s.wasOpen:
		return Reconnecting
	}
	return Connecting
}

func (s *Session) tick() {
	due, ok := s.conn.due(s.policy)
	if !ok || due > s.now {
		return
	}
	switch s.conn.phase {
	case waiting:
		s.dial()
	case dialing:
		s.conn.overdue++
		s.lost(&ConnectionError{Message: "connecting took too long"}, 0)
	case open:
		s.lost(&ConnectionError{Message: "the server was silent for too long"}, 0)
		s.conn.gaveUp = true
	}
}

func (s *Session) dial() {
	s.conn.phase = dialing
	s.conn.attempt++
	s.conn.began = s.now
}

// seekSocket opens one when somebody needs it, and stops when nobody does any more.
func (s *Session) seekSocket() {
	if !s.needsSocket() {
		s.conn.phase, s.conn.isLost, s.conn.patience = idle, false, 0
		return
	}
	if !s.conn.isLost {
		s.conn.isLost, s.conn.lostAt = true, s.now
	}
	if s.conn.phase != idle {
		return
	}
	if s.conn.phase = waiting; s.now >= s.conn.nextDial {
		s.dial()
	}
}

func (s *Session) needsSocket() bool {
	return slices.ContainsFunc(s.runs, (*Run).needsSocket) || len(s.cuts) > 0 ||
		slices.ContainsFunc(s.updates, func(u *Update) bool { return !u.own })
}

// Opened tells that a socket is open and that the server chose realtime.v1 on it.
func (s *Session) Opened() {
	c := &s.conn
	s.wasOpen = true
	c.phase, c.began, c.heard = open, s.now, s.now
	c.draining, c.gaveUp, c.promised, c.overdue, c.last = false, false, 0, 0, nil
	if s.policy.Heartbeat > 0 {
		members := map[string]any{"heartbeat_seconds": s.policy.Heartbeat.Seconds()}
		s.updates = append([]*Update{{s: s, members: members, event: s.eventID("update"), own: true}}, s.updates...)
	}
	s.pump()
}

// Closed tells that the open socket was closed with this code, or that the attempt to open one came to nothing. Without
// a close frame the code is 1006.
func (s *Session) Closed(code int) {
	err := &ConnectionError{CloseCode: code}
	if s.conn.last != nil {
		err.Err, err.Message = s.conn.last, fmt.Sprintf("%s: %s", s.conn.last.Code, s.conn.last.Message)
	}
	switch code {
	case 1001, 1005, 1006, 1011, 1012, 1013, 1015:
		s.lost(err, 0)
	default:
		s.gone(err)
	}
	s.pump()
}

// Refused tells that the handshake was answered with another status than 101. retryAfter is the header's, or 0.
func (s *Session) Refused(status int, body []byte, retryAfter time.Duration) {
	err := &ConnectionError{Status: status}
	refusal := part[struct{ Error errorObject }](body).Error
	if refusal.Code != "" || refusal.Message != "" {
		err.Message = strings.TrimPrefix(fmt.Sprintf("%s: %s", refusal.Code, refusal.Message), ": ")
		err.Err = &ServerError{Code: refusal.Code, Message: refusal.Message, Param: refusal.Param, Status: status}
	}
	switch status {
	case 408, 425, 429, 500, 502, 503, 504:
		s.lost(err, retryAfter)
	default:
		s.gone(err)
	}
	s.pump()
}

// Unreachable tells that an attempt to open a socket failed before there was an answer, and why.
func (s *Session) Unreachable(err error) {
	s.lost(&ConnectionError{Message: err.Error(), Err: err}, 0)
	s.pump()
}

// Unusable tells that what was connected to does not speak this protocol.
func (s *Session) Unusable(err error) {
	s.gone(&ConnectionError{Message: err.Error(), Err: err})
	s.pump()
}

// lost plans the next attempt, or ends everything when there was no progress for too long.
func (s *Session) lost(err *ConnectionError, after time.Duration) {
	c := &s.conn
	if c.phase == open && s.now-c.began >= s.policy.MaxBackoff {
		c.isLost, c.failures = false, 0 // a socket that lived as long as the longest delay was a good one
	}
	s.cut()
	c.gaveUp = false
	c.failures++
	c.nextDial = s.now + min(max(after, 0), longestWait) + s.policy.Backoff(c.failures)
	if !s.needsSocket() {
		c.phase, c.isLost, c.patience = idle, false, 0
		return
	}
	if !c.isLost {
		c.isLost, c.lostAt = true, s.now
	}
	if c.phase = waiting; c.nextDial-c.lostAt > max(s.policy.MaxRetry, c.patience) {
		s.gone(err)
	}
}

// gone ends everything that needs a socket. What is paused has no need of one yet.
func (s *Session) gone(err *ConnectionError) {
	s.cut()
	for _, run := range slices.Clone(s.runs) {
		if run.stage != paused {
			run.end(err)
		}
	}
	s.failRest(err)
	s.conn = connection{attempt: s.conn.attempt, limit: s.conn.limit}
}

func (s *Session) failRest(err error) {
	for _, input := range slices.Clone(s.inputs) {
		input.fail(err)
	}
	for _, cut := range s.cuts {
		cut.Err = err
	}
	for _, update := range s.updates {
		update.Err = err
	}
	s.cuts, s.updates = nil, nil
}

// cut notes that what was sent on the socket may not have arrived.
func (s *Session) cut() {
	s.out = nil
	for _, run := range slices.Clone(s.runs) {
		run.cut()
	}
	for _, input := range slices.Clone(s.inputs) {
		if input.fate != Held {
			input.fail(&ConnectionError{Message: "the socket was cut: whether the input was taken is not known"})
		}
	}
	for _, cut := range s.cuts {
		cut.sent = false
	}
	s.updates = slices.DeleteFunc(s.updates, func(u *Update) bool {
		u.sent = false
		return u.own
	})
}

// progress starts the back-off and the time for it anew.
func (s *Session) progress() {
	s.conn.failures, s.conn.isLost = 0, false
	if !s.conn.draining { // what is said before the restart does not end the patience for it
		s.conn.patience = 0
	}
}

// sessionEvent takes session.created, .updated and .draining.
func (s *Session) sessionEvent(m *message) {
	switch m.Type {
	case "session.created":
		type limits struct {
			MaxMessageBytes int `json:"max_message_bytes"`
		}
		s.conn.limit = part[struct{ Limits limits }](m.Session).Limits.MaxMessageBytes
	case "session.draining":
		s.conn.draining = true
		s.conn.patience = max(s.conn.patience, 2*min(seconds(m.ResumeAfter), longestAway))
	case "session.updated":
		s.updated(m.Session)
	}
}

// updated takes the answer to the oldest update that was sent.
func (s *Session) updated(state json.RawMessage) {
	interval := part[struct {
		Seconds float64 `json:"heartbeat_seconds"`
	}](state).Seconds
	s.conn.promised = seconds(interval)
	for _, update := range s.updates {
		if update.sent {
			update.State = state
			s.dropUpdate(update)
			return
		}
	}
}
