package history

import (
	"bytes"
	"compress/flate"
	"encoding/gob"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/preheat-autoscaler/preheat/pkg/controlloop"
	"github.com/preheat-autoscaler/preheat/pkg/forecast"
	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// chat is the target of most tests.
var chat = controlloop.Target{ID: controlloop.TargetID{Namespace: "ml", Name: "chat"}, UID: "u1", Subject: "ml/apps/Deployment/chat"}

// fill sets all that a value holds to something random: NaN and infinities among the floats, up to most elements in a list.
func fill(rng *rand.Rand, v reflect.Value, most int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rng.IntN(2) == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rng.IntN(200) - 100))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rng.IntN(100)))
	case reflect.Float32, reflect.Float64:
		odd := [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}
		if v.SetFloat(rng.NormFloat64()); rng.IntN(10) == 0 {
			v.SetFloat(odd[rng.IntN(len(odd))])
		}
	case reflect.String:
		v.SetString(string(rune('a' + rng.IntN(26))))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem(), most)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rng.IntN(most), 1+most))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i), most)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(rng, key, most)
		fill(rng, value, most)
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(t0.Add(time.Duration(rng.IntN(1e9)))))
			return
		}
		for _, f := range v.Fields() {
			fill(rng, f, most)
		}
	default:
		panic("no plain data: " + v.Type().String())
	}
}

// lesson is a random one.
func lesson(seed uint64, most int) controlloop.Lesson {
	l := controlloop.Lesson{Since: t0.Add(-time.Hour)}
	fill(rand.New(rand.NewPCG(seed, 1)), reflect.ValueOf(&l.Learned).Elem(), most)
	return l
}

func encoded(t testing.TB, l controlloop.Lesson) []byte {
	t.Helper()
	data, err := encode(chat, l, t0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What is learned is plain data: fields that nobody but their package sees would be left out in silence.
func TestWhatIsLearnedIsPlainData(t *testing.T) {
	var walk func(reflect.Type, string)
	walk = func(x reflect.Type, path string) {
		switch x.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(x.Elem(), path)
		case reflect.Map:
			walk(x.Elem(), path)
		case reflect.Struct:
			for f := range x.Fields() {
				if x != timeType && !f.IsExported() {
					t.Errorf("%s.%s is not exported: it would be forgotten", path, f.Name)
				}
				if x != timeType {
					walk(f.Type, path+"."+f.Name)
				}
			}
		case reflect.Interface, reflect.Func, reflect.Chan, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
			t.Errorf("%s is a %s", path, x.Kind())
		default:
		}
	}
	walk(reflect.TypeFor[scaling.Learned](), "Learned")
}

func TestEveryFieldOfALearnedIsInAPart(t *testing.T) {
	if n := reflect.TypeFor[scaling.Learned]().NumField(); n != len(parts) {
		t.Errorf("%d fields, %d parts", n, len(parts))
	}
}

func TestACheckpointIsReadAsItWasWritten(t *testing.T) {
	for seed := range uint64(20) {
		want := lesson(seed, 1+int(seed)/4)
		got, err := decode(encoded(t, want))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.lesson, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("seed %d (-written +read):\n%s", seed, diff)
		}
		if err := got.of(chat); err != nil || !got.Saved.Equal(t0) || got.span() != time.Hour || got.skipped != nil {
			t.Fatalf("%+v, %v", got.header, err)
		}
	}
	if _, err := decode(encoded(t, controlloop.Lesson{})); err != nil {
		t.Errorf("a target of which nothing is known: %v", err)
	}
}

