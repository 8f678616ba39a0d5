package realtime_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"realtime"
)

func Example() {
	ctx := context.Background()
	client := realtime.New("ws://127.0.0.1:8000/v1/responses", realtime.Config{})
	defer client.Close()

	response, err := client.Create(ctx, map[string]any{"input": "Tell me a story."})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Close()
	for text, err := range response.Text(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(text)
	}
}

// A cursor is what another process, or the same one after a restart, needs to go on.
func ExampleClient_Resume() {
	ctx := context.Background()
	client := realtime.New("ws://127.0.0.1:8000/v1/responses", realtime.Config{})
	defer client.Close()

	cursor := realtime.Cursor{ResponseID: "resp_1", StartingAfter: 41, Epoch: "e1"}
	response, err := client.Resume(ctx, cursor)
	if errors.Is(err, realtime.CursorTooOld) {
		fmt.Println("fetch the finished response over HTTP")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	final, err := response.Wait(ctx)
	fmt.Println(string(final), err)
}

// A user who hears the answer and speaks up: what was not heard is cut out of the history.
func ExampleResponse_Cancel() {
	ctx := context.Background()
	client := realtime.New("ws://127.0.0.1:8000/v1/responses", realtime.Config{})
	defer client.Close()

	response, err := client.Create(ctx, map[string]any{"input": "Tell me a story."})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Close()
	deadline, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	for range response.Events(deadline) { // until the user interrupts
	}
	_ = response.Ack(response.Through(12)) // twelve characters were spoken
	receipt, err := response.Cancel(ctx)
	fmt.Println(receipt.Status, receipt.TokensGenerated, err)
}
