package realtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"realtime"
	"realtime/internal/wstest"
)

// answering is a client of a server that answers requests over HTTP in turn, and what it was asked.
func answering(t *testing.T, answers ...http.HandlerFunc) (client *realtime.Client, asked *[]string) {
	asked = new([]string)
	address := wstest.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, fmt.Sprintf("%s %s %s", r.Method, r.URL, body))
		if r.Header.Get("Authorization") != "Bearer key" {
			t.Error("no key")
		}
		answers[min(len(*asked), len(answers))-1](w, r)
	})
	return newClient(t, address), asked
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var busy = says(503, `{"error":{"code":"server_is_overloaded","message":"busy","retry":true,"retry_after":0}}`)

func TestWhatIsKeptIsAskedForOverHTTP(t *testing.T) {
	ctx := context.Background()
	client, asked := answering(t, says(200, `{"id":"r 1","input_tokens":7}`))
	if object, err := client.Responses.Retrieve(ctx, "r 1"); err != nil || string(object) != `{"id":"r 1","input_tokens":7}` {
		t.Error(string(object), err)
	}
	if count, err := client.Responses.CountInputTokens(ctx, map[string]any{"input": "hi"}); err != nil || count != 7 {
		t.Error(count, err)
	}
	calls := []func() error{
		func() error { return client.Responses.Delete(ctx, "r1") },
		func() error { return client.Conversations.Delete(ctx, "c1") },
		func() error {
			_, err := client.Responses.Truncate(ctx, "r1", map[string]int{"through": 4})
			return err
		},
		func() error { _, err := client.Responses.Cancel(ctx, "r1"); return err },
		func() error { _, err := client.Conversations.Create(ctx, nil); return err },
		func() error { _, err := client.Conversations.AddItems(ctx, "c1", "x"); return err },
		func() error { _, err := client.Conversations.DeleteItem(ctx, "c1", "i1"); return err },
	}
	for _, call := range calls {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		`GET /v1/responses/r%201 `, `POST /v1/responses/input_tokens {"input":"hi"}`, `DELETE /v1/responses/r1 `,
		`DELETE /v1/conversations/c1 `, `POST /v1/responses/r1/truncate {"through":4}`, `POST /v1/responses/r1/cancel `,
		`POST /v1/conversations {}`, `POST /v1/conversations/c1/items {"items":["x"]}`, `DELETE /v1/conversations/c1/items/i1 `,
	}
	if !slices.Equal(*asked, want) {
		t.Errorf("%q", *asked)
	}
}

func TestWhatIsRefusedForNowIsSentAgain(t *testing.T) {
	client, asked := answering(t, busy, busy, says(200, `{"id":"c1"}`))
	if _, err := client.Conversations.Create(context.Background(), nil); err != nil || len(*asked) != 3 {
		t.Error(err, *asked)
	}
}

func TestWhatMayHaveBeenDoneIsNotSentAgainUnlessTwiceIsOnce(t *testing.T) {
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	client, asked := answering(t, cut, cut, says(502, "a proxy's"), says(200, "{}"))
	var lost *realtime.ConnectionError
	if _, err := client.Conversations.Create(context.Background(), nil); !errors.As(err, &lost) || len(*asked) != 1 {
		t.Error(err, *asked)
	}
	if err := client.Conversations.Delete(context.Background(), "c1"); err != nil || len(*asked) != 4 {
		t.Error(err, *asked)
	}
}

func TestARefusalSaysWhoseFaultItIs(t *testing.T) {
	client, _ := answering(t, says(404, `{"error":{"code":"response_not_found","message":"no"}}`), says(404, "no such page"))
	_, err := client.Responses.Retrieve(context.Background(), "r1")
	if !errors.Is(err, realtime.ResponseNotFound) {
		t.Error(err)
	}
	var refusal *realtime.ServerError
	if _, err = client.Responses.Retrieve(context.Background(), "r1"); !errors.As(err, &refusal) || refusal.Status != 404 {
		t.Error(err)
	}
}

func TestAKeyThatIsNoHeaderIsNotSent(t *testing.T) {
	client := realtime.New("ws://127.0.0.1:1/v1/responses", realtime.Config{APIKey: "se\r\ncret"})
	defer client.Close()
	_, asking := client.Responses.Retrieve(context.Background(), "r1")
	_, creating := client.Create(context.Background(), map[string]any{"input": "hi"})
	for _, err := range []error{asking, creating} {
		if err == nil || !strings.Contains(err.Error(), "the key can't be sent") || strings.Contains(err.Error(), "cret") {
			t.Error(err)
		}
	}
}

