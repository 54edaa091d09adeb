# The commands for those who work on the library. What they do is said in .ci/run.

help:
	@echo "make chat      run the chat, and open the address that it prints"
	@echo "make test      the README's test command, with both releases of Go"
	@echo "make race      the tests under the race detector"
	@echo "make model     the model of random traffic for a minute, MODEL_ROUNDS=144000 for an hour"
	@echo "make cover     the statements that the tests reach, and those that they do not"
	@echo "make machines  the tests on 386, and in part on s390x and arm64, emulated"
	@echo "make lint      gofmt, documents, layers of files, public API, go vet for several systems, staticcheck"
	@echo "make systems   go vet for all systems and processors that are supported"
	@echo "make interop   other libraries and languages, and browsers"
	@echo "make programs  public programs run their own tests with this library"
	@echo "make compare   this library and its peers, in a minute"
	@echo "make fuzz      each fuzz target, FUZZ_INPUTS=50000"
	@echo "make bench     the benchmarks"
	@echo "make mutants   changes of the library that no test notices, MUTANTS='-sample 5'; all take hours"
	@echo "make ci        all that a change must pass"

chat:
	go run ./examples/chat

test race lint systems cover model machines interop fuzz:
	bash .ci/run $@

bench:
	go test -run '^$$' -bench . -count 6 .

mutants:
	cd tools && go run ./mutants $(MUTANTS)

programs:
	cd interop/programs && go run .

compare:
	cd benchmarks && go run . -quick

ci:
	bash .ci/run

.PHONY: help chat test race lint systems cover model machines interop fuzz bench mutants programs compare ci
