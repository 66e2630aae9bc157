// Command leaky runs traced jobs of a queue; a job that fails cancels its
// helpers with the reason.
package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"residue.example/lab/internal/drive"
	"residue.example/lab/internal/gauge"
)

var errEmpty = errors.New("the picture is empty")

type worker struct {
	tracer trace.Tracer
	// life ends with the service.
	life context.Context
}

// thumbnail scales one picture, under a span of its own.
func (w worker) thumbnail(name string, picture []byte) error {
	ctx, cancel := context.WithCancelCause(w.life) // lab: derived
	ctx, span := w.tracer.Start(ctx, "thumbnail", trace.WithAttributes(attribute.String("picture", name)))
	defer span.End()

	if len(picture) == 0 {
		span.SetStatus(codes.Error, errEmpty.Error())
		cancel(errEmpty)
		return fmt.Errorf("%s: %w", name, errEmpty)
	}
	if err := scale(ctx, picture); err != nil {
		span.RecordError(err)
		cancel(err)
		return err
	}
	return nil
}

// scale halves the picture, unless the job was cancelled.
func scale(ctx context.Context, picture []byte) error {
	for i := 0; i+1 < len(picture); i += 2 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		picture[i/2] = picture[i]
	}
	return nil
}

func start() (drive.Service, error) {
	provider := sdktrace.NewTracerProvider()
	life, end := context.WithCancel(context.Background())
	service := worker{provider.Tracer("residue.example/lab"), life}
	return drive.Service{
		Meter: drive.NewMeter("contexts the service's context keeps", func() (int, error) {
			return gauge.Children(life)
		}),
		Request: func(context.Context) error { return service.thumbnail("lamp.png", make([]byte, 64)) },
		Close: func() error {
			end()
			return provider.Shutdown(context.Background())
		},
	}, nil
}

func main() { drive.Main(start) }
