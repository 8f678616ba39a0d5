package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// A Fate is how an input stands.
type Fate string

// The fates of an input.
const (
	Held     Fate = "held"     // not sent
	Sent     Fate = "sent"     // not answered
	Accepted Fate = "accepted" // for the successor
	Pending  Fate = "pending"  // until the calls in Requires are answered by a create
	Applied  Fate = "applied"  // a response has it
	Failed   Fate = "failed"   // nothing has come of it
)

// An Input is what was given to a running response: a steer, or outputs of its calls.
type Input struct {
	run    *Run // the response that it is for, or whose successor
	inject bool
	input  json.RawMessage
	event  string
	to     string // the id that it was sent to
	id     string // the server's
	late   bool   // accepted after the end: for the successor's successor
	fate   Fate

	// Requires has the call_ids of the outputs that it waits, or waited, for. Err is why it failed.
	Requires []string
	Err      error
}

// Fate returns how the input stands.
func (i *Input) Fate() Fate { return i.fate }

// Steer gives input to the newest response of this one's chain: it is cut, and a successor goes on with the input.
func (r *Run) Steer(input json.RawMessage) *Input { return r.give(input, false) }

// Inject gives outputs of calls to the newest response of this one's chain.
func (r *Run) Inject(input json.RawMessage) *Input { return r.give(input, true) }

func (r *Run) give(content json.RawMessage, inject bool) *Input {
	for r.successor != nil {
		r = r.successor
	}
	input := &Input{run: r, inject: inject, input: content, event: r.s.eventID("input"), fate: Held}
	if r.stage == ended {
		input.fate, input.Err = Failed, r.err
		return input
	}
	r.s.inputs = append(r.s.inputs, input)
	r.unpause()
	r.s.pump()
	return input
}

func (i *Input) send() {
	if i.fate != Held || i.run.stage != following && i.run.stage != over {
		return
	}
	i.fate, i.to = Sent, i.run.id
	frame := map[string]any{"type": "response.steer", "event_id": i.event, "input": i.input}
	if i.inject {
		frame["type"], frame["response_id"] = "response.inject", i.to
	} else {
		frame["previous_response_id"] = i.to
	}
	i.run.s.send(frame)
}

func (i *Input) fail(err error) {
	i.fate, i.Err = Failed, err
	i.leave()
}

func (i *Input) apply() {
	i.fate = Applied
	i.leave()
}

func (i *Input) leave() {
	s := i.run.s
	s.inputs = slices.DeleteFunc(s.inputs, func(other *Input) bool { return other == i })
	i.run.freeLane()
}

func (r *Run) inputsWith(fates ...Fate) []*Input {
	var found []*Input
	for _, input := range r.s.inputs {
		if input.run == r && slices.Contains(fates, input.fate) {
			found = append(found, input)
		}
	}
	return found
}

// AwaitsSuccessor reports whether the server may go on by itself after this response.
func (r *Run) AwaitsSuccessor() bool { return len(r.inputsWith(Accepted)) > 0 }

// Successor returns the response that the server started after this one by itself; nil while there is none.
func (r *Run) Successor() *Run { return r.successor }

// MayContinue reports whether a successor may still come: also when the server has not answered yet.
func (r *Run) MayContinue() bool { return r.waitsForInputs() }

func (r *Run) holdsLane() bool { return len(r.inputsWith(Sent, Accepted)) > 0 }

func (r *Run) waitsForInputs() bool { return len(r.inputsWith(Held, Sent, Accepted)) > 0 }

// inputEvent takes what answers steers and injections.
func (s *Session) inputEvent(m *message) {
	steer := part[struct {
		ID       string `json:"id"`
		Previous string `json:"previous_response_id"`
	}](m.Steer)
	var input *Input
	switch m.Type {
	case "response.steer.accepted":
		if input = s.firstSent(steer.Previous, false); input != nil {
			input.id = steer.ID
			input.accept()
		}
	case "response.steer.pending":
		if input = s.inputByID(steer.ID); input != nil {
			for _, output := range part[[]struct {
				CallID string `json:"call_id"`
			}](m.Required) {
				input.Requires = append(input.Requires, output.CallID)
			}
			input.wait()
		}
	case "response.steer.failed":
		if input = s.inputByID(steer.ID); input == nil {
			input = s.firstSent(steer.Previous, false)
		}
	case "response.inject.created":
		if input = s.firstSent(*orEmpty(m.ResponseID), true); input != nil {
			input.accept()
		}
	case "response.inject.failed":
		input = s.injectionGivenBack(*orEmpty(m.ResponseID), m.Input)
	}
	if input != nil && strings.HasSuffix(m.Type, ".failed") {
		input.fail(m.serverError())
	}
}

