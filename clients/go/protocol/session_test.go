package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"realtime/protocol"
)

// What the cases of clients/conformance do not play.

func create(t *testing.T, s *protocol.Session, body string) *protocol.Run {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	run, err := s.Create(members)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// sent returns the messages that the session wants to send.
func sent(t *testing.T, s *protocol.Session) []map[string]any {
	t.Helper()
	var messages []map[string]any
	for _, data := range s.Sent() {
		var message map[string]any
		if err := json.Unmarshal(data, &message); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, message)
	}
	return messages
}

func event(s *protocol.Session, format string, values ...any) {
	s.Receive([]byte(fmt.Sprintf(format, values...)))
}

func created(s *protocol.Session, id string, lane any) {
	event(s, `{"type":"response.created","response_id":%q,"stream_id":%q,"sequence_number":0,"response":{}}`, id, lane)
}

func TestCreatesWaitForALane(t *testing.T) {
	s := protocol.NewSession(protocol.Policy{Lanes: 2})
	s.Opened()
	for range 3 {
		create(t, s, `{"input":"hi"}`)
	}
	frames := sent(t, s)
	if len(frames) != 2 || frames[0]["stream_id"] == frames[1]["stream_id"] {
		t.Fatal(frames)
	}
	created(s, "r1", frames[0]["stream_id"])
	event(s, `{"type":"response.completed","response_id":"r1","sequence_number":1,"done":true,"response":{"id":"r1"}}`)
	if next := sent(t, s); len(next) != 1 || next[0]["stream_id"] != frames[0]["stream_id"] {
		t.Fatal(next)
	}
}

func TestWhatIsNotStoredIsContinuedInItsLane(t *testing.T) {
	s := protocol.NewSession(protocol.Policy{})
	s.Opened()
	create(t, s, `{"input":"first","store":true}`)
	create(t, s, `{"input":"hi","store":false}`)
	lane := sent(t, s)[1]["stream_id"]
	created(s, "r1", lane)
	event(s, `{"type":"response.completed","response_id":"r1","sequence_number":1,"done":true,"response":{"id":"r1"}}`)
	create(t, s, `{"input":"go on","store":false,"previous_response_id":"r1"}`)
	if frames := sent(t, s); len(frames) != 1 || frames[0]["stream_id"] != lane {
		t.Fatal(frames)
	}
}

func TestALongQuietSocketWasAGoodOne(t *testing.T) {
	s := protocol.NewSession(protocol.Policy{})
	s.Opened()
	run := create(t, s, `{"input":"a long prompt"}`)
	s.Closed(1006) // no event has come
	s.Advance(time.Second)
	s.Opened()
	s.Advance(5 * time.Minute)
	s.Closed(1006)
	if run.Err() != nil || !s.WantsSocket() {
		t.Fatal("given up at the first failure after five good minutes:", run.Err())
	}
}

func TestARefusalThatPassesTooLateIsTheCallers(t *testing.T) {
	s := protocol.NewSession(protocol.Policy{MaxRetry: 10 * time.Second})
	s.Opened()
	run := create(t, s, `{"input":"hi"}`)
	event(s, `{"type":"error","status":429,"event_id":%q,"error":{"code":"too_many_queued_requests","message":"m",`+
		`"retry":true,"retry_after":30}}`, sent(t, s)[0]["event_id"])
	var refusal *protocol.ServerError
	if !errors.As(run.Err(), &refusal) || refusal.RetryAfter != 30*time.Second {
		t.Fatal(run.Err())
	}
}

func TestAHandshakeThatPassesTooLateIsTheCallers(t *testing.T) {
	for _, after := range []time.Duration{time.Minute, 1e9 * time.Second, math.MaxInt64} {
		s := protocol.NewSession(protocol.Policy{MaxRetry: 10 * time.Second})
		run := create(t, s, `{"input":"hi"}`)
		s.Refused(503, nil, after)
		var lost *protocol.ConnectionError
		if !errors.As(run.Err(), &lost) || lost.Status != 503 {
			t.Fatal(after, run.Err())
		}
	}
}

func TestNoNumberOfTheServersMakesTheClientHurry(t *testing.T) {
	for _, number := range []string{"-1e9", "1e-300", "9.2e9", "1e19", "1e300", "1e308"} {
		s := protocol.NewSession(protocol.Policy{Heartbeat: time.Second, MaxRetry: math.MaxInt64})
		s.Opened()
		s.Advance(time.Hour)
		run := create(t, s, `{"input":"hi"}`)
		event(s, `{"type":"session.updated","session":{"heartbeat_seconds":%s}}`, number)
		event(s, `{"type":"error","status":429,"event_id":%q,"error":{"code":"busy","retry":true,"retry_after":%s}}`,
			sent(t, s)[0]["event_id"], number)
		event(s, `{"type":"session.draining","resume_after_seconds":%s}`, number)
		if wake, ok := s.NextWake(); run.Err() != nil || s.GaveUp() || ok && wake <= time.Hour {
			t.Fatal(number, run.Err(), s.GaveUp(), wake)
		}
		if frames := sent(t, s); len(frames) != 0 {
			t.Fatal(number, frames)
		}
		s.Closed(1006)
		if wake, _ := s.NextWake(); wake <= time.Hour {
			t.Fatal(number, wake)
		}
	}
}

func TestWhatTheServerSendsDoesNotPanic(t *testing.T) {
	for _, text := range []string{
		`[]`, `{`, `null`, `{"type":1}`, `{"type":"error"}`, `{"type":"response.resumed"}`, `{"type":"session.created"}`,
		`{"type":"response.steer.failed","steer":[]}`, `{"type":"response.inject.failed"}`, `{"type":"session.updated"}`,
		`{"type":"response.created","response_id":"r2","sequence_number":0,"response":7}`,
		`{"type":"response.created","response_id":"r2","sequence_number":5,"first_sequence_number":9}`,
		`{"type":"error","error":"text","status":"400","event_id":"create.1"}`,
	} {
		s := protocol.NewSession(protocol.Policy{Heartbeat: time.Second})
		s.Opened()
		create(t, s, `{"input":"hi"}`)
		s.Receive([]byte(text))
		s.Advance(time.Second)
	}
}
