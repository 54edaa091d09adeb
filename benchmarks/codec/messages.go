package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is a kind of message, of which each has count similar ones.
type kind struct {
	name string
	make func(r *rand.Rand) []byte
}

var kinds = []kind{
	{"chat JSON, 256 B", func(r *rand.Rand) []byte { return chat(r, 256) }},
	{"JSON, 2 KiB", func(r *rand.Rand) []byte { return records(r, 2<<10) }},
	{"JSON, 32 KiB", func(r *rand.Rand) []byte { return records(r, 32<<10) }},
	{"English, 2 KiB", func(r *rand.Rand) []byte { return []byte(english(r, 2<<10)) }},
	{"binary fields, 1 KiB", func(r *rand.Rand) []byte { return fields(r, 1<<10) }},
	{"random, 1 KiB", func(r *rand.Rand) []byte { return random(r, 1<<10, 256) }},
	{"two letters, 32 KiB", func(r *rand.Rand) []byte { return random(r, 32<<10, 2) }},
}

// messages returns count messages of a kind, the same in every run.
func (k kind) messages(count int) (list [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range count {
		list = append(list, k.make(r))
	}
	return list
}

var (
	names = strings.Fields("alice bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil")
	words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have from
		or had an they which one you were all her she there would their we him been has when who will no more if out so up
		said what its about than into them can only other time new some could these two may first then do any like my now
		over such our man me even most made after also did many off before must well back through years where much your way
		down should because long each just state those people too how little good world make very year still see own work
		men day get here old between both life being under three never know same last another while us might great go come
		since against right came take used himself few house use during without again place around however home small`)
)

func pick(r *rand.Rand, list []string) string { return list[min(r.IntN(len(list)), r.IntN(len(list)))] }

// english returns n bytes of words, of which some are more frequent than others.
func english(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(pick(r, words))
		b.WriteByte(' ')
	}
	return b.String()[:n]
}

func chat(r *rand.Rand, n int) []byte {
	head := fmt.Sprintf(`{"type":"message","id":"%016x","room":"room-%d","user":{"id":%d,"name":"%s"},"at":"2026-11-%02dT%02d:%02d:%02d.%03dZ","text":"`,
		r.Uint64(), r.IntN(50), r.IntN(100_000), pick(r, names), 1+r.IntN(30), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
	return []byte(head + english(r, max(1, n-len(head)-2)) + `"}`)
}

func records(r *rand.Rand, n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"page":1,"items":[`)
	for b.Len() < n-150 {
		fmt.Fprintf(&b, `{"id":%d,"name":"%s %s","email":"%s%d@example.com","score":%.3f,"active":%t,"tags":["%s","%s"]},`,
			r.IntN(1e6), pick(r, names), pick(r, names), pick(r, names), r.IntN(1000), r.Float64()*100, r.IntN(2) == 0, pick(r, words), pick(r, words))
	}
	b.WriteString(`null]}`)
	return b.Bytes()
}

// fields returns n bytes of numbered fields, as protocol buffers have them.
func fields(r *rand.Rand, n int) (b []byte) {
	for len(b) < n {
		name := pick(r, names)
		b = append(b, 0x0a, byte(20+len(name)), 0x08)
		b = binary.AppendUvarint(b, uint64(r.IntN(1e6)))
		b = append(b, 0x12, byte(len(name)))
		b = append(b, name...)
		b = append(b, 0x1d)
		b = binary.LittleEndian.AppendUint32(b, uint32(r.IntN(1<<20)))
		b = append(b, 0x20, byte(r.IntN(4)), 0x28)
		b = binary.AppendUvarint(b, 1_764_000_000_000+uint64(r.IntN(1e7)))
	}
	return b[:n]
}

// random returns n bytes with so many values.
func random(r *rand.Rand, n, values int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'a' + byte(r.IntN(values))
	}
	return b
}
