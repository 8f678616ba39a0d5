package protocol

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Session is one client's state: its responses, and the socket that they share.
type Session struct {
	policy  Policy
	now     time.Duration
	prefix  string // of its lanes
	counter int

	conn    connection
	out     [][]byte
	runs    []*Run // that may still have something to send, oldest first
	byID    map[string]*Run
	lanes   map[string]*Run // who has the lane
	parents parents
	inputs  []*Input
	cuts    []*Truncation
	updates []*Update
	wasOpen bool
	closed  bool
}

// NewSession returns a Session that has no socket yet.
func NewSession(policy Policy) *Session {
	return &Session{
		policy: policy.WithDefaults(),
		prefix: randomHex(4),
		byID:   map[string]*Run{},
		lanes:  map[string]*Run{},
	}
}

// Sent returns the messages that are to be sent on the open socket, in order, each as one text message, once.
func (s *Session) Sent() [][]byte {
	out := s.out
	s.out = nil
	return out
}

// Advance sets the time, of any monotonic clock, and does what is due until then, in its order.
func (s *Session) Advance(now time.Duration) {
	for {
		due, ok := s.NextWake()
		if !ok || due > now {
			break
		}
		s.now = max(s.now, due)
		s.tick()
		s.pump()
	}
	s.now = max(s.now, now)
	s.pump()
}

// NextWake returns the time at which Advance has something to do; false if only a call or a message changes anything.
func (s *Session) NextWake() (time.Duration, bool) {
	wake, ok := s.conn.due(s.policy)
	consider := func(at time.Duration) {
		if at > s.now && (!ok || at < wake) {
			wake, ok = at, true
		}
	}
	for _, run := range s.runs {
		consider(run.notBefore)
		if run.stop != nil {
			consider(run.stop.notBefore)
		}
	}
	for _, cut := range s.cuts {
		consider(cut.notBefore)
	}
	return wake, ok
}

// Close ends everything that is open with ErrClosed.
func (s *Session) Close() {
	s.closed = true
	for _, run := range slices.Clone(s.runs) {
		run.end(ErrClosed)
	}
	s.failRest(ErrClosed)
	s.conn = connection{}
}

// Runs returns how many responses are open here.
func (s *Session) Runs() int { return len(s.runs) }

func (s *Session) send(members map[string]any) {
	if frame, err := encode(members); err == nil {
		s.out = append(s.out, frame)
	}
}

func (s *Session) eventID(kind string) string {
	s.counter++
	return fmt.Sprintf("%s.%d", kind, s.counter)
}

// pump sends whatever can be sent now. Its order is the order on a new socket: what runs is resumed, with what was asked
// of it; then come truncations, then creates, which may continue what was truncated; then the connection's own.
func (s *Session) pump() {
	if s.closed {
		return
	}
	if s.conn.phase != open {
		s.seekSocket()
		return
	}
	for _, run := range slices.Clone(s.runs) {
		run.sendResume()
		run.sendStop()
		run.sendDetach()
	}
	for _, cut := range s.cuts {
		cut.send()
	}
	s.sendCreates()
	for _, input := range slices.Clone(s.inputs) {
		input.send()
	}
	for _, update := range s.updates {
		update.send()
	}
}

// forget drops what can't send or receive anything any more.
func (s *Session) forget(run *Run) {
	s.runs = slices.DeleteFunc(s.runs, func(other *Run) bool { return other == run })
	if s.byID[run.id] == run {
		delete(s.byID, run.id)
	}
}

// An Update is a session.update that the caller wants. It is sent on each socket until it is answered.
type Update struct {
	s       *Session
	members map[string]any
	event   string
	sent    bool
	own     bool // the client's own: nobody waits for it, and it ends with its socket

	// State is the session of the answer; nil while there is none. Err is the refusal.
	State json.RawMessage
	Err   error
}

// Done reports whether the update was answered, or can't be any more.
func (u *Update) Done() bool { return u.State != nil || u.Err != nil }

// Update starts a session.update with these members.
func (s *Session) Update(members map[string]any) *Update {
	update := &Update{s: s, members: members, event: s.eventID("update")}
	if s.closed {
		update.Err = ErrClosed
		return update
	}
	s.updates = append(s.updates, update)
	s.pump()
	return update
}

func (u *Update) send() {
	if u.sent {
		return
	}
	u.sent = true
	frame := map[string]any{}
	for key, value := range u.members {
		frame[key] = value
	}
	frame["type"], frame["event_id"] = "session.update", u.event
	u.s.send(frame)
}

func (s *Session) dropUpdate(update *Update) {
	s.updates = slices.DeleteFunc(s.updates, func(other *Update) bool { return other == update })
}

func randomHex(size int) string {
	data := make([]byte, size)
	_, _ = rand.Read(data) // does not fail: crypto/rand ends the program instead
	return hex.EncodeToString(data)
}
