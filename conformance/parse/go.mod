module residue.test/conformance/parse

go 1.27
