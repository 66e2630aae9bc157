// Command leaky counts packets for each session in a kernel map of its own.
package main

import (
	"context"
	"fmt"

	"github.com/cilium/ebpf"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/kernel"
)

const mapName = "lab_session"

type session struct {
	name    string
	packets *ebpf.Map
}

// sessions are found by name while they last.
var sessions = map[string]*session{}

func open(name string) (*session, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{ // lab: opened
		Name:       mapName,
		Type:       ebpf.Array,
		KeySize:    4,
		ValueSize:  8,
		MaxEntries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("session map: %w", err)
	}
	s := &session{name: name, packets: m}
	sessions[name] = s
	return s, nil
}

// end tells how many packets there were.
func (s *session) end() (uint64, error) {
	var packets uint64
	err := s.packets.Lookup(uint32(0), &packets)
	return packets, err
}

func start() (drive.Service, error) {
	next := 0
	return drive.Service{
		Meter: drive.NewMeter("maps in the kernel", func() (int, error) { return kernel.Maps(mapName) }),
		Request: func(context.Context) error {
			next++
			s, err := open(fmt.Sprint("session-", next))
			if err != nil {
				return err
			}
			_, err = s.end()
			return err
		},
	}, nil
}

func main() { drive.Main(start) }
