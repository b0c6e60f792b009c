package history

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/preheat-autoscaler/preheat/pkg/scaling"
)

// part is one thing that a checkpoint holds. Parts are read each by itself, so that a new forecaster does not forget lead
// times.
type part struct {
	name string
	// version is raised where what a field means changes while its type does not; types are compared by themselves.
	version int
	// of points to the part in a Learned.
	of func(*scaling.Learned) any
}

var parts = []part{
	{"forecast", 1, func(l *scaling.Learned) any { return &l.Forecast }},
	{"token forecasts", 1, func(l *scaling.Learned) any { return &l.Tokens }},
	{"lead time", 1, func(l *scaling.Learned) any { return &l.LeadTime }},
	{"capacity", 1, func(l *scaling.Learned) any { return &l.Capacity }},
	{"returns", 1, func(l *scaling.Learned) any { return &l.Returns }},
	{"silences", 1, func(l *scaling.Learned) any { return &l.Silences }},
	{"wakes", 1, func(l *scaling.Learned) any { return &l.Wakes }},
	{"rests", 1, func(l *scaling.Learned) any { return &l.Rests }},
	{"replicas", 1, func(l *scaling.Learned) any { return &l.Replicas }},
}

// schemas are those of all parts, by name: types do not change while a program runs.
var schemas = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, p := range parts {
		all[p.name] = p.schema()
	}
	return all
})

// schema identifies the form in which a part is kept: its version, and the names and types of all its fields.
func (p part) schema() string {
	var b strings.Builder
	describe(&b, reflect.TypeOf(p.of(new(scaling.Learned))), nil)
	sum := sha256.Sum256([]byte(b.String()))
	return fmt.Sprintf("%d-%s", p.version, hex.EncodeToString(sum[:6]))
}

var timeType = reflect.TypeFor[time.Time]()

// describe writes a type down by what it is made of; within are the types around it, which end a recursion.
func describe(b *strings.Builder, t reflect.Type, within []reflect.Type) {
	if slices.Contains(within, t) {
		fmt.Fprintf(b, "^%s", t)
		return
	}
	within = append(within, t)
	switch {
	case t == timeType:
		b.WriteString("time")
	case t.Kind() == reflect.Struct:
		b.WriteString("{")
		for f := range t.Fields() {
			fmt.Fprintf(b, "%s ", f.Name)
			describe(b, f.Type, within)
			b.WriteString(";")
		}
		b.WriteString("}")
	case t.Kind() == reflect.Map:
		b.WriteString("map[")
		describe(b, t.Key(), within)
		b.WriteString("]")
		describe(b, t.Elem(), within)
	case t.Kind() == reflect.Array:
		fmt.Fprintf(b, "[%d]", t.Len())
		describe(b, t.Elem(), within)
	case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice:
		fmt.Fprintf(b, "%s ", t.Kind())
		describe(b, t.Elem(), within)
	default:
		b.WriteString(t.Kind().String())
	}
}
