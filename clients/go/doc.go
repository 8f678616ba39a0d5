// Package realtime is a client of a realtime server: it creates responses over one WebSocket, streams their events
// exactly once and in order across any number of cuts, and stops them with a receipt.
//
//	client := realtime.New("ws://127.0.0.1:8000/v1/responses", realtime.Config{})
//	defer client.Close()
//
//	response, err := client.Create(ctx, map[string]any{"input": "Tell me a story."})
//	if err != nil {
//		return err
//	}
//	defer response.Close() // cancels it if it still runs
//	for text, err := range response.Text(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(text)
//	}
//
// What decides is in package protocol, which has no I/O. The WebSocket is that of package websocket, or of a [Dialer] of
// your own. Nothing here needs a module beyond the standard library.
package realtime