func orEmpty(text *string) *string {
	if text == nil {
		return new(string)
	}
	return text
}

// accept puts the input to those that the successor will have. What is accepted after the end, while a successor is on
// its way, is for the one after that.
func (i *Input) accept() {
	for i.run.successor != nil {
		i.run = i.run.successor
	}
	i.late = i.run.stage == over && i.run.AwaitsSuccessor()
	i.fate = Accepted
	if i.run.stage == over && i.inject {
		i.run.weighInjections(part[responseObject](i.run.final))
	}
}

func (i *Input) wait() {
	i.fate = Pending
	i.run.freeLane()
}

func (s *Session) inputByID(id string) *Input {
	for _, input := range s.inputs {
		if id != "" && input.id == id {
			return input
		}
	}
	return nil
}

// firstSent returns the oldest unanswered input of a response: answers come in the order of sending.
func (s *Session) firstSent(responseID string, inject bool) *Input {
	for _, input := range s.inputs {
		if input.fate == Sent && input.inject == inject && input.to == responseID {
			return input
		}
	}
	return nil
}

// injectionGivenBack returns the one that a failure is about: an unanswered one, else one that was accepted.
func (s *Session) injectionGivenBack(responseID string, content json.RawMessage) *Input {
	if input := s.firstSent(responseID, true); input != nil {
		return input
	}
	var found *Input
	for _, input := range s.inputs {
		if !input.inject || input.to != responseID {
			continue
		}
		if bytes.Equal(compact(input.input), compact(content)) {
			return input
		}
		if found == nil {
			found = input
		}
	}
	return found
}

func compact(raw json.RawMessage) []byte {
	var buffer bytes.Buffer
	if json.Compact(&buffer, raw) != nil {
		return raw
	}
	return buffer.Bytes()
}

// weighInjections compares the calls of a response that is over with the outputs that it was given. If some are missing
// and no steer is there to be told of it, the injections wait for a create, and no event tells that.
func (r *Run) weighInjections(final responseObject) {
	var injections []*Input
	given := map[string]bool{}
	for _, input := range r.inputsWith(Accepted, Pending) {
		for _, item := range part[[]struct {
			CallID string `json:"call_id"`
		}](input.input) {
			given[item.CallID] = true
		}
		if input.inject {
			injections = append(injections, input)
		}
	}
	var missing []string
	for _, item := range final.Output {
		if strings.HasSuffix(item.Type, "_call") && item.CallID != "" && item.Status != "incomplete" && !given[item.CallID] {
			missing = append(missing, item.CallID)
		}
	}
	for _, input := range injections {
		if input.Requires = missing; len(missing) > 0 {
			input.wait()
		} else {
			input.fate = Accepted
		}
	}
}

// succeed takes a response.created that nobody asked for: the lane's response has an accepted input, and is continued.
func (s *Session) succeed(m *message, id string) *Run {
	previous := part[responseObject](m.Response).PreviousResponseID
	at := slices.IndexFunc(s.inputs, func(i *Input) bool {
		return i.fate == Accepted && i.run.id == previous && i.run.lane == m.StreamID
	})
	if at < 0 {
		return nil
	}
	of := s.inputs[at].run
	run := newRun(s, -1)
	run.id, run.stage, run.lane, run.catchUp, run.store = id, following, of.lane, of.catchUp, of.store
	run.confirmed, run.left, of.successor = true, of.left, run
	s.runs = append(s.runs, run)
	s.byID[id], s.lanes[run.lane] = run, run
	s.parents.add(id, parent{lane: run.lane, store: run.store})
	for _, input := range slices.Clone(s.inputs) {
		switch {
		case input.run != of:
		case input.late || input.fate == Sent || input.fate == Held:
			input.run, input.late = run, false
		default:
			input.apply()
		}
	}
	if run.left {
		run.stopWith("response.cancel", nil)
	}
	return run
}

// takePending notes that a create has taken what waited for it.
func (s *Session) takePending(run *Run) {
	for _, input := range slices.Clone(s.inputs) {
		if input.fate == Pending && input.run.id == run.previous && input.run.lane == run.lane {
			input.apply()
		}
	}
}
