package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"realtime"
	"realtime/internal/wstest"
)

func newClient(t *testing.T, url string) *realtime.Client {
	t.Helper()
	client := realtime.New(url, realtime.Config{
		APIKey: "key", Policy: realtime.Policy{FirstBackoff: time.Millisecond, MaxRetry: 5 * time.Second},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// created answers a create; it returns the lane.
func created(c *wstest.Conn, id string) any {
	lane := c.Expect("response.create")["stream_id"]
	c.Send(fmt.Sprintf(`{"type":"response.created","response_id":%q,"stream_id":%q,"sequence_number":0,"done":false,`+
		`"epoch":"e1","response":{"id":%q,"status":"in_progress"}}`, id, lane, id))
	return lane
}

func delta(number int, text string) string {
	return fmt.Sprintf(`{"type":"response.output_text.delta","response_id":"r1","sequence_number":%d,"done":false,`+
		`"delta":%q}`, number, text)
}

const cancelled = `{"type":"response.incomplete","response_id":"r1","sequence_number":2,"done":true,"response":` +
	`{"id":"r1","status":"cancelled","cancel":{"tokens_generated":7,"tokens_delivered":1,"abort_ms":2.5}}}`

func TestAnAnswerGoesOnBehindACut(t *testing.T) {
	var sockets atomic.Int32
	client := newClient(t, wstest.Serve(t, func(c *wstest.Conn) {
		if c.Request.Header.Get("Authorization") != "Bearer key" {
			t.Error("no key")
		}
		if sockets.Add(1) == 1 {
			created(c, "r1")
			c.Send(delta(1, "Hel"))
			_ = c.Close()
			return
		}
		if after := c.Expect("response.resume")["starting_after"]; after != 1.0 {
			t.Errorf("resumed after %v", after)
		}
		c.Send(`{"type":"response.resumed","sequence_number":1,"done":false,"resumed":{"response_id":"r1","epoch":"e1"}}`)
		c.Send(delta(2, "lo"))
		c.Send(`{"type":"response.completed","response_id":"r1","sequence_number":3,"done":true,"response":{"id":"r1"}}`)
		c.Next()
	}))
	response, err := client.Create(context.Background(), map[string]any{"input": "hi"})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for part, err := range response.Text(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		text += part
	}
	if text != "Hello" {
		t.Error(text)
	}
	if cursor := response.Cursor(); cursor != (realtime.Cursor{ResponseID: "r1", StartingAfter: 3, Epoch: "e1"}) {
		t.Error(cursor)
	}
	if err := client.Close(); err != nil || client.State() != realtime.Closed {
		t.Error(err, client.State())
	}
}

func TestAPathThatDiesBeforeHeartbeatsArePromised(t *testing.T) {
	var sockets atomic.Int32
	over := make(chan struct{})
	url := wstest.Serve(t, func(c *wstest.Conn) {
		if sockets.Add(1) == 1 {
			<-over // it answers nothing, also no ping
			return
		}
		created(c, "r1")
		c.Expect("")
	})
	client := realtime.New(url, realtime.Config{Policy: realtime.Policy{
		FirstBackoff: time.Millisecond, Heartbeat: 20 * time.Millisecond, MaxMissedHeartbeats: 2,
	}})
	defer client.Close()
	defer close(over)
	if _, err := client.Create(context.Background(), map[string]any{"input": "hi"}); err != nil {
		t.Fatal(err)
	}
}

func TestACancelHasAReceipt(t *testing.T) {
	client := newClient(t, wstest.Serve(t, func(c *wstest.Conn) {
		created(c, "r1")
		c.Send(delta(1, "Hello"))
		if through := c.Expect("response.cancel")["through"]; through != 1.0 {
			t.Errorf("cut at %v", through)
		}
		c.Send(cancelled)
		cut := c.Expect("response.truncate") // the terminal did not say truncated
		c.Send(fmt.Sprintf(`{"type":"response.truncated","sequence_number":1,"done":true,"event_id":%q,"response":`+
			`{"id":"r1","status":"cancelled","truncated":{"through":1}}}`, cut["event_id"]))
		c.Next()
	}))
	response, err := client.Create(context.Background(), map[string]any{"input": "hi"})
	if err != nil {
		t.Fatal(err)
	}
	for event := range response.Events(context.Background()) {
		if event.TextDelta() != "" {
			break
		}
	}
	if err := response.Ack(9); !errors.Is(err, realtime.ErrEventNotReceived) {
		t.Error(err)
	}
	if err := response.Ack(response.Through(len("Hello"))); err != nil {
		t.Error(err)
	}
	receipt, err := response.Cancel(context.Background())
	if err != nil || receipt.Status != "cancelled" || receipt.TokensGenerated != 7 || receipt.AbortMS != 2.5 {
		t.Error(receipt, err)
	}
}

func TestACreateThatNobodyWaitsForIsCancelled(t *testing.T) {
	waiting, left, cancel := make(chan struct{}), make(chan struct{}), make(chan any, 1)
	client := newClient(t, wstest.Serve(t, func(c *wstest.Conn) {
		lane := c.Expect("response.create")["stream_id"]
		close(waiting)
		<-left
		c.Send(fmt.Sprintf(`{"type":"response.created","response_id":"r1","stream_id":%q,"sequence_number":0,`+
			`"response":{}}`, lane))
		cancel <- c.Expect("response.cancel")["response_id"]
	}))
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-waiting
		stop()
	}()
	if _, err := client.Create(ctx, map[string]any{"input": "hi"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(left)
	if id := <-cancel; id != "r1" {
		t.Error(id)
	}
}

func TestErrorsAreValues(t *testing.T) {
	refused := newClient(t, wstest.Handle(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":{"code":"invalid_api_key","message":"Not you."}}`, http.StatusUnauthorized)
	}))
	_, err := refused.Create(context.Background(), map[string]any{})
	var connection *realtime.ConnectionError
	if !errors.As(err, &connection) || connection.Status != 401 || !errors.Is(err, realtime.InvalidAPIKey) {
		t.Error(err)
	}
	plain := newClient(t, wstest.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		conn := wstest.Accept(t, w, r, "")
		defer conn.Close()
		conn.Next()
	}))
	if _, err := plain.Create(context.Background(), map[string]any{}); !errors.As(err, &connection) {
		t.Error(err)
	}
	old := newClient(t, wstest.Serve(t, func(c *wstest.Conn) {
		c.Send(fmt.Sprintf(`{"type":"error","status":410,"event_id":%q,"error":{"code":"cursor_too_old","message":"m"}}`,
			c.Expect("response.resume")["event_id"]))
		c.Next()
	}))
	_, err = old.Resume(context.Background(), realtime.Cursor{ResponseID: "r1", StartingAfter: 4})
	var refusal *realtime.ServerError
	if !errors.Is(err, realtime.CursorTooOld) || !errors.As(err, &refusal) || refusal.Status != 410 {
		t.Error(err)
	}
	if _, err := old.Create(context.Background(), "hi"); err == nil {
		t.Error("a body that is not an object")
	}
	_ = old.Close()
	if _, err := old.Create(context.Background(), map[string]any{}); !errors.Is(err, realtime.ErrClosed) {
		t.Error(err)
	}
}
