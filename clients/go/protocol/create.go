package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
)

// create is how a run was asked for. frame is kept: the same bytes are sent until it is known that the server has them.
type create struct {
	members  map[string]any
	frame    []byte
	event    string
	lane     string
	named    bool // by the caller: others may wait for the same request
	catchUp  string
	previous string
	store    bool
}

// parent says where a response ran: what continues one that is not stored has to go to the same lane.
type parent struct {
	lane  string
	store bool
}

// parents keeps those of the newest responses.
type parents struct {
	order []string
	byID  map[string]parent
}

const maxParents = 1024

func (p *parents) add(id string, of parent) {
	if p.byID == nil {
		p.byID = map[string]parent{}
	}
	if _, known := p.byID[id]; !known {
		if p.order = append(p.order, id); len(p.order) > maxParents {
			delete(p.byID, p.order[0])
			p.order = p.order[1:]
		}
	}
	p.byID[id] = of
}

// Create starts a response. body has the members of response.create. What is wrong with it here is the error.
func (s *Session) Create(body map[string]json.RawMessage) (*Run, error) {
	if s.closed {
		return nil, ErrClosed
	}
	run := newRun(s, -1)
	run.members = make(map[string]any, len(body)+5)
	for key, value := range body {
		run.members[key] = value
	}
	if _, err := encode(run.members); err != nil {
		return nil, err
	}
	run.lane = part[string](body["stream_id"])
	run.previous = part[string](body["previous_response_id"])
	run.store = string(body["store"]) != "false"
	if run.catchUp = part[string](body["catch_up"]); run.catchUp == "" {
		run.catchUp = "merged"
	}
	if name := part[string](body["request_id"]); name != "" {
		run.named = true
		if run.lane == "" {
			run.lane = laneOfRequest(name)
		}
	} else {
		run.members["request_id"] = randomHex(16)
	}
	run.event = s.eventID("create")
	run.members["type"], run.members["event_id"], run.members["catch_up"] = "response.create", run.event, run.catchUp
	s.runs = append(s.runs, run)
	s.pump()
	return run, nil
}

// laneOfRequest is the same in every client: the lane is part of the body that a request_id stands for.
func laneOfRequest(name string) string {
	sum := 0
	for _, b := range []byte(name) {
		sum += int(b)
	}
	return fmt.Sprintf("request-%d", sum%8)
}

func (s *Session) sendCreates() {
	if s.conn.draining {
		return
	}
	for _, run := range slices.Clone(s.runs) {
		if run.stage == queued && s.now >= run.notBefore {
			run.sendCreate()
		}
	}
}

func (r *Run) sendCreate() {
	lane := r.lane
	if lane == "" {
		if lane = r.s.laneFor(r); lane == "" {
			return // all are taken
		}
	}
	if holder := r.s.lanes[lane]; holder != nil && holder != r {
		return
	}
	if r.frame == nil {
		r.lane, r.members["stream_id"] = lane, lane
		frame, err := encode(r.members)
		if err != nil {
			r.end(err)
			return
		}
		r.frame, r.members = frame, nil
	}
	if limit := r.s.conn.limit; limit > 0 && len(r.frame) > limit {
		r.end(ErrRequestTooLarge)
		return
	}
	r.s.lanes[lane], r.stage = r, creating
	r.s.out = append(r.s.out, r.frame)
}

// laneFor picks the lane of what the response continues where that matters, else a free one of this client's own.
func (s *Session) laneFor(run *Run) string {
	reserved := map[string]bool{}
	for _, input := range s.inputs {
		if input.fate != Pending {
			continue
		}
		if input.to == run.previous {
			return input.run.lane
		}
		reserved[input.run.lane] = true
	}
	if of, known := s.parents.byID[run.previous]; known && !of.store && of.lane != "" {
		return of.lane
	}
	spare := ""
	for number := range s.policy.Lanes {
		lane := fmt.Sprintf("%s.%d", s.prefix, number)
		if s.lanes[lane] != nil {
			continue
		}
		if !reserved[lane] {
			return lane
		}
		spare = lane
	}
	return spare
}

// freeLane lets the next create of the lane go, unless the server may go on there by itself.
func (r *Run) freeLane() {
	if r.s.lanes[r.lane] == r && (r.stage == paused || r.stage >= over) && !r.holdsLane() {
		delete(r.s.lanes, r.lane)
	}
}

// created takes a response.created with an id that is not known: a successor's, or that of the create that is open in
// its lane. It returns nil for what is nobody's.
func (s *Session) created(m *message, id string) *Run {
	if run := s.succeed(m, id); run != nil {
		return run
	}
	for _, run := range s.runs {
		if run.stage == creating && run.lane == m.StreamID {
			run.confirm(id)
			return run
		}
	}
	return nil
}

func (r *Run) confirm(id string) {
	r.id, r.stage, r.frame, r.confirmed = id, following, nil, true
	r.s.byID[id] = r
	r.s.parents.add(id, parent{lane: r.lane, store: r.store})
	r.s.takePending(r)
	switch {
	case r.abandoned:
		if !r.named {
			r.s.send(map[string]any{"type": "response.cancel", "response_id": id, "event_id": r.s.eventID("cancel")})
		}
		r.sendDetachNow()
		r.end(ErrAbandoned)
	case r.detaching:
		r.sendDetachNow()
		r.end(ErrDetached)
	}
}

// Abandon tells that nobody waits for the create any more. What was not sent never is; what was is cancelled as soon as
// its id is known, or, if the caller gave it a request_id, let go.
func (r *Run) Abandon() {
	switch r.stage {
	case queued:
		r.end(ErrAbandoned)
	case creating:
		r.abandoned = true
	default:
		r.Leave()
	}
	r.s.pump()
}
