// Command conformance is the driver of the conformance kit for this client: JSON lines on stdin and stdout, as
// clients/conformance/README.md says. It calls the state machine; there are no sockets and there is no clock.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"realtime/protocol"
)

type command struct {
	Do     string             `json:"do"`
	Now    float64            `json:"now"`
	Policy map[string]float64 `json:"policy"`

	As           string                     `json:"as"`
	Of           string                     `json:"of"`
	Body         json.RawMessage            `json:"body"` // an object of a create, the text of a refusal
	Data         string                     `json:"data"`
	Code         *int                       `json:"code"`
	Status       int                        `json:"status"`
	RetryAfter   float64                    `json:"retry_after"`
	ResponseID   string                     `json:"response_id"`
	After        int                        `json:"starting_after"`
	Epoch        string                     `json:"epoch"`
	First        *int                       `json:"first"`
	Through      *int                       `json:"through"`
	Members      map[string]json.RawMessage `json:"members"`
	Input        json.RawMessage            `json:"input"`
	CharactersOf int                        `json:"number"`
}

type answer struct {
	Sent        []string `json:"sent,omitempty"`
	Dials       bool     `json:"dials,omitempty"`
	WantsSocket bool     `json:"wants_socket,omitempty"`
	GaveUp      bool     `json:"gave_up,omitempty"`
	State       string   `json:"state,omitempty"`
	Value       any      `json:"value,omitempty"`
	Raised      string   `json:"raised,omitempty"`
	Broken      string   `json:"broken,omitempty"`
	Unknown     bool     `json:"unknown,omitempty"`
}

// driver holds the client of the running case, and what its calls have returned, by name.
type driver struct {
	session *protocol.Session
	runs    map[string]*protocol.Run
	things  map[string]any // *protocol.Input, *protocol.Truncation, *protocol.Update
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	var d driver
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			_ = out.Encode(answer{Broken: err.Error()})
			continue
		}
		_ = out.Encode(d.do(&c))
	}
}

func (d *driver) do(c *command) answer {
	if c.Do == "begin" {
		*d = driver{protocol.NewSession(policy(c.Policy)), map[string]*protocol.Run{}, map[string]any{}}
	}
	if d.session == nil {
		return answer{Broken: "begin comes first"}
	}
	d.session.Advance(seconds(c.Now))
	var a answer
	known, err := d.event(c)
	if !known {
		known, a.Value, err = d.call(c)
	}
	a.Unknown = !known
	if err != nil {
		a.Raised = describe(err).Kind
	}
	for _, message := range d.session.Sent() {
		a.Sent = append(a.Sent, string(message))
	}
	_, a.Dials = d.session.Dials()
	a.WantsSocket, a.GaveUp = d.session.WantsSocket(), d.session.GaveUp()
	a.State = string(d.session.State())
	return a
}

// event does what happens to the client.
func (d *driver) event(c *command) (known bool, err error) {
	switch c.Do {
	case "begin", "wait":
	case "open":
		d.session.Opened()
	case "closed":
		code := 1006
		if c.Code != nil {
			code = *c.Code
		}
		d.session.Closed(code)
	case "refused":
		var body string
		_ = json.Unmarshal(c.Body, &body)
		d.session.Refused(c.Status, []byte(body), seconds(c.RetryAfter))
	case "receive":
		d.session.Receive([]byte(c.Data))
	default:
		return false, nil
	}
	return true, nil
}

// call does what the caller wants.
func (d *driver) call(c *command) (known bool, value any, err error) {
	run := d.runs[c.Of]
	switch c.Do {
	case "create":
		var body map[string]json.RawMessage
		if err = json.Unmarshal(c.Body, &body); err == nil {
			err = d.keep(c.As)(d.session.Create(body))
		}
	case "resume":
		cursor := protocol.Cursor{ResponseID: c.ResponseID, StartingAfter: c.After, Epoch: c.Epoch}
		err = d.keep(c.As)(d.session.Resume(cursor, ""))
	case "update":
		members := map[string]any{}
		for key, member := range c.Members {
			members[key] = member
		}
		d.things[c.As] = d.session.Update(members)
	case "look":
		value = d.look(c.Of)
	default:
		if run == nil {
			return false, nil, nil
		}
		return d.callOf(run, c)
	}
	return true, value, err
}

func (d *driver) callOf(run *protocol.Run, c *command) (known bool, value any, err error) {
	switch c.Do {
	case "read":
		value = read(run, c.First)
	case "cancel":
		err = run.Cancel(c.Through)
	case "interrupt":
		run.Interrupt()
	case "leave":
		run.Leave()
	case "detach":
		run.Detach()
	case "abandon":
		run.Abandon()
	case "ack":
		err = run.Ack(*c.Through)
	case "truncate":
		d.things[c.As], err = run.Truncate(plain(c.Members))
	case "steer":
		d.things[c.As] = run.Steer(c.Input)
	case "inject":
		d.things[c.As] = run.Inject(c.Input)
	case "successor":
		if d.runs[c.As] = run.Successor(); d.runs[c.As] == nil {
			err = fmt.Errorf("there is no successor")
		}
	case "characters":
		value = run.Through(c.CharactersOf)
	default:
		return false, nil, nil
	}
	return true, value, err
}

func (d *driver) keep(name string) func(*protocol.Run, error) error {
	return func(run *protocol.Run, err error) error {
		if err == nil {
			d.runs[name] = run
		}
		return err
	}
}

func read(run *protocol.Run, first *int) []json.RawMessage {
	events := []json.RawMessage{}
	for first == nil || len(events) < *first {
		event, ok := run.Read()
		if !ok {
			break
		}
		events = append(events, event.Raw)
	}
	return events
}

// plain decodes the members whose numbers the client compares.
func plain(members map[string]json.RawMessage) map[string]any {
	decoded := map[string]any{}
	for key, member := range members {
		var number int
		if json.Unmarshal(member, &number) == nil {
			decoded[key] = number
		} else {
			decoded[key] = member
		}
	}
	return decoded
}

func policy(members map[string]float64) protocol.Policy {
	return protocol.Policy{
		MaxRetry:            seconds(members["max_retry_seconds"]),
		ConnectTimeout:      seconds(members["connect_timeout_seconds"]),
		Heartbeat:           seconds(members["heartbeat_seconds"]),
		MaxMissedHeartbeats: int(members["max_missed_heartbeats"]),
		MaxBufferBytes:      int(members["max_buffer_bytes"]),
	}
}

func seconds(number float64) time.Duration { return time.Duration(number * float64(time.Second)) }
