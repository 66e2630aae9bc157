module residue.example/bench/inspect

go 1.26
