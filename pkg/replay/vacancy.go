package replay

// vacate takes notice that there is to be no replica.
func (s *service) vacate() {
	if s.vacant {
		return
	}
	if s.expecting {
		s.total.Needless++
	}
	s.vacant, s.surprised, s.expecting = true, false, false
}

// knock takes notice of a request that arrives.
func (s *service) knock() {
	s.surprised = s.surprised || len(s.ready) == 0
	if s.expecting {
		s.total.Foreseen++
		s.expecting = false
	}
}

// awaken counts a replica that serves after there were to be none.
func (s *service) awaken() {
	if s.vacant {
		s.total.Wakes++
		s.vacant, s.expecting = false, !s.surprised
	}
}
