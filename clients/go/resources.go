package realtime

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"
)

const (
	firstNap = 100 * time.Millisecond
	maxNap   = 2 * time.Second
)

// Responses is what the server keeps of responses, over HTTP: no socket is needed for it. Queries have the names of
// docs/protocol.md, 8: limit, after, order, status, conversation, metadata[KEY].
type Responses struct{ half }

// Retrieve returns a response as it stands: of one that runs, output has what is written so far.
func (r Responses) Retrieve(ctx context.Context, id string) (json.RawMessage, error) {
	return r.get(ctx, nil, "responses", id)
}

// Wait asks until the response is over. It is for those who can't follow it: its events are gone, its cursor too old.
func (r Responses) Wait(ctx context.Context, id string) (json.RawMessage, error) {
	for nap := firstNap; ; nap = min(2*nap, maxNap) {
		object, err := r.Retrieve(ctx, id)
		if err != nil {
			return nil, err
		}
		var state struct{ Status string }
		if err := json.Unmarshal(object, &state); err != nil {
			return nil, &ProtocolError{Message: "the answer is not a response"}
		}
		if state.Status != "queued" && state.Status != "in_progress" {
			return object, nil
		}
		select {
		case <-time.After(nap):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Delete forgets a response; one that runs is cancelled.
func (r Responses) Delete(ctx context.Context, id string) error {
	_, err := r.half.delete(ctx, "responses", id)
	return err
}

// Cancel stops a response, and returns it when the engine has let go of it.
func (r Responses) Cancel(ctx context.Context, id string) (json.RawMessage, error) {
	return r.post(ctx, nil, "responses", id, "cancel")
}

// Truncate cuts the answer for good. where has through, or item_id, content_index and num_characters.
func (r Responses) Truncate(ctx context.Context, id string, where any) (json.RawMessage, error) {
	return r.post(ctx, where, "responses", id, "truncate")
}

// List returns a page, newest first if the query does not say otherwise.
func (r Responses) List(ctx context.Context, query url.Values) (Page, error) {
	query = cloned(query)
	if !query.Has("limit") {
		query.Set("limit", "20") // without a query it is the socket's path
	}
	return page(r.get(ctx, query, "responses"))
}

// All returns all of them, fetched as they are read.
func (r Responses) All(ctx context.Context, query url.Values) iter.Seq2[json.RawMessage, error] {
	return pages(query, func(query url.Values) (Page, error) { return r.List(ctx, query) })
}

// InputItems returns a page of what the response's request brought.
func (r Responses) InputItems(ctx context.Context, id string, query url.Values) (Page, error) {
	return page(r.get(ctx, query, "responses", id, "input_items"))
}

// CountInputTokens returns how many tokens the model would be given. body has the members of a create.
func (r Responses) CountInputTokens(ctx context.Context, body any) (int, error) {
	var counted struct {
		Tokens int `json:"input_tokens"`
	}
	data, err := r.post(ctx, body, "responses", "input_tokens")
	if err == nil && json.Unmarshal(data, &counted) != nil {
		err = &ProtocolError{Message: "the answer is not a count"}
	}
	return counted.Tokens, err
}

// Compact makes a history shorter: the output is the input of a new chain.
func (r Responses) Compact(ctx context.Context, body any) (json.RawMessage, error) {
	return r.post(ctx, body, "responses", "compact")
}

// CreateTicket returns a ticket, with which somebody can follow this response without a key.
func (r Responses) CreateTicket(ctx context.Context, id string, body any) (json.RawMessage, error) {
	return r.post(ctx, body, "responses", id, "tickets")
}

// Conversations is what the server keeps of conversations, and their items.
type Conversations struct{ half }

// Create makes one. body, which may be nil, has items and metadata.
func (c Conversations) Create(ctx context.Context, body any) (json.RawMessage, error) {
	return c.post(ctx, orEmpty(body), "conversations")
}

// Retrieve returns it; running_responses says what runs in it now.
func (c Conversations) Retrieve(ctx context.Context, id string) (json.RawMessage, error) {
	return c.get(ctx, nil, "conversations", id)
}

// Update gives it other metadata.
func (c Conversations) Update(ctx context.Context, id string, metadata map[string]string) (json.RawMessage, error) {
	return c.post(ctx, map[string]any{"metadata": metadata}, "conversations", id)
}

// Delete forgets it. Its responses stay what they are.
func (c Conversations) Delete(ctx context.Context, id string) error {
	_, err := c.half.delete(ctx, "conversations", id)
	return err
}

// Fork makes a new one with its items; body, which may be nil, has item_id, the last of them.
func (c Conversations) Fork(ctx context.Context, id string, body any) (json.RawMessage, error) {
	return c.post(ctx, orEmpty(body), "conversations", id, "fork")
}

// List returns a page, newest first if the query does not say otherwise.
func (c Conversations) List(ctx context.Context, query url.Values) (Page, error) {
	return page(c.get(ctx, query, "conversations"))
}

// All returns all of them, fetched as they are read.
func (c Conversations) All(ctx context.Context, query url.Values) iter.Seq2[json.RawMessage, error] {
	return pages(query, func(query url.Values) (Page, error) { return c.List(ctx, query) })
}

// Items returns a page of its items.
func (c Conversations) Items(ctx context.Context, id string, query url.Values) (Page, error) {
	return page(c.get(ctx, query, "conversations", id, "items"))
}

// AllItems returns all of its items, fetched as they are read.
func (c Conversations) AllItems(ctx context.Context, id string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return pages(query, func(query url.Values) (Page, error) { return c.Items(ctx, id, query) })
}

// AddItems appends items that no response wrote.
func (c Conversations) AddItems(ctx context.Context, id string, items ...any) (json.RawMessage, error) {
	return c.post(ctx, map[string]any{"items": items}, "conversations", id, "items")
}

// DeleteItem takes one item out.
func (c Conversations) DeleteItem(ctx context.Context, id, itemID string) (json.RawMessage, error) {
	return c.half.delete(ctx, "conversations", id, "items", itemID)
}

func orEmpty(body any) any {
	if body == nil {
		return struct{}{}
	}
	return body
}