func TestACheckpointThatIsNotWholeIsAnError(t *testing.T) {
	whole := encoded(t, lesson(1, 2))
	for n := range len(whole) {
		if _, err := decode(whole[:n]); !errors.Is(err, errCorrupt) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for at := range len(whole) {
		broken := bytes.Clone(whole)
		broken[at] ^= byte(1 + rng.IntN(255))
		if _, err := decode(broken); err == nil {
			t.Fatalf("byte %d of %d was changed, and nobody noticed", at, len(whole))
		}
	}
	if _, err := decode(append(whole, 0)); !errors.Is(err, errCorrupt) {
		t.Errorf("one byte too many: %v", err)
	}
}

func TestOtherVersionsAndTargetsAreTold(t *testing.T) {
	whole := encoded(t, lesson(1, 2))
	newer := bytes.Replace(whole, []byte(magic+" 1 "), []byte(magic+" 2 "), 1)
	if _, err := decode(newer); !errors.Is(err, errVersion) || !strings.Contains(err.Error(), "2") {
		t.Errorf("version 2: %v", err)
	}
	kept, err := decode(whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*controlloop.Target){
		"another name":                     func(x *controlloop.Target) { x.ID.Name = "code" },
		"deleted and made anew":            func(x *controlloop.Target) { x.UID = "u2" },
		"pointed to another scale target":  func(x *controlloop.Target) { x.Subject = "ml/apps/Deployment/code" },
		"of the same name elsewhere in it": func(x *controlloop.Target) { x.ID.Namespace = "lab" },
	} {
		other := chat
		change(&other)
		if err := kept.of(other); !errors.Is(err, errOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A new forecaster must not be fed with what an old one learned, nor must it cost the lead times.
func TestAPartInAnotherFormIsLearnedAnewAndTheOthersAreNot(t *testing.T) {
	want := lesson(3, 4)
	data := encoded(t, want)
	rest, err := verify(data)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.Replace(schemas()["forecast"], "1-", "0-", 1)
	got, err := decode(sealed(bytes.Replace(rest, []byte(schemas()["forecast"]), []byte(old), 1)))
	if err != nil {
		t.Fatal(err)
	}
	want.Learned.Forecast = scaling.Learned{}.Forecast
	if diff := cmp.Diff(want, got.lesson, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"forecast"}, got.skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
}

func TestASchemaTellsTypesApart(t *testing.T) {
	type a struct{ X []float64 }
	type b struct{ X []float32 }
	type c struct{ Y []float64 }
	type d struct{ X [3]float64 }
	type e struct{ X [4]float64 }
	type f struct{ Next *f }
	seen := map[string]string{}
	for name, x := range map[string]any{"a": a{}, "b": b{}, "c": c{}, "d": d{}, "e": e{}, "f": f{}} {
		var s strings.Builder
		describe(&s, reflect.TypeOf(x), nil)
		if other, ok := seen[s.String()]; ok {
			t.Errorf("%s and %s are both %s", name, other, s.String())
		}
		seen[s.String()] = name
	}
}

// FuzzDecode feeds bytes with a right checksum, which a disk does not make but a person may.
func FuzzDecode(f *testing.F) {
	rest, err := verify(encoded(f, lesson(1, 2)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rest)
	f.Add([]byte(`{"parts":[{"name":"forecast","schema":"` + schemas()["forecast"] + `","bytes":-1}]}` + "\n"))
	f.Fuzz(func(t *testing.T, rest []byte) {
		if c, err := decode(sealed(rest)); err == nil && c == nil {
			t.Error("neither a checkpoint nor an error")
		}
	})
}

// largest is what has been learned of a target's demand in five weeks of minutes.
func largest() controlloop.Lesson {
	l := controlloop.Lesson{Since: t0}
	rng := rand.New(rand.NewPCG(1, 1))
	c := forecast.Config{Step: 15 * time.Second, Quantile: 0.9}
	for i := range 5 * 7 * 24 * 60 {
		now := t0.Add(time.Duration(i) * time.Minute)
		day := 2*math.Sin(2*math.Pi*float64(i)/(24*60)) + math.Sin(2*math.Pi*float64(i)/(7*24*60))
		l.Learned.Forecast.Advance(now, math.Max(0, 10+3*day+rng.NormFloat64()), 5*time.Minute, c)
	}
	return l
}

// BenchmarkEncode stands beside what else there is: DESIGN.md has the figures.
func BenchmarkEncode(b *testing.B) {
	l := largest()
	compressed := func(encode func(io.Writer) error) ([]byte, error) {
		var out bytes.Buffer
		w, err := flate.NewWriter(&out, flate.BestSpeed)
		if err != nil {
			return nil, err
		}
		err = errors.Join(encode(w), w.Close())
		return out.Bytes(), err
	}
	for _, way := range []struct {
		name   string
		encode func() ([]byte, error)
	}{
		{"checkpoint", func() ([]byte, error) { return encode(chat, l, t0, 1200<<10) }}, // as large as the last one was
		{"gob-flate", func() ([]byte, error) {
			return compressed(func(w io.Writer) error { return gob.NewEncoder(w).Encode(l) })
		}},
		{"json", func() ([]byte, error) { return json.Marshal(l) }},
		{"json-flate", func() ([]byte, error) {
			return compressed(func(w io.Writer) error { return json.NewEncoder(w).Encode(l) })
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				data, err := way.encode()
				if err != nil {
					b.Fatal(err)
				}
				size = len(data)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	l := largest()
	checkpoint := encoded(b, l)
	text, err := json.Marshal(l)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("checkpoint", func(b *testing.B) {
		for b.Loop() {
			if _, err := decode(checkpoint); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			var l controlloop.Lesson
			if err := json.Unmarshal(text, &l); err != nil {
				b.Fatal(err)
			}
		}
	})
}
