package main

import (
	"encoding/json"
	"errors"

	"realtime/protocol"
)

// described is an error as the kit has it.
type described struct {
	Kind    string  `json:"kind"`
	Code    *string `json:"code"`
	Status  *int    `json:"status"`
	Message string  `json:"message"`
}

var kinds = map[error]string{
	protocol.ErrDetached:         "detached",
	protocol.ErrRequestTooLarge:  "request_too_large",
	protocol.ErrAlreadyFollowed:  "already_followed",
	protocol.ErrClosed:           "client_closed",
	protocol.ErrEventNotReceived: "event_not_received",
	protocol.ErrAbandoned:        "abandoned",
}

func describe(err error) *described {
	if err == nil {
		return nil
	}
	d := &described{Kind: "unexpected", Message: err.Error()}
	set := func(kind string, code string, status int) {
		if d.Kind = kind; code != "" {
			d.Code = &code
		}
		if status != 0 {
			d.Status = &status
		}
	}
	var (
		refusal    *protocol.ServerError
		failure    *protocol.ResponseFailedError
		connection *protocol.ConnectionError
		broken     *protocol.ProtocolError
	)
	switch {
	case errors.As(err, &connection): // before its cause
		set("connection_lost", "connection_lost", connection.Status)
	case errors.As(err, &refusal):
		set("server_error", string(refusal.Code), refusal.Status)
	case errors.As(err, &failure):
		set("response_failed", string(failure.Code), 0)
	case errors.As(err, &broken):
		set("protocol_error", "", 0)
	default:
		for known, kind := range kinds {
			if errors.Is(err, known) {
				set(kind, "", 0)
			}
		}
	}
	return d
}

// look tells how a thing stands.
func (d *driver) look(name string) any {
	if run := d.runs[name]; run != nil {
		value := map[string]any{
			"over": run.Over(), "error": describe(run.Err()), "awaits_successor": run.AwaitsSuccessor(),
			"final": orNull(run.Final()), "cancel_error": describe(run.StopErr()), "cursor": nil,
		}
		if cursor, ok := run.Cursor(); ok {
			value["cursor"] = cursor
		}
		return value
	}
	switch thing := d.things[name].(type) {
	case *protocol.Input:
		return map[string]any{"fate": thing.Fate(), "error": describe(thing.Err), "requires": thing.Requires}
	case *protocol.Truncation:
		return map[string]any{"final": orNull(thing.Final), "error": describe(thing.Err)}
	case *protocol.Update:
		return map[string]any{"state": orNull(thing.State), "error": describe(thing.Err)}
	}
	return nil
}

func orNull(raw json.RawMessage) any {
	if raw == nil {
		return nil
	}
	return raw
}
