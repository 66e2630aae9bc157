// Command leaky serves connections. Each has a goroutine that makes a session
// key, proves itself to its peer with it, and then waits for what the peer asks.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync/atomic"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

const (
	keySize = 32
	// What numbers of connections begin with.
	family = 0x51ed0000
)

// A key is made of its connection's number in a way that can be recognised
// without keeping it anywhere: that is how this program counts what is left.
func fill(key *[keySize]byte, number uint32) {
	for i := range key {
		key[i] = byte(number>>(8*(i%4))) ^ byte(i*i*37+i*11+0x5b)
	}
}

func isKey(bytes []byte) bool {
	var number [4]byte
	for i, b := range bytes {
		b ^= byte(i*i*37 + i*11 + 0x5b)
		if i < 4 {
			number[i] = b
		} else if b != number[i%4] {
			return false
		}
	}
	return number[3] == family>>24 && number[2] == family>>16&0xff
}

// prove answers the peer's challenge. Its frame is large, so that what it
// calls uses parts of the stack that nothing overwrites while serve waits.
//
//go:noinline
func prove(number uint32, challenge []byte) (answer [sha256.Size]byte) {
	var transcript [2048]byte
	n := copy(transcript[:], challenge)
	answer = sha256.Sum256(transcript[:n])
	seal(number, answer[:])
	return answer
}

// seal mixes the key into a message. The key lies in its frame. Go erases
// no frame that is given up.
//
//go:noinline
func seal(number uint32, message []byte) {
	var key [keySize]byte
	fill(&key, number)
	for i := range message {
		message[i] ^= key[i%keySize]
	}
}

// serve handles one connection until its peer is gone.
func serve(number uint32, asked <-chan string, ready chan<- [sha256.Size]byte) {
	peer := fmt.Sprintf("peer-%d.example", number)
	defer func() { fmt.Fprintln(io.Discard, "closed", peer) }()
	ready <- prove(number, []byte("challenge"))
	for range asked {
	}
}

func start() (drive.Service, error) {
	var number atomic.Uint32
	var open []chan string
	return drive.Service{
		Meter: drive.NewMeter("session keys left in memory", func() (int, error) { return gauge.Copies(keySize, isKey) }),
		Request: func(context.Context) error {
			asked, ready := make(chan string), make(chan [sha256.Size]byte)
			open = append(open, asked)
			go serve(family|number.Add(1), asked, ready)
			<-ready
			return nil
		},
		Close: func() error {
			for _, asked := range open {
				close(asked)
			}
			return nil
		},
	}, nil
}

func main() { drive.Main(start) }
