package realtime

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"realtime/protocol"
)

// A Response is one response that the client created or follows. A cut of the connection does not show: its events come
// each once and in order.
type Response struct {
	client *Client
	run    *protocol.Run
}

// ErrNoSuccessor tells that the server does not go on by itself after a response.
var ErrNoSuccessor = errors.New("realtime: nothing continues this response by itself")

// ID returns the response's id.
func (r *Response) ID() string { return value(r, (*protocol.Run).ID) }

// Cursor returns what is needed to go on behind the last event that was read, here or elsewhere.
func (r *Response) Cursor() Cursor {
	return value(r, func(run *protocol.Run) Cursor {
		cursor, _ := run.Cursor()
		return cursor
	})
}

// Object returns the response object as far as it is known: of response.created, and at the end of the terminal event.
func (r *Response) Object() json.RawMessage { return value(r, (*protocol.Run).Final) }

// Events returns the events that were not read yet, up to the terminal one. An error ends them: that of ctx, after which
// Events goes on where it stopped; a *ResponseFailedError behind response.failed; else what keeps the rest from coming.
func (r *Response) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			event, more, err := r.next(ctx)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !more || !yield(event, nil) {
				return
			}
		}
	}
}

// next waits for an event; more is false behind the last one.
func (r *Response) next(ctx context.Context) (event Event, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return Event{}, false, err
	}
	for {
		ended := false
		r.client.do(func(*protocol.Session) {
			if event, more = r.run.Read(); !more {
				ended, err = r.run.Ended(), r.run.Err()
			}
		})
		if more || ended || err != nil {
			return event, more, err
		}
		err = r.client.wait(ctx, func() bool { return r.run.Unread() > 0 || r.run.Ended() || r.run.Err() != nil })
		if err != nil {
			return Event{}, false, err
		}
	}
}

// Text returns the text of the answer, as it comes.
func (r *Response) Text(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for event, err := range r.Events(ctx) {
			if text := event.TextDelta(); (err != nil || text != "") && !yield(text, err) {
				return
			}
		}
	}
}

// Wait reads to the end and returns the final response object. Where the server has the rest of the events no more, it
// is fetched over HTTP when the response is over.
func (r *Response) Wait(ctx context.Context) (json.RawMessage, error) {
	for _, err := range r.Events(ctx) {
		if errors.Is(err, CursorTooOld) {
			return r.client.Responses.Wait(ctx, r.ID())
		}
		if err != nil {
			return nil, err
		}
	}
	return r.Object(), nil
}

// A Receipt tells how a response ended that was cancelled.
type Receipt struct {
	// Status is cancelled; another one if the response ended by itself before the cancel came.
	Status string
	// TokensGenerated and TokensDelivered are of the answer; AbortMS is how long the engine took to let go.
	TokensGenerated, TokensDelivered int
	AbortMS                          float64
	// Response is the final response object.
	Response json.RawMessage
}

// Cancel stops the response and waits for the receipt. The answer is kept up to the largest number that was acknowledged
// with Ack; without one nothing is cut. When ctx ends first the cancel goes on.
func (r *Response) Cancel(ctx context.Context) (Receipt, error) { return r.cancel(ctx, nil) }

// CancelThrough is Cancel that keeps of the answer what came up to event number through; -1 keeps nothing.
func (r *Response) CancelThrough(ctx context.Context, through int) (Receipt, error) {
	return r.cancel(ctx, &through)
}

func (r *Response) cancel(ctx context.Context, through *int) (receipt Receipt, err error) {
	r.client.do(func(*protocol.Session) { err = r.run.Cancel(through) })
	if err != nil {
		return receipt, err
	}
	if err := r.stopped(ctx); err != nil {
		return receipt, err
	}
	receipt.Response = r.Object()
	var object struct {
		Status string
		Cancel struct {
			Generated int     `json:"tokens_generated"`
			Delivered int     `json:"tokens_delivered"`
			AbortMS   float64 `json:"abort_ms"`
		}
	}
	err = json.Unmarshal(value(r, (*protocol.Run).Terminal), &object)
	receipt.Status, receipt.AbortMS = object.Status, object.Cancel.AbortMS
	receipt.TokensGenerated, receipt.TokensDelivered = object.Cancel.Generated, object.Cancel.Delivered
	return receipt, err
}

// Interrupt stops the response without the item that is being written, and returns the final response object.
func (r *Response) Interrupt(ctx context.Context) (json.RawMessage, error) {
	r.client.do(func(*protocol.Session) { r.run.Interrupt() })
	if err := r.stopped(ctx); err != nil {
		return nil, err
	}
	return r.Object(), nil
}

func (r *Response) stopped(ctx context.Context) error {
	var failure error
	err := r.client.wait(ctx, func() bool {
		done, refusal := r.run.Stopped()
		if failure = errors.Join(refusal, r.run.StopErr()); done && !r.run.Over() {
			failure = errors.Join(failure, r.run.Err())
		}
		return done || failure != nil
	})
	return errors.Join(err, failure)
}

// Ack tells that the user has seen or heard everything up to this event. A later Cancel or Close keeps that much.
func (r *Response) Ack(through int) (err error) {
	r.client.do(func(*protocol.Session) { err = r.run.Ack(through) })
	return err
}

// Through returns what so many characters (code points) of the text that was read are as a number for Ack: that of the
// last event that they leave nothing out of.
func (r *Response) Through(characters int) int {
	return value(r, func(run *protocol.Run) int { return run.Through(characters) })
}

// TruncateThrough cuts the stored answer behind event number through, for good, and returns what is left.
func (r *Response) TruncateThrough(ctx context.Context, through int) (json.RawMessage, error) {
	return r.truncate(ctx, map[string]any{"through": through})
}

// TruncateText cuts the stored answer behind so many characters of one part of a message.
func (r *Response) TruncateText(ctx context.Context, itemID string, part, characters int) (json.RawMessage, error) {
	return r.truncate(ctx, map[string]any{"item_id": itemID, "content_index": part, "num_characters": characters})
}

func (r *Response) truncate(ctx context.Context, members map[string]any) (json.RawMessage, error) {
	var cut *protocol.Truncation
	var err error
	r.client.do(func(*protocol.Session) { cut, err = r.run.Truncate(members) })
	if err != nil {
		return nil, err
	}
	if err := r.client.wait(ctx, func() bool { return cut.Done() }); err != nil {
		return nil, err
	}
	return cut.Final, cut.Err
}

// Detach lets go of the response, which goes on at the server, and returns where to go on later.
func (r *Response) Detach() Cursor {
	r.client.do(func(*protocol.Session) { r.run.Detach() })
	return r.Cursor()
}

// Close tells that nobody will read on: what runs is cancelled, a successor too. It does not wait, and does nothing to a
// response that was read to its end or detached, so that it can be deferred.
func (r *Response) Close() error {
	r.client.do(func(*protocol.Session) { r.run.Leave() })
	return nil
}

func value[T any](r *Response, get func(*protocol.Run) T) T {
	r.client.mu.Lock()
	defer r.client.mu.Unlock()
	return get(r.run)
}
