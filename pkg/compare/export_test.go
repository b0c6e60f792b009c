package compare

// Choose is exported to its test.
var Choose = choose
