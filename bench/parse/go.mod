module residue.test/bench/parse

go 1.27
