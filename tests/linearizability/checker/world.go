package main

// World is one state that the store may be in: what each key holds, how many of the known commits have been made, and
// which writes may still take effect. Worlds never change; each change makes a new one that shares what stayed.
type World struct {
	chunks []*chunk
	next   int      // the slot of the next known commit
	unsure []unsure // ascending by write
	hash   uint64
}

// A cell is a value with the versionstamp of the commit that wrote it; nil is an absent key.
type cell struct {
	value, stamp string
	version      int // number of this versionstamp under this key, 0 if no client was told of it
}

const chunkKeys = 16

type chunk [chunkKeys]*cell

// A write that may take effect `left` more times, at any moment.
type unsure struct {
	write *write
	left  int
}

// The versionstamp of commits that no client was told of. No known versionstamp is equal to it. Texts under it are all
// the same, since no step to come can tell them apart: no read shows them, no check names them.
const (
	hidden     = "?"
	hiddenText = "="
)

func emptyWorld(keys int) *World {
	w := &World{chunks: make([]*chunk, (keys+chunkKeys-1)/chunkKeys)}
	for i := range w.chunks {
		w.chunks[i] = new(chunk)
	}
	return w
}

func (w *World) at(key int) *cell {
	return w.chunks[key/chunkKeys][key%chunkKeys]
}

func (w *World) clone() *World {
	c := *w
	return &c
}

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func hashText(x uint64, text string) uint64 {
	for i := 0; i < len(text); i++ {
		x = (x ^ uint64(text[i])) * 0x100000001b3
	}
	return x
}

func hashCell(key int, c *cell) uint64 {
	if c == nil {
		return 0
	}
	return mix(hashText(hashText(mix(uint64(key)+1), c.value)*31, c.stamp))
}

func hashUnsure(u unsure) uint64 {
	return mix(uint64(u.write.id)<<8 | uint64(u.left+1) | 1<<60)
}

func hashNext(next int) uint64 {
	return mix(uint64(next) | 1<<61)
}

// A batch of changes to a world that nobody else knows yet.
type editor struct {
	world *World
	own   map[int]bool // chunks that were copied
}

func (e *editor) set(key int, c *cell) {
	w := e.world
	at := key / chunkKeys
	if !e.own[at] {
		if len(e.own) == 0 {
			e.own = map[int]bool{}
			w.chunks = append([]*chunk(nil), w.chunks...)
		}
		copied := *w.chunks[at]
		w.chunks[at] = &copied
		e.own[at] = true
	}
	w.hash ^= hashCell(key, w.chunks[at][key%chunkKeys]) ^ hashCell(key, c)
	w.chunks[at][key%chunkKeys] = c
}

func (w *World) setNext(next int) {
	w.hash ^= hashNext(w.next) ^ hashNext(next)
	w.next = next
}

// left says how often an unsure write may still take effect, and whether it is known at all.
func (w *World) left(id int) (int, bool) {
	for _, u := range w.unsure {
		if u.write.id == id {
			return u.left, true
		}
	}
	return 0, false
}

// withUnsure is the same world with a write that may take effect `left` times; negative: that never will again.
func (w *World) withUnsure(wr *write, left int) *World {
	c := w.clone()
	c.unsure = make([]unsure, 0, len(w.unsure)+1)
	for _, u := range w.unsure {
		if u.write.id == wr.id {
			c.hash ^= hashUnsure(u)
			continue
		}
		c.unsure = append(c.unsure, u)
	}
	if left < 0 {
		return c
	}
	added := unsure{wr, left}
	c.hash ^= hashUnsure(added)
	at := len(c.unsure)
	for at > 0 && c.unsure[at-1].write.id > wr.id {
		at--
	}
	c.unsure = append(c.unsure, unsure{})
	copy(c.unsure[at+1:], c.unsure[at:])
	c.unsure[at] = added
	return c
}

func sameCells(a, b *World) bool {
	if a.next != b.next {
		return false
	}
	for i, ours := range a.chunks {
		theirs := b.chunks[i]
		if ours == theirs {
			continue
		}
		for k := range ours {
			x, y := ours[k], theirs[k]
			if x != y && (x == nil || y == nil || *x != *y) {
				return false
			}
		}
	}
	return true
}

func sameWorld(a, b *World) bool {
	if a.hash != b.hash || len(a.unsure) != len(b.unsure) {
		return false
	}
	for i := range a.unsure {
		if a.unsure[i] != b.unsure[i] {
			return false
		}
	}
	return sameCells(a, b)
}

// covers says that whatever may come of b may come of a as well: they hold the same, and every write may take effect at
// least as often in a.
func (a *World) covers(b *World) bool {
	if len(a.unsure) != len(b.unsure) {
		return false
	}
	for i := range a.unsure {
		if a.unsure[i].write != b.unsure[i].write || a.unsure[i].left < b.unsure[i].left {
			return false
		}
	}
	return sameCells(a, b)
}
