module residue.example/bench/trace/loops

go 1.22
