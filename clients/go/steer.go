package realtime

import (
	"context"
	"encoding/json"

	"realtime/protocol"
)

// An Input is what was given to a response that runs.
type Input struct {
	client *Client
	input  *protocol.Input
}

// Steer gives input - a string, or items - to the response while it runs: it is cut at the next safe point, and a
// Successor goes on with the input.
func (r *Response) Steer(input any) (*Input, error) { return r.give(input, (*protocol.Run).Steer) }

// Inject gives outputs of calls to the response while it runs. It is not cut; when it has ended and every call of it is
// answered, a Successor goes on.
func (r *Response) Inject(outputs any) (*Input, error) {
	return r.give(outputs, (*protocol.Run).Inject)
}

func (r *Response) give(content any, how func(*protocol.Run, json.RawMessage) *protocol.Input) (*Input, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	input := &Input{client: r.client}
	r.client.do(func(*protocol.Session) { input.input = how(r.run, data) })
	return input, nil
}

// Fate returns how the input stands.
func (i *Input) Fate() Fate {
	i.client.mu.Lock()
	defer i.client.mu.Unlock()
	return i.input.Fate()
}

// Requires returns the call_ids of the outputs that a create has to bring before a Pending input is applied.
func (i *Input) Requires() []string {
	i.client.mu.Lock()
	defer i.client.mu.Unlock()
	return i.input.Requires
}

// Wait returns when the input is Applied, Pending or Failed; with Failed the reason is the error. After a cut that is a
// *ConnectionError: whether the server took the input is not known then.
func (i *Input) Wait(ctx context.Context) (Fate, error) {
	var fate Fate
	err := i.client.wait(ctx, func() bool {
		fate = i.input.Fate()
		return fate == Applied || fate == Pending || fate == Failed
	})
	if err != nil {
		return fate, err
	}
	i.client.mu.Lock()
	defer i.client.mu.Unlock()
	return fate, i.input.Err
}

// Successor waits for the response that the server starts by itself after this one, because of what was given to it.
// ErrNoSuccessor: there is none, and none is to be expected.
func (r *Response) Successor(ctx context.Context) (*Response, error) {
	var run *protocol.Run
	err := r.client.wait(ctx, func() bool {
		run = r.run.Successor()
		return run != nil || r.run.Ended() && !r.run.MayContinue()
	})
	if err != nil {
		return nil, err
	}
	if run == nil {
		return nil, ErrNoSuccessor
	}
	return &Response{r.client, run}, nil
}
