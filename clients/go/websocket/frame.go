package websocket

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

type opcode byte

const (
	opContinuation opcode = 0
	opText         opcode = 1
	opBinary       opcode = 2
	opClose        opcode = 8
	opPing         opcode = 9
	opPong         opcode = 10

	maxControlBytes = 125
)

func (o opcode) isControl() bool { return o >= opClose }

type frame struct {
	final   bool
	op      opcode
	payload []byte
}

// appendFrame appends a frame of the client, which RFC 6455 wants masked.
func appendFrame(buffer []byte, op opcode, payload []byte) []byte {
	buffer = append(buffer, 0x80|byte(op))
	switch size := len(payload); {
	case size <= maxControlBytes:
		buffer = append(buffer, 0x80|byte(size))
	case size <= 0xffff:
		buffer = append(buffer, 0x80|126)
		buffer = binary.BigEndian.AppendUint16(buffer, uint16(size))
	default:
		buffer = append(buffer, 0x80|127)
		buffer = binary.BigEndian.AppendUint64(buffer, uint64(size))
	}
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // does not fail: crypto/rand ends the program instead
	buffer = append(buffer, mask[:]...)
	start := len(buffer)
	buffer = append(buffer, payload...)
	for i := range payload {
		buffer[start+i] ^= mask[i&3]
	}
	return buffer
}

// readFrame reads a frame of the server with at most limit bytes. Memory grows with what arrives, not with what the
// header announces. What is wrong with the frame is a *CloseError.
func readFrame(reader *bufio.Reader, limit int) (frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{final: head[0]&0x80 != 0, op: opcode(head[0] & 0x0f)}
	if head[0]&0x70 != 0 {
		return f, broken("a reserved bit is set")
	}
	if head[1]&0x80 != 0 {
		return f, broken("the server's frame is masked")
	}
	size, err := readSize(reader, head[1]&0x7f)
	if err != nil {
		return f, err
	}
	switch f.op {
	case opContinuation, opText, opBinary:
	case opClose, opPing, opPong:
		if size > maxControlBytes || !f.final {
			return f, broken("a control frame is fragmented or too long")
		}
	default:
		return f, broken("unknown opcode")
	}
	if size > uint64(limit) {
		return f, &CloseError{Code: 1009, Reason: "the server's message is larger than MaxMessageBytes"}
	}
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, reader, int64(size)); err != nil {
		return f, err
	}
	f.payload = payload.Bytes()
	return f, nil
}

func readSize(reader *bufio.Reader, short byte) (uint64, error) {
	var long [8]byte
	switch short {
	case 126:
		_, err := io.ReadFull(reader, long[6:])
		return binary.BigEndian.Uint64(long[:]), err
	case 127:
		_, err := io.ReadFull(reader, long[:])
		return binary.BigEndian.Uint64(long[:]), err
	}
	return uint64(short), nil
}

// parseClose returns what a close frame says.
func parseClose(payload []byte) *CloseError {
	if len(payload) == 0 {
		return &CloseError{Code: 1005}
	}
	if len(payload) == 1 || !utf8.Valid(payload[2:]) {
		return broken("malformed close frame")
	}
	code := int(binary.BigEndian.Uint16(payload))
	if code < 1000 || code >= 5000 || code == 1004 || code == 1005 || code == 1006 || code == 1015 {
		return broken("a close code that must not be sent")
	}
	return &CloseError{Code: code, Reason: string(payload[2:])}
}

func closePayload(code int, reason string) []byte {
	if code == 1005 {
		return nil
	}
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	return append(payload, reason[:min(len(reason), maxControlBytes-2)]...)
}

func broken(reason string) *CloseError { return &CloseError{Code: 1002, Reason: reason} }