func TestAServerThatDripsDoesNotHoldTheCaller(t *testing.T) {
	address := wstest.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond) // drips
		}
	})
	client := realtime.New(address, realtime.Config{Policy: realtime.Policy{
		RequestTimeout: 50 * time.Millisecond, FirstBackoff: time.Millisecond, MaxRetry: time.Millisecond,
	}})
	defer client.Close()
	var lost *realtime.ConnectionError
	if _, err := client.Responses.Retrieve(context.Background(), "r1"); !errors.As(err, &lost) {
		t.Error(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer stop()
	if _, err := client.Responses.Retrieve(ctx, "r1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestListsAreReadPageByPage(t *testing.T) {
	client, asked := answering(t,
		says(200, `{"data":[{"id":"a"},{"id":"b"}],"last_id":"b","has_more":true}`),
		says(200, `{"data":[{"id":"c"}],"last_id":"c","has_more":false}`))
	var ids []string
	for entry, err := range client.Responses.All(context.Background(), url.Values{"status": {"completed"}}) {
		var object struct{ ID string }
		if err != nil || json.Unmarshal(entry, &object) != nil {
			t.Fatal(err)
		}
		ids = append(ids, object.ID)
	}
	want := []string{"GET /v1/responses?limit=20&status=completed ", "GET /v1/responses?after=b&limit=20&status=completed "}
	if !slices.Equal(ids, []string{"a", "b", "c"}) || !slices.Equal(*asked, want) {
		t.Error(ids, *asked)
	}
}

func TestAListThatDoesNotGetOnIsAnError(t *testing.T) {
	a, b := says(200, `{"data":[1],"last_id":"a","has_more":true}`), says(200, `{"data":[2],"last_id":"b","has_more":true}`)
	for _, answers := range [][]http.HandlerFunc{{a}, {a, b, a}} {
		client, asked := answering(t, answers...)
		var broken *realtime.ProtocolError
		var failure error
		for _, failure = range client.Conversations.All(context.Background(), nil) {
		}
		if !errors.As(failure, &broken) || len(*asked) > 3 {
			t.Error(failure, *asked)
		}
	}
	client, asked := answering(t, says(200, `{"data":[],"last_id":"x","has_more":true}`))
	for range client.Conversations.AllItems(context.Background(), "c1", nil) {
		t.Error("an entry")
	}
	if len(*asked) != 1 {
		t.Error(*asked)
	}
}

func TestTheEndOfAnAnswerWhoseEventsAreGoneIsFetched(t *testing.T) {
	asked := 0
	address := wstest.Handle(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			if asked++; asked == 1 {
				says(200, `{"id":"r1","status":"in_progress"}`)(w, r)
				return
			}
			says(200, `{"id":"r1","status":"completed"}`)(w, r)
			return
		}
		conn := wstest.Accept(t, w, r, "realtime.v1")
		defer conn.Close()
		resume := conn.Expect("response.resume")
		if resume == nil {
			return
		}
		if resume["starting_after"] == -1.0 {
			conn.Send(`{"type":"response.resumed","sequence_number":1,"done":false,"resumed":{"response_id":"r1","epoch":"e1"}}`)
			conn.Send(`{"type":"response.in_progress","response_id":"r1","sequence_number":0,"done":false}`)
			return // cut
		}
		conn.Send(fmt.Sprintf(`{"type":"error","sequence_number":1,"done":true,"event_id":%q,"status":400,`+
			`"error":{"code":"cursor_too_old","message":"gone"}}`, resume["event_id"]))
		conn.Next()
	})
	client := newClient(t, address)
	response, err := client.Resume(context.Background(), realtime.Cursor{ResponseID: "r1", StartingAfter: -1})
	if err != nil {
		t.Fatal(err)
	}
	final, err := response.Wait(context.Background())
	if err != nil || string(final) != `{"id":"r1","status":"completed"}` || asked != 2 {
		t.Error(string(final), err, asked)
	}
}

func TestTheStatesOfTheConnectionAreTold(t *testing.T) {
	cut := make(chan struct{})
	client := newClient(t, wstest.Serve(t, func(c *wstest.Conn) {
		created(c, "r1")
		c.Send(`{"type":"response.completed","response_id":"r1","sequence_number":1,"done":true,"response":{"id":"r1"}}`)
		<-cut
	}))
	states := make(chan realtime.State)
	go func() {
		defer close(states)
		for state := range client.States(context.Background()) {
			states <- state
		}
	}()
	expect := func(want realtime.State) {
		t.Helper()
		if state := <-states; state != want {
			t.Errorf("%s, not %s", state, want)
		}
	}
	expect(realtime.Idle)
	if _, err := client.Create(context.Background(), map[string]any{"input": "hi"}); err != nil {
		t.Fatal(err)
	}
	for state := range states { // connecting may be over before it was looked at
		if state == realtime.Open {
			break
		}
	}
	close(cut)
	for state := range states {
		if state == realtime.Idle {
			break
		}
	}
	_ = client.Close()
	expect(realtime.Closed)
	if _, more := <-states; more {
		t.Error("a state behind closed")
	}
}
