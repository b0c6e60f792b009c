package replica

// PrefixBlock is the number of prompt tokens behind one of a Request's Blocks,
// as in the traces that have them.
const PrefixBlock = 512

// prefixCache knows which prompt blocks the KV cache holds. Blocks that running
// sequences refer to are in use, once however many refer to them; the others
// stay until the room is needed, the least recently used first, as vLLM's do.
type prefixCache struct {
	perBlock int // KV blocks of one prompt block; zero: nothing is cached
	entries  map[uint64]*prefix
	idle     prefixes // that nobody refers to, the next to go at the head
	inUse    int      // KV blocks of those that somebody refers to
	free     *prefix
}

// prefix is one prompt block in the cache.
type prefix struct {
	hash       uint64
	references int
	next, prev *prefix
}

// prefixes is a doubly linked list.
type prefixes struct {
	head, tail *prefix
	length     int
}

func newPrefixCache(blockSize int) prefixCache {
	if PrefixBlock%blockSize != 0 {
		return prefixCache{}
	}
	return prefixCache{perBlock: PrefixBlock / blockSize, entries: map[uint64]*prefix{}}
}

// usable are the blocks of a request that the cache can hold: those that its
// prompt fills.
func (c *prefixCache) usable(req Request) []uint64 {
	n := min(len(req.Blocks), req.PromptTokens/PrefixBlock)
	if n == 0 || c.perBlock == 0 {
		return nil
	}
	return req.Blocks[:n]
}

// lookup are the blocks that a sequence may find in the cache: not all of its
// prompt, for at least one token is always computed.
func (q *sequence) lookup() []uint64 {
	return q.Blocks[:min(len(q.Blocks), (q.PromptTokens-1)/PrefixBlock)]
}

// match is the number of leading blocks that the cache holds, and how many of
// those are idle.
func (c *prefixCache) match(blocks []uint64) (hits, idle int) {
	for _, hash := range blocks {
		entry, ok := c.entries[hash]
		if !ok {
			break
		}
		hits++
		if entry.references == 0 {
			idle++
		}
	}
	return hits, idle
}

// refer makes seq refer to the first n of its blocks, which are there.
func (c *prefixCache) refer(seq *sequence, n int) {
	for _, hash := range seq.Blocks[:n] {
		c.hold(c.entries[hash])
	}
	seq.shared = n
}

func (c *prefixCache) hold(entry *prefix) {
	if entry.references == 0 {
		c.idle.remove(entry)
		c.inUse += c.perBlock
	}
	entry.references++
}

// keep puts into the cache what seq computes: its whole blocks up to tokens. It
// returns how many KV blocks are now the cache's and no longer the sequence's
// own. A block that another sequence computed meanwhile is there only once.
func (c *prefixCache) keep(seq *sequence, tokens int) (blocks int) {
	whole := min(len(seq.Blocks), tokens/PrefixBlock)
	for ; seq.shared < whole; seq.shared++ {
		hash := seq.Blocks[seq.shared]
		entry, ok := c.entries[hash]
		if !ok {
			entry = c.make(hash)
		}
		c.hold(entry)
		blocks += c.perBlock
	}
	return blocks
}

func (c *prefixCache) make(hash uint64) *prefix {
	entry := c.free
	if entry == nil {
		entry = new(prefix)
	} else {
		c.free = entry.next
	}
	*entry = prefix{hash: hash}
	c.entries[hash] = entry
	c.idle.push(entry)
	return entry
}

// release undoes what refer and keep did for seq. The end of a prompt goes
// first when room is needed: its beginning serves more requests.
func (c *prefixCache) release(seq *sequence) {
	for ; seq.shared > 0; seq.shared-- {
		entry := c.entries[seq.Blocks[seq.shared-1]]
		entry.references--
		if entry.references == 0 {
			c.inUse -= c.perBlock
			c.idle.push(entry)
		}
	}
}

// shrink lets idle blocks go until they fit into room KV blocks.
func (c *prefixCache) shrink(room int) {
	for c.idle.length > 0 && c.idle.length*c.perBlock > room {
		entry := c.idle.head
		c.idle.remove(entry)
		delete(c.entries, entry.hash)
		entry.next, c.free = c.free, entry
	}
}

func (l *prefixes) push(entry *prefix) {
	entry.prev, entry.next = l.tail, nil
	if l.tail == nil {
		l.head = entry
	} else {
		l.tail.next = entry
	}
	l.tail = entry
	l.length++
}

func (l *prefixes) remove(entry *prefix) {
	if entry.prev == nil {
		l.head = entry.next
	} else {
		entry.prev.next = entry.next
	}
	if entry.next == nil {
		l.tail = entry.prev
	} else {
		entry.next.prev = entry.prev
	}
	entry.prev, entry.next = nil, nil
	l.length--
}
