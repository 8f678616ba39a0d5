package protocol

import (
	"bytes"
	"encoding/json"
	"time"
)

// An Event is one event of a response, as the server sent it.
type Event struct {
	Type       string
	ResponseID string
	// Number is its sequence_number. A merged delta stands for all numbers from First to Number; otherwise both are equal.
	First, Number int
	// Done is true for the last event of the response.
	Done bool
	// Raw is the whole event.
	Raw json.RawMessage
}

// Decode unmarshals the whole event into v.
func (e Event) Decode(v any) error { return json.Unmarshal(e.Raw, v) }

// TextDelta returns what the event adds to the text of the answer, "" if it adds none.
func (e Event) TextDelta() string {
	if e.Type != "response.output_text.delta" {
		return ""
	}
	var m struct{ Delta string }
	if e.Decode(&m) != nil {
		return ""
	}
	return m.Delta
}

// message holds the members of a server's event that the state machine reads. What differs between types stays raw.
type message struct {
	Type       string          `json:"type"`
	ResponseID *string         `json:"response_id"`
	Number     *int            `json:"sequence_number"`
	First      *int            `json:"first_sequence_number"`
	Done       bool            `json:"done"`
	StreamID   string          `json:"stream_id"`
	EventID    string          `json:"event_id"`
	Epoch      string          `json:"epoch"`
	Status     json.RawMessage `json:"status"`
	Response   json.RawMessage `json:"response"`
	Error      json.RawMessage `json:"error"`
	Session    json.RawMessage `json:"session"`
	Resumed    json.RawMessage `json:"resumed"`
	Steer      json.RawMessage `json:"steer"`
	Required   json.RawMessage `json:"required_input"`
	Input      json.RawMessage `json:"input"`
	// ResumeAfter is of session.draining: when the server expects to be back.
	ResumeAfter float64 `json:"resume_after_seconds"`
}

// part decodes a raw member; what is absent or malformed is the zero value.
func part[T any](raw json.RawMessage) T {
	var value T
	if len(raw) > 0 && json.Unmarshal(raw, &value) != nil {
		var zero T
		return zero
	}
	return value
}

// responseObject holds the members of a Response that decide something here.
type responseObject struct {
	ID                 string          `json:"id"`
	PreviousResponseID string          `json:"previous_response_id"`
	Truncated          json.RawMessage `json:"truncated"`
	Output             []struct {
		Type   string `json:"type"`
		CallID string `json:"call_id"`
		Status string `json:"status"`
	} `json:"output"`
	Error *errorObject `json:"error"`
}

type errorObject struct {
	Code       Code    `json:"code"`
	Message    string  `json:"message"`
	Param      string  `json:"param"`
	Retry      bool    `json:"retry"`
	RetryAfter float64 `json:"retry_after"`
	ResponseID string  `json:"response_id"`
}

func (m *message) serverError() *ServerError {
	e := part[errorObject](m.Error)
	return &ServerError{
		Code: e.Code, Message: e.Message, Param: e.Param, Status: part[int](m.Status),
		Retry: e.Retry, RetryAfter: seconds(e.RetryAfter),
	}
}

const longestWait = 365 * 24 * time.Hour // that a number of the server's can mean

// seconds returns a number of seconds that the server has sent: none if it is negative, and not more than the longest.
func seconds(number float64) time.Duration {
	return time.Duration(min(max(number, 0), longestWait.Seconds()) * float64(time.Second))
}

// encode writes a client event as compact JSON, without escapes that only HTML needs.
func encode(members map[string]any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(members); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
