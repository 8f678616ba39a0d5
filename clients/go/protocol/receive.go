package protocol

import (
	"encoding/json"
	"strings"
)

// Receive takes one text message of the server. data is kept.
func (s *Session) Receive(data []byte) {
	if s.conn.phase != open {
		return
	}
	s.conn.heard = s.now
	var m message
	if err := json.Unmarshal(data, &m); err != nil {
		s.gone(&ConnectionError{Err: &ProtocolError{Message: "not an event: " + err.Error()}})
		return
	}
	switch {
	case strings.HasPrefix(m.Type, "response.steer."), strings.HasPrefix(m.Type, "response.inject."):
		s.inputEvent(&m)
	case m.ResponseID != nil && m.Number != nil:
		s.responseEvent(&m, data)
	case m.Type == "response.resumed":
		s.resumed(&m)
	case m.Type == "response.truncated":
		s.truncated(&m)
	case m.Type == "error":
		s.errorEvent(&m)
	default:
		s.sessionEvent(&m)
	}
	s.pump()
}

func (s *Session) responseEvent(m *message, data []byte) {
	event := Event{
		Type: m.Type, ResponseID: *m.ResponseID, First: *m.Number, Number: *m.Number, Done: m.Done, Raw: data,
	}
	if m.First != nil {
		event.First = *m.First
	}
	if event.First < 0 || event.First > event.Number {
		s.gone(&ConnectionError{Err: &ProtocolError{Message: m.Type + " ends before it begins"}})
		return
	}
	run := s.byID[event.ResponseID]
	if m.Type == "response.created" && (run == nil || run.stage == paused) {
		known := run
		if run = s.created(m, event.ResponseID); run != nil && known != nil {
			// Another request of this client attached to a response that it follows already.
			s.byID[event.ResponseID] = known
			run.id = ""
			run.end(ErrAlreadyFollowed)
			return
		}
	}
	if run != nil {
		run.receive(event, m)
	}
}

// errorEvent finds what an error answers. One that answers nothing is about the connection.
func (s *Session) errorEvent(m *message) {
	err := m.serverError()
	if m.EventID != "" && s.answerError(m.EventID, err) {
		return
	}
	named := part[errorObject](m.Error).ResponseID
	switch {
	case m.EventID == "" && named != "":
		if run := s.byID[named]; run != nil && run.stage == following {
			run.lost(err)
		}
	case err.Code == slowReader: // of an older server: it names no response
		for _, run := range s.runs {
			if run.stage == following || run.stage == resuming {
				run.stage = apart
			}
		}
	case err.Code == serverDraining, err.Code == connectionLimit:
		s.conn.draining = true
	default:
		s.conn.last = err
	}
}

func (s *Session) answerError(event string, err *ServerError) bool {
	for _, run := range s.runs {
		switch {
		case run.stage == creating && run.event == event, run.stage == resuming && run.resumeEvent == event:
			run.refused(err)
			return true
		case run.stop != nil && run.stop.event == event:
			run.stopRefused(err)
			return true
		}
	}
	for _, input := range s.inputs {
		if input.event == event {
			input.fail(err)
			return true
		}
	}
	for _, cut := range s.cuts {
		if cut.event == event {
			cut.refused(err)
			return true
		}
	}
	for _, update := range s.updates {
		if update.sent && update.event == event {
			update.Err = err
			s.dropUpdate(update)
			return true
		}
	}
	return false
}
