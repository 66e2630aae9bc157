module residue.test/conformance/stdlib

go 1.27
